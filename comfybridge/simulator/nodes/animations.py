"""Nodes that save a batch of pictures as one moving picture, really encoded by Pillow."""

import io
import json
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from comfybridge.simulator.nodes.definition import NodeRun, decimal, integer, node
from comfybridge.simulator.nodes.saving import extra_texts, save_file
from comfybridge.simulator.nodes.values import Pictures

_MODULE = "comfy_extras.nodes_images"
_FPS = decimal(6.0, 0.01, 1000.0, 0.01)
_METHODS = {"default": 4, "fastest": 0, "slowest": 6}
_MAKE, _MODEL = 0x010F, 0x0110  # EXIF tags


@node(
    "SaveAnimatedWEBP",
    {
        "images": ("IMAGE",),
        "filename_prefix": ("STRING", {"default": "ComfyUI"}),
        "fps": _FPS,
        "lossless": ("BOOLEAN", {"default": True}),
        "quality": integer(80, 0, 100),
        "method": (list(_METHODS),),
    },
    saves_metadata=True,
    output_node=True,
    category="image/animation",
    module=_MODULE,
)
def save_animated_webp(
    run: NodeRun, images: Pictures, filename_prefix: str, fps: float, lossless: bool, quality: int, method: str
) -> dict[str, Any]:
    options = {"lossless": lossless, "quality": quality, "method": _METHODS[method], "exif": _exif(run)}
    content = _encoded(images, "WEBP", fps, **options)
    file = save_file(run, content, filename_prefix, "webp", size=images[0].size)
    return _shown(run, file, len(images) > 1, is_marked=True)


@node(
    "SaveAnimatedPNG",
    {
        "images": ("IMAGE",),
        "filename_prefix": ("STRING", {"default": "ComfyUI"}),
        "fps": _FPS,
        "compress_level": integer(4, 0, 9),
    },
    saves_metadata=True,
    output_node=True,
    category="image/animation",
    module=_MODULE,
)
def save_animated_png(
    run: NodeRun, images: Pictures, filename_prefix: str, fps: float, compress_level: int
) -> dict[str, Any]:
    content = _encoded(images, "PNG", fps, compress_level=compress_level, pnginfo=_chunks(run))
    file = save_file(run, content, filename_prefix, "png", size=images[0].size)
    return _shown(run, file, len(images) > 1, is_marked=False)


def _shown(run: NodeRun, file: dict[str, str], is_animated: bool, *, is_marked: bool) -> dict[str, Any]:
    """What a saver shows. For a single picture, older versions report a WebP as still and a PNG as animated."""
    if run.world.version.is_modern:
        return {"images": [file], **({"animated": [True]} if is_animated else {})}
    return {"images": [file], "animated": [is_animated or not is_marked]}


def _encoded(images: Pictures, format: str, fps: float, **options: Any) -> bytes:
    buffer = io.BytesIO()
    first, *others = images
    first.save(buffer, format, save_all=True, append_images=others, duration=int(1000 / fps), **options)
    return buffer.getvalue()


def _exif(run: NodeRun) -> Image.Exif:
    exif = Image.Exif()
    exif[_MODEL] = f"prompt:{json.dumps(run.graph)}"
    for offset, (key, value) in enumerate(extra_texts(run).items()):
        exif[_MAKE - offset] = f"{key}:{json.dumps(value)}"
    return exif


def _chunks(run: NodeRun) -> PngInfo:
    # Chunks of ComfyUI's own, not the text chunks of a still PNG.
    info = PngInfo()
    for key, value in {"prompt": run.graph, **extra_texts(run)}.items():
        info.add(b"comf", key.encode("latin-1") + b"\0" + json.dumps(value).encode(), after_idat=True)
    return info

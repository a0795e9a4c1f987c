"""Nodes with visible outputs: files in the output and temp folders, frames on the websocket, texts."""

import json
import time
from typing import Any

from PIL.PngImagePlugin import PngInfo

from comfybridge.simulator.nodes.definition import NodeRun, node
from comfybridge.simulator.nodes.saving import extra_texts, preview_prefix
from comfybridge.simulator.nodes.values import Pictures
from comfybridge.simulator.save_path import save_path
from comfybridge.simulator.world import World


@node(
    "SaveImage",
    {"images": ("IMAGE", {}), "filename_prefix": ("STRING", {"default": "ComfyUI"})},
    saves_metadata=True,
    output_node=True,
    category="image",
    title="Save Image",
)
def save_image(run: NodeRun, images: Pictures, filename_prefix: str = "ComfyUI") -> dict[str, Any]:
    return save_pictures(run, images, filename_prefix, "output", compress_level=4)


@node(
    "PreviewImage",
    {"images": ("IMAGE",)},
    saves_metadata=True,
    output_node=True,
    category="image",
    title="Preview Image",
)
def preview_image(run: NodeRun, images: Pictures) -> dict[str, Any]:
    return save_pictures(run, images, preview_prefix(run), "temp", compress_level=1)


@node(
    "MaskPreview",
    {"mask": ("MASK",)},
    saves_metadata=True,
    output_node=True,
    category="mask",
    module="comfy_extras.nodes_mask",
)
def mask_preview(run: NodeRun, mask: Pictures) -> dict[str, Any]:
    pictures = [picture.convert("RGB") for picture in mask]
    return save_pictures(run, pictures, preview_prefix(run), "temp", compress_level=4)


def save_pictures(
    run: NodeRun, images: Pictures, prefix: str, kind: str, compress_level: int, *, after_number: str = "_"
) -> dict[str, Any]:
    """Writes PNG files below the folder `kind`; returns what the node shows."""
    folder = run.world.folders.of_type(kind)
    assert folder is not None
    place = save_path(prefix, folder, *images[0].size)
    files = []
    for number, image in enumerate(images):
        name = f"{place.name.replace('%batch_num%', str(number))}_{place.counter + number:05}{after_number}.png"
        image.save(place.folder / name, pnginfo=_metadata(run), compress_level=compress_level)
        files.append({"filename": name, "subfolder": place.subfolder, "type": kind})
    return {"images": files}


def _metadata(run: NodeRun) -> PngInfo:
    info = PngInfo()
    info.add_text("prompt", json.dumps(run.graph))
    for key, value in extra_texts(run).items():
        info.add_text(key, json.dumps(value))
    return info


def _now(_: World, **__: Any) -> float:
    return time.time()


@node(
    "SaveImageWebsocket",
    {"images": ("IMAGE",)},
    output_node=True,
    category="api/image",
    module="custom_nodes.websocket_image_save",
    changed=_now,
)
def save_image_websocket(run: NodeRun, images: Pictures) -> dict[str, Any]:
    for number, image in enumerate(images):
        run.progress(number, len(images), ("PNG", image))
    return {}


@node(
    "PreviewAny",
    {"source": ("*", {})},
    output_node=True,
    category="utils",
    title="Preview Any",
    module="comfy_extras.nodes_preview_any",
)
def preview_any(_: NodeRun, source: Any = None) -> dict[str, Any]:
    if isinstance(source, str):
        return {"text": [source]}
    if source is None or isinstance(source, (int, float)):
        return {"text": [str(source)]}
    try:
        return {"text": [json.dumps(source)]}
    except TypeError:
        return {"text": [str(source)]}


@node(
    "PrimitiveString",
    {"value": ("STRING", {"multiline": False})},
    returns=("STRING",),
    category="utils/primitive",
    title="String",
    module="comfy_extras.nodes_primitive",
    modern=True,
)
def primitive_string(_: NodeRun, value: str) -> tuple[str]:
    return (value,)


@node(
    "StringConcatenate",
    {"string_a": ("STRING", {}), "string_b": ("STRING", {}), "delimiter": ("STRING", {"default": ""})},
    returns=("STRING",),
    category="utils/string",
    title="Concatenate",
    module="comfy_extras.nodes_string",
    modern=True,
)
def string_concatenate(_: NodeRun, string_a: str, string_b: str, delimiter: str) -> tuple[str]:
    return (delimiter.join((string_a, string_b)),)

"""Pictures in every mode and format, with and without what ComfyUI embeds."""

from __future__ import annotations

import io
import json
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

GRAPH = {"1": {"class_type": "EmptyImage", "inputs": {"width": 64}}, "2": {"class_type": "SaveImage", "inputs": {}}}
EDITOR = {"nodes": [{"id": 1}], "links": []}


def drawn(mode: str = "RGB", size: tuple[int, int] = (48, 32)) -> Image.Image:
    """A gradient: no two corners are alike, so that turning and flattening show."""
    width, height = size
    across = Image.linear_gradient("L").rotate(90).resize(size)
    down = Image.linear_gradient("L").resize(size)
    rgba = Image.merge("RGBA", (across, down, Image.new("L", size, 40), down))
    if mode == "I;16":
        return Image.frombytes(
            "I;16", size, b"".join((x * 1000).to_bytes(2, "little") for x in range(width)) * height
        )
    return rgba.convert("RGB").convert(mode) if mode in ("P", "CMYK", "1", "RGB", "L") else rgba.convert(mode)


def encoded(image: Image.Image, format: str = "png", **arguments: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **arguments)
    return buffer.getvalue()


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def texts(**values: Any) -> PngInfo:
    """What ComfyUI's SaveImage gives a PNG."""
    info = PngInfo()
    for key, value in values.items():
        info.add_text(key, value if isinstance(value, str) else json.dumps(value))
    return info


def exif(**values: Any) -> Image.Exif:
    """What ComfyUI's SaveAnimatedWEBP gives a WebP."""
    found = Image.Exif()
    tag = 0x010F
    for key, value in values.items():
        text = f"{key}:{json.dumps(value)}"
        if key == "prompt":
            found[0x0110] = text
        else:
            found[tag] = text
            tag -= 1
    return found


def png_of_comfyui(image: Image.Image | None = None, **more: Any) -> bytes:
    return encoded(image or drawn(), pnginfo=texts(prompt=GRAPH, workflow=EDITOR, **more))


def moving(format: str, **arguments: Any) -> bytes:
    frames = [drawn(), drawn().transpose(Image.Transpose.FLIP_TOP_BOTTOM), drawn("L").convert("RGB")]
    return encoded(frames[0], format, save_all=True, append_images=frames[1:], duration=100, **arguments)

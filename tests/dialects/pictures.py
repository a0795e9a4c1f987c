"""Pictures and masks to send."""

from __future__ import annotations

import base64
import io

from PIL import Image

SIDE = 64
HOLE = (16, 16, 48, 48)


def as_png(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def as_data_uri(data: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(data).decode()}"


def opened(data: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(data))
    picture.load()
    return picture


RED = as_png(Image.new("RGB", (SIDE, SIDE), "red"))


def mask() -> bytes:
    """A mask whose middle is transparent."""
    picture = Image.new("RGBA", (SIDE, SIDE), (0, 0, 0, 255))
    picture.paste((0, 0, 0, 0), HOLE)
    return as_png(picture)

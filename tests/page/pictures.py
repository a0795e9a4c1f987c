"""Pictures to send, and those that came."""

from __future__ import annotations

import io

from PIL import Image


def png(size: tuple[int, int] = (128, 96), colour: str = "teal") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "PNG")
    return file.getvalue()


def opened(data: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(data))
    picture.load()
    return picture

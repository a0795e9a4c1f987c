"""Masks: pictures whose transparent pixels mark a part, in the other forms in which workflows read such marks."""

from __future__ import annotations

import io
from typing import Literal

from PIL import Image, ImageChops

from comfybridge.errors import InvalidRequest
from comfybridge.media import pixels
from comfybridge.media.checking import check_still_image
from comfybridge.media.opening import Unreadable, load, open_image
from comfybridge.media.room import ROOM

# The marked pixels are opaque, white, or black; the others are transparent, black, or white.
MarkedAs = Literal["opaque", "white", "black"]
_WITH_ALPHA = ("RGBA", "LA", "PA", "RGBa", "La")
_COMPRESS_LEVEL = 1  # the file only goes to ComfyUI


def has_transparency(data: bytes) -> bool | None:
    """Whether an image has pixels that may be transparent, by its header; None if it can't be read."""
    try:
        with open_image(data) as image:
            return image.mode in _WITH_ALPHA or "transparency" in image.info
    except Unreadable:
        return None


def marked_mask(name: str, data: bytes, marked: MarkedAs) -> bytes:
    """A mask as PNG, from one whose transparent pixels are marked.

    Args:
        name: of the mask, for messages.
        data: the file.
        marked: what marked pixels become.

    Raises:
        InvalidRequest: it is not an image.
        Busy: too many large images are being read.
    """
    alpha = _alpha(name, data)
    if marked == "black":
        return _png(alpha)
    inverted = ImageChops.invert(alpha)
    if marked == "white":
        return _png(inverted)
    return _png(Image.merge("LA", (Image.new("L", alpha.size), inverted)))


def with_transparency(name: str, data: bytes, mask_name: str, mask: bytes) -> bytes:
    """An image as PNG with the transparency of a mask, which is scaled to its size.

    Args:
        name, mask_name: for messages.

    Raises:
        InvalidRequest: one is not an image.
        Busy: too many large images are being read.
    """
    alpha = _alpha(mask_name, mask)
    picture = _read(name, data).convert("RGB")
    if alpha.size != picture.size:
        alpha = alpha.resize(picture.size, Image.Resampling.NEAREST)
    picture.putalpha(alpha)
    return _png(picture)


def _alpha(name: str, data: bytes) -> Image.Image:
    return _read(name, data).convert("RGBA").getchannel("A")


def _read(name: str, data: bytes) -> Image.Image:
    """An image in 8 bits, upright."""
    try:
        check_still_image(name, data, must_be_image=True)
        with open_image(data) as image, ROOM.held(image.width * image.height):
            load(image)
            return pixels.eight_bits(pixels.prepared(pixels.upright(image)))
    except InvalidRequest as error:
        error.field = name
        raise
    except Unreadable as error:
        raise InvalidRequest(f"The image {name[:200]} is truncated or broken.", field=name) from error


def _png(image: Image.Image) -> bytes:
    # not grey: ComfyUI 0.33 fails on grey files that are less than 16 pixels wide
    coloured = image.convert("RGBA" if image.mode in _WITH_ALPHA else "RGB")
    buffer = io.BytesIO()
    coloured.save(buffer, "png", compress_level=_COMPRESS_LEVEL)
    return buffer.getvalue()

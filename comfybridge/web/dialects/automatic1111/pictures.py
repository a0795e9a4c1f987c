"""Prepares the pictures and masks of img2img as AUTOMATIC1111 does (its `modules/images.py` and `masking.py`)."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from PIL import Image, ImageFilter, ImageOps

from comfybridge.errors import BridgeError
from comfybridge.media.opening import Unreadable, load, open_image
from comfybridge.media.pixels import eight_bits, prepared, upright
from comfybridge.media.room import ROOM
from comfybridge.web.dialects.automatic1111.errors import Problem, Unprocessable
from comfybridge.workflow.masks import MaskForm

STRETCHED, CROPPED, FILLED, LATENT = range(4)  # resize_mode
AROUND, ORIGINAL = 0, 1  # inpainting_fill
MOST_PIXELS = 64 * 1024 * 1024
COMPRESS_LEVEL = 1  # ComfyUI reads the file once
HALF = 128
LANCZOS = Image.Resampling.LANCZOS
# Radius and number of the blurs that spread colours into the masked place, the widest first.
_BLURS = ((256, 1), (64, 1), (16, 2), (4, 4), (2, 2), (0, 1))

Size = tuple[int, int]
Made = TypeVar("Made")


@dataclass(frozen=True)
class MaskOptions:
    """How a mask is prepared.

    Attributes:
        is_inverted: whether black is to be repainted.
        blur: pixels across and down.
        is_rounded: whether a mask in an alpha channel is made black and white.
    """

    is_inverted: bool = False
    blur: Size = (0, 0)
    is_rounded: bool = True


def resized(image: Image.Image, size: Size, mode: int) -> Image.Image:
    """The picture in another size: stretched, cropped to the new proportions, or with its edges drawn out to them."""
    width, height = size
    if mode not in (CROPPED, FILLED) or image.width * height == image.height * width:
        return image.resize(size, LANCZOS)
    is_wider = image.width * height > image.height * width
    if is_wider == (mode == CROPPED):
        inner = (max(1, image.width * height // image.height), height)
    else:
        inner = (width, max(1, image.height * width // image.width))
    inside = image.resize(inner, LANCZOS)
    made = Image.new(image.mode, size)
    left, top = width // 2 - inner[0] // 2, height // 2 - inner[1] // 2
    if mode == FILLED:
        _draw_out(inside, made, left, top)
    made.paste(inside, (left, top))
    return made


def _draw_out(inside: Image.Image, made: Image.Image, left: int, top: int) -> None:
    """Fill the rest of a picture with the outermost rows or columns of the one inside it."""
    width, height = made.size
    below, right = height - top - inside.height, width - left - inside.width
    edges = (
        ((width, top), (0, 0, inside.width, 1), (0, 0)),
        ((width, below), (0, inside.height - 1, inside.width, inside.height), (0, height - below)),
        ((left, height), (0, 0, 1, inside.height), (0, 0)),
        ((right, height), (inside.width - 1, 0, inside.width, inside.height), (width - right, 0)),
    )
    for size, box, place in edges:
        if min(size) > 0:
            made.paste(inside.resize(size, box=box), place)


def mask_of(image: Image.Image, options: MaskOptions) -> Image.Image:
    """The mask that a picture means, white where the other picture is to be repainted.

    A picture that is transparent anywhere says so by its alpha channel.
    """
    alpha = image.getchannel("A") if image.mode in ("RGBA", "LA") else None
    if alpha is not None and alpha.getextrema() != (255, 255):
        mask = alpha.point(lambda value: 255 if value > HALF else 0) if options.is_rounded else alpha
    else:
        mask = image.convert("L")
    if options.is_inverted:
        mask = ImageOps.invert(mask)
    return mask.filter(ImageFilter.GaussianBlur(options.blur)) if any(options.blur) else mask


def in_form(mask: Image.Image, form: MaskForm | None, image: Image.Image | None = None) -> Image.Image:
    """A mask as a workflow reads it.

    Args:
        form: which channel it reads, and what that means.
        image: the picture, if the mask is its alpha channel.
    """
    if form in ("alpha", "opaque", "in_image"):
        made = image.convert("RGB") if form == "in_image" and image is not None else Image.new("RGB", mask.size)
        made.putalpha(mask if form == "opaque" else ImageOps.invert(mask))
        return made
    return (ImageOps.invert(mask) if form == "black" else mask).convert("RGB")


def filled(image: Image.Image, mask: Image.Image) -> Image.Image:
    """The picture with the colours around the masked place spread into it."""
    outside = Image.new("RGBa", image.size)
    outside.paste(image.convert("RGBA").convert("RGBa"), mask=ImageOps.invert(mask))
    made = Image.new("RGBA", image.size)
    for radius, repeats in _BLURS:
        blurred = outside.filter(ImageFilter.GaussianBlur(radius)).convert("RGBA")
        for _ in range(repeats):
            made.alpha_composite(blurred)
    return made.convert("RGB")


def read(field: str, data: bytes, use: Callable[[Image.Image], Made], most: Size = (0, 0)) -> Made:
    """What is made of a picture: upright, in mode L, LA, RGB or RGBA.

    Args:
        field: what holds it, for the message.
        use: makes it.
        most: a size that it will be brought to.

    Raises:
        Unprocessable: it is not a picture, or would be too large.
        Busy: too many large pictures are being read.
    """
    try:
        with open_image(data) as image:
            pixels = max(image.width * image.height, most[0] * most[1])
            if pixels > MOST_PIXELS:
                raise _refused(field, f"has, or would have, more than {MOST_PIXELS} pixels")
            with ROOM.held(pixels):
                load(image)
                return use(eight_bits(prepared(upright(image))))
    except Unreadable:
        raise _refused(field, "is not a picture that can be read") from None
    except (BridgeError, MemoryError):
        raise
    except (OSError, ValueError) as error:  # Pillow's, for files that are odd in some way
        raise _refused(field, "is a picture that can't be changed") from error


def png(image: Image.Image) -> bytes:
    """A picture as a file."""
    image.info = {}
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=COMPRESS_LEVEL)
    return buffer.getvalue()


def _refused(field: str, why: str) -> Unprocessable:
    return Unprocessable([Problem(field, f"{field} {why}.")])

"""Opening images that others made: nothing that Pillow warns of or stumbles over gets any further."""

from __future__ import annotations

import io

from PIL import Image

from comfybridge.media import png
from comfybridge.media.containers import Malformed
from comfybridge.media.quiet import quiet

# Pictures, and nothing that is a program: for EPS, Pillow would run Ghostscript on what a stranger sent.
PICTURES = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "ICO", "PPM", "TGA", "MPO", "JPEG2000", "DDS", "PSD")
Image.init()
FORMATS = tuple(name for name in PICTURES if name in Image.OPEN)  # builds of Pillow differ
_END_OF_IHDR = 33


class Unreadable(Exception):
    """No image, or not one that Pillow can read; its message is Pillow's, and not for callers."""


def open_image(data: bytes) -> Image.Image:
    """The image, with its header read and its pixels not yet.

    Raises:
        Unreadable: it is none, or has more pixels than twice `Image.MAX_IMAGE_PIXELS`.
    """
    try:
        return _opened(data)
    except Unreadable:
        # Pillow refuses a whole PNG if a compressed text in it is larger than a megabyte, as graphs can be
        try:
            without_texts = png.stripped(data)
        except Malformed:
            without_texts = data
        if len(without_texts) == len(data):
            raise
    return _opened(without_texts)


def _opened(data: bytes) -> Image.Image:
    try:
        with quiet():
            return Image.open(io.BytesIO(data), formats=FORMATS)
    # on strange bytes Pillow's plugins raise OSError, ValueError, SyntaxError, struct.error, OverflowError, ...
    except Exception as error:
        raise Unreadable(str(error)) from error


def load(image: Image.Image) -> None:
    """Decode the (first frame's) pixels.

    Raises:
        Unreadable: they are truncated or broken.
    """
    try:
        image.load()
    except Exception as error:  # as above
        raise Unreadable(str(error)) from error


def image_size(data: bytes) -> tuple[int, int] | None:
    """Width and height in pixels, read off the header; None if it is no image that Pillow knows.

    Args:
        data: the file, or its first bytes.
    """
    if data.startswith(png.SIGNATURE) and data[12:16] == b"IHDR" and len(data) >= _END_OF_IHDR:
        width, height = int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
        # anything odd is left to Pillow, which is slower, and wants to see what stands before the pixels
        if 0 < width * height <= (Image.MAX_IMAGE_PIXELS or 0):
            return width, height
    try:
        with open_image(data) as image:
            width, height = image.size
            return width, height
    except Unreadable:
        return None

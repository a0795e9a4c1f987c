"""Opens untrusted images safely: anything that Pillow warns about or fails on is refused here."""

from __future__ import annotations

import io

from PIL import Image

from comfybridge.media import gif, jpeg, png
from comfybridge.media.containers import Malformed, TooMuch, claims_too_much
from comfybridge.media.without_warnings import without_warnings

# Only picture formats, not EPS, for which Pillow would run Ghostscript on an untrusted file. Nor JPEG 2000, in which
# few bytes can claim many layers of many pixels, and which is hardly used.
PICTURES = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "ICO", "PPM", "TGA", "MPO", "DDS", "PSD")
Image.init()
FORMATS = tuple(name for name in PICTURES if name in Image.OPEN)  # builds of Pillow differ in what they support
TIFFS = (b"II", b"MM")


class Unreadable(Exception):
    """The file is not an image that Pillow can read; the message is Pillow's, not for callers."""


class Exhausting(Unreadable):
    """A file that is made so that reading it takes very long."""


def open_image(data: bytes) -> Image.Image:
    """The image, with its header read and its pixels not yet.

    Raises:
        Unreadable: it is not an image, or has more pixels than twice `Image.MAX_IMAGE_PIXELS`.
        Exhausting: it has far more parts than any real picture.
    """
    _check_parts(data)
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


def _check_parts(data: bytes) -> None:
    """Refuse files that Pillow would read for minutes, or copy until memory runs out."""
    try:
        if data.startswith(png.SIGNATURE):
            png.check_parts(data)
        elif data.startswith(b"GIF8"):
            gif.is_whole(data)
        elif data.startswith(b"\xff\xd8"):
            jpeg.check_parts(data)
        elif data.startswith(TIFFS) and claims_too_much(data):
            raise TooMuch("its values claim more than there is")
    except TooMuch as error:
        raise Exhausting(str(error)) from error
    except Malformed:
        pass  # Pillow will report it, or read it anyway


def _opened(data: bytes) -> Image.Image:
    try:
        with without_warnings():
            return Image.open(io.BytesIO(data), formats=FORMATS)
    # on unexpected bytes, Pillow's plugins raise OSError, ValueError, SyntaxError, struct.error, OverflowError, ...
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
    """Width and height in pixels, from the header; None if Pillow does not know the image.

    Args:
        data: the file, or its first bytes.
    """
    if data.startswith(png.SIGNATURE) and data[12:16] == b"IHDR" and len(data) >= png.END_OF_IHDR:
        width, height = int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
        # anything unusual is left to Pillow, which is slower and reads everything that precedes the pixels
        if 0 < width * height <= (Image.MAX_IMAGE_PIXELS or 0):
            return width, height
    try:
        with open_image(data) as image:
            width, height = image.size
            return width, height
    except Unreadable:
        return None

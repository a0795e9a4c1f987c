"""Checks that an input file is the still image that it claims to be."""

from __future__ import annotations

from PIL import Image, features

from comfybridge.errors import InvalidRequest
from comfybridge.media import gif, png
from comfybridge.media.containers import Malformed
from comfybridge.media.foreign import foreign_kind
from comfybridge.media.kinds import file_extension, media_type_of
from comfybridge.media.opening import Exhausting, Unreadable, load, open_image
from comfybridge.media.room import ROOM

_STILL_TYPES = {"image/png", "image/jpeg", "image/webp", "image/gif", "image/bmp", "image/tiff", "image/avif"}
WANTED = "send a picture as PNG, JPEG, WebP, GIF, BMP or TIFF"
_END_OF_JPEG = b"\xff\xd9"


def check_still_image(name: str, data: bytes, *, must_be_image: bool = False) -> None:
    """Refuse a still image that no loader node could read. Of a moving image, the first frame is checked.

    A file that is something else by its name or first bytes passes unchecked.

    Args:
        name: what the caller named the file, for the message as well.
        must_be_image: whether to refuse a file that is not known to be an image.

    Raises:
        InvalidRequest: it is truncated, broken, not an image, has more pixels than `Image.MAX_IMAGE_PIXELS`, or is
            made so that reading it takes very long.
        Busy: too many large images are being read.
    """
    if not _claims_to_be_image(name, data) and not must_be_image:
        return
    shown = name[:200]
    if not data:
        raise InvalidRequest(f"The image {shown} is empty.")
    if file_extension(data) == "avif" and not features.check("avif"):  # Pillow before 11.3
        return
    try:
        image = open_image(data)
    except Exhausting:
        raise InvalidRequest(f"The image {shown} has too many parts.") from None
    except Unreadable as error:
        if isinstance(error.__cause__, Image.DecompressionBombError):
            raise InvalidRequest(f"The image {shown} has more than {_most_pixels()} pixels.") from error
        foreign = foreign_kind(name, data)
        if _known_magic(data) and foreign is None:
            raise InvalidRequest(f"The image {shown} is truncated or broken.") from error
        what = foreign or "not an image"
        raise InvalidRequest(f"The file {shown} is {what}; {WANTED}.") from error
    with image:
        width, height = image.size
        if width * height > _most_pixels():
            raise InvalidRequest(
                f"The image {shown} has {width} x {height} pixels; at most {_most_pixels()} are accepted."
            )
        with ROOM.held(width * height):
            try:
                load(image)
            except Unreadable as error:
                raise InvalidRequest(f"The image {shown} is truncated or broken.") from error
    if _lacks_its_end(data):
        raise InvalidRequest(f"The image {shown} is truncated.")


def _claims_to_be_image(name: str, data: bytes) -> bool:
    media_type, _ = media_type_of(name)
    if media_type in _STILL_TYPES:
        return True
    # cameras' raw files begin as TIFFs do: there, the name decides
    ending = file_extension(data)
    return media_type == "application/octet-stream" and ending != "tiff" and _known_magic(data)


def _known_magic(data: bytes) -> bool:
    return media_type_of(f"x.{file_extension(data)}")[0] in _STILL_TYPES


def _most_pixels() -> float:
    return Image.MAX_IMAGE_PIXELS or float("inf")


def _lacks_its_end(data: bytes) -> bool:
    """Whether all pixels are there but the end of the file is missing: Pillow reads no further than it must."""
    ending = file_extension(data)
    if ending == "png":
        try:
            return not any(chunk.type == b"IEND" for chunk in png.chunks(data))
        except Malformed:
            return True
    if ending == "gif":  # Pillow takes a truncated animation for a complete one
        return not gif.is_whole(data)
    return ending == "jpg" and _END_OF_JPEG not in data

"""Converting outputs as requested: another format, fewer pixels, no metadata."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import Any, Literal

from PIL import Image

from comfybridge.errors import BridgeError, FileUnusable, InvalidRequest
from comfybridge.media import jpeg, pixels, png, webp
from comfybridge.media.colors import parse_color
from comfybridge.media.containers import Malformed
from comfybridge.media.kinds import file_extension
from comfybridge.media.metadata import Metadata, as_exif, as_png, read_metadata
from comfybridge.media.opening import Unreadable, load, open_image
from comfybridge.media.room import ROOM
from comfybridge.request import OutputOptions

Format = Literal["png", "jpeg", "webp"]

_FORMATS: dict[str, Format] = {"PNG": "png", "JPEG": "jpeg", "MPO": "jpeg", "WEBP": "webp"}
# formats of which Pillow reads every complete file
_CONVERTIBLE = ("png", "jpg", "webp", "gif", "bmp", "tiff")
_CONVERTIBLE_TYPES = ("image/png", "image/jpeg", "image/webp", "image/gif", "image/bmp", "image/tiff")
_LONGEST_SIDE: dict[Format, int] = {"png": 2**31 - 1, "jpeg": 65500, "webp": 16383}  # libjpeg's and libwebp's
_COMPRESS_LEVEL = 4  # of a PNG; ComfyUI's own choice


@dataclass(frozen=True)
class Converted:
    """A converted file.

    Attributes:
        data: its bytes.
        media_type: their media type, which may have changed.
        warnings: sentences about what could not be done.
    """

    data: bytes
    media_type: str
    warnings: list[str] = field(default_factory=list)


def convert(data: bytes, media_type: str, options: OutputOptions) -> Converted:
    """Convert a still image as the options say. Other files stay unchanged, but moving PNG and WebP can be stripped.

    The picture is only re-encoded if necessary: for another format, for fewer pixels, or for a `quality` other than
    the default in a format that has one. Without `format`, a scaled image keeps its format, or becomes a PNG if it
    was none of the three.

    Args:
        media_type: from the file's name; its bytes take precedence.

    Raises:
        FileUnusable: it had to be re-encoded, but is broken or not an image.
        Busy: too many large images are being read.
        InvalidRequest: the background is not a colour, or the image is too large for the format.
    """
    if not media_type.startswith("image/"):
        return Converted(data, media_type)
    if options.format is not None or options.max_size is not None:
        converted = _encoded_anew(data, media_type, options)
        if converted is not None:
            return converted
    if options.metadata == "strip":
        return _stripped(data, media_type)
    return Converted(data, media_type)


def _encoded_anew(data: bytes, media_type: str, options: OutputOptions) -> Converted | None:
    """The re-encoded image; None if that is not necessary."""
    if options.format == "png" and options.max_size is None and media_type == "image/png" and png.looks_whole(data):
        return None  # as nearly all are; opening it would take longer than all else that is done with it
    try:
        image = open_image(data)
    except Unreadable as error:
        if file_extension(data) in _CONVERTIBLE or media_type in _CONVERTIBLE_TYPES:
            raise _unconvertible(media_type) from error
        return Converted(
            data, media_type, [f"An output of type {media_type} cannot be converted, and is returned unchanged."]
        )
    with image:
        if _moves(image, media_type):
            return None
        source = _FORMATS.get(image.format or "")
        target = options.format or source or "png"
        too_large = options.max_size is not None and max(image.size) > options.max_size
        if not too_large and (options.format is None or (source == target and not _asks_quality(target, options))):
            if source == target and media_type != f"image/{target}":
                return convert(data, f"image/{target}", options)  # its name was wrong
            return None
        with ROOM.held(image.width * image.height):
            try:
                load(image)
                return _encode(_drawn(image, target, options), target, _profile(image), data, options)
            except BridgeError:
                raise
            except Exception as error:  # an unusual mode or palette, no memory: Pillow may raise nearly anything
                raise _unconvertible(media_type) from error


def _asks_quality(target: Format, options: OutputOptions) -> bool:
    return target != "png" and not options.lossless and options.quality != OutputOptions.quality


def _moves(image: Image.Image, media_type: str) -> bool:
    # an MPO is a photograph with further pictures, not an animation
    try:
        return bool(getattr(image, "is_animated", False)) and image.format != "MPO"
    except Exception as error:  # for some formats, Pillow reads the file to answer this
        raise _unconvertible(media_type) from error


def _drawn(image: Image.Image, target: Format, options: OutputOptions) -> Image.Image:
    """The picture as it will be encoded: upright, scaled, in a mode that the format supports."""
    drawn = pixels.prepared(pixels.upright(image))
    if options.max_size is not None:
        drawn = pixels.scaled_down(drawn, options.max_size)
    if max(drawn.size) > _LONGEST_SIDE[target]:
        width, height = drawn.size
        raise InvalidRequest(
            f"An output has {width} x {height} pixels, but {target} allows {_LONGEST_SIDE[target]} a side; "
            "ask for another format or for a smaller max_size."
        )
    if target == "png":
        return drawn
    drawn = pixels.eight_bits(drawn)
    if target == "jpeg":
        return pixels.flattened(drawn, parse_color(options.background))
    return drawn if drawn.mode in ("RGB", "RGBA") else drawn.convert("RGBA" if drawn.mode == "LA" else "RGB")


def _profile(image: Image.Image) -> bytes | None:
    profile = image.info.get("icc_profile")
    return profile if isinstance(profile, bytes) else None


def _encode(
    image: Image.Image, target: Format, profile: bytes | None, original: bytes, options: OutputOptions
) -> Converted:
    metadata, warnings = Metadata(), []
    if options.metadata == "keep":
        try:
            metadata = read_metadata(original)
        except Malformed as error:
            warnings.append(f"The metadata of an output could not be kept, because {error}.")
    arguments: dict[str, Any] = {}
    if target == "png":
        arguments["compress_level"] = _COMPRESS_LEVEL
        arguments["pnginfo"], exif = as_png(metadata)
    else:
        exif, dropped = as_exif(metadata, jpeg.LARGEST_SEGMENT if target == "jpeg" else None)
        if dropped:
            warnings.append(f"There was no room in a {target} output for its metadata: {', '.join(dropped)}.")
        arguments["quality"] = options.quality
    if target == "webp":
        # exact: keeps the colours of fully transparent pixels, which lossless means too
        arguments.update(lossless=options.lossless, exact=options.lossless)
    if exif:
        arguments["exif"] = exif
    image.info = {}  # write only the values given here
    buffer = io.BytesIO()
    image.save(buffer, target, icc_profile=pixels.fitting_profile(profile, image.mode), **arguments)
    return Converted(buffer.getvalue(), f"image/{target}", warnings)


def _stripped(data: bytes, media_type: str) -> Converted:
    strip = {"png": png.stripped, "webp": webp.stripped, "jpg": jpeg.stripped}.get(file_extension(data) or "")
    if strip is None:
        return Converted(data, media_type)
    try:
        stripped = strip(data)
    except Malformed as error:
        return Converted(data, media_type, [f"The metadata of an output could not be stripped, because {error}."])
    return Converted(data if stripped == data else stripped, media_type)


def _unconvertible(media_type: str) -> FileUnusable:
    return FileUnusable(f"ComfyUI's output of type {media_type} is not an image that can be converted.")

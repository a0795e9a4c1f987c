"""What a file is, by its name; how large an image is, by its first bytes."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass

from PIL import Image

from comfybridge.request import Kind, OutputOptions

# Not `mimetypes`: it asks the operating system, and says something else on every one of them.
_MEDIA_TYPES: dict[str, tuple[str, Kind]] = {
    "png": ("image/png", "image"),
    "jpg": ("image/jpeg", "image"),
    "jpeg": ("image/jpeg", "image"),
    "webp": ("image/webp", "image"),
    "gif": ("image/gif", "image"),
    "bmp": ("image/bmp", "image"),
    "tif": ("image/tiff", "image"),
    "tiff": ("image/tiff", "image"),
    "avif": ("image/avif", "image"),
    "svg": ("image/svg+xml", "image"),
    "exr": ("image/x-exr", "image"),
    "mp4": ("video/mp4", "video"),
    "m4v": ("video/mp4", "video"),
    "webm": ("video/webm", "video"),
    "mkv": ("video/x-matroska", "video"),
    "mov": ("video/quicktime", "video"),
    "avi": ("video/x-msvideo", "video"),
    "wav": ("audio/wav", "audio"),
    "mp3": ("audio/mpeg", "audio"),
    "flac": ("audio/flac", "audio"),
    "ogg": ("audio/ogg", "audio"),
    "opus": ("audio/ogg", "audio"),
    "m4a": ("audio/mp4", "audio"),
    "aac": ("audio/aac", "audio"),
    "glb": ("model/gltf-binary", "3d"),
    "gltf": ("model/gltf+json", "3d"),
    "obj": ("model/obj", "3d"),
    "stl": ("model/stl", "3d"),
    "ply": ("application/x-ply", "3d"),
    "fbx": ("application/octet-stream", "3d"),
    "usdz": ("model/vnd.usdz+zip", "3d"),
    "txt": ("text/plain; charset=utf-8", "text"),
    "md": ("text/markdown; charset=utf-8", "text"),
    "csv": ("text/csv; charset=utf-8", "text"),
    "json": ("application/json", "file"),
    "zip": ("application/zip", "file"),
}
_EXTENSIONS = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp"}


def media_type_of(filename: str) -> tuple[str, Kind]:
    """The media type and the kind of a file; `application/octet-stream` and `file` if its ending says nothing."""
    ending = filename.rpartition(".")[2].lower()
    return _MEDIA_TYPES.get(ending, ("application/octet-stream", "file"))


def extension_of(media_type: str) -> str:
    """The usual ending, without a dot, of an image's media type."""
    return _EXTENSIONS.get(media_type, "png")


def image_size(data: bytes) -> tuple[int, int] | None:
    """Width and height in pixels, read off the header; None if it is no image that Pillow knows."""
    try:
        with warnings.catch_warnings(), Image.open(io.BytesIO(data)) as image:
            warnings.simplefilter("ignore")
            width, height = image.size
            return width, height
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


@dataclass(frozen=True)
class Converted:
    """An image as it was asked for."""

    data: bytes
    media_type: str
    warnings: list[str]


def convert(data: bytes, media_type: str, options: OutputOptions) -> Converted:
    """The image as it is."""
    return Converted(data, media_type, [])

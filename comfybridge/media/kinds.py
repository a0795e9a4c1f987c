"""The kind of a file, by its name or by its first bytes."""

from __future__ import annotations

import re

from comfybridge.request import Kind

# Not from `mimetypes`, which asks the operating system and gives different results on each.
_MEDIA_TYPES: dict[str, tuple[str, Kind]] = {
    "png": ("image/png", "image"),
    "jpg": ("image/jpeg", "image"),
    "jpeg": ("image/jpeg", "image"),
    "jpe": ("image/jpeg", "image"),
    "jfif": ("image/jpeg", "image"),
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
    "splat": ("application/octet-stream", "3d"),
    "ksplat": ("application/octet-stream", "3d"),
    "spz": ("application/octet-stream", "3d"),
    "txt": ("text/plain; charset=utf-8", "text"),
    "md": ("text/markdown; charset=utf-8", "text"),
    "csv": ("text/csv; charset=utf-8", "text"),
    "json": ("application/json", "file"),
    "zip": ("application/zip", "file"),
}
_EXTENSIONS = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp"}
_OTHER_NAMES = {
    **dict.fromkeys(
        ("image/jpg", "image/pjpeg", "image/x-jpeg", "image/x-jpg", "image/jpe", "image/jfif"), "image/jpeg"
    ),
    **dict.fromkeys(("image/x-png", "image/x-citrix-png"), "image/png"),
    **dict.fromkeys(("image/x-webp", "application/webp"), "image/webp"),
    **dict.fromkeys(("image/x-gif",), "image/gif"),
    **dict.fromkeys(("image/svg", "image/x-svg", "application/svg+xml"), "image/svg+xml"),
    **dict.fromkeys(("video/x-mp4", "video/m4v", "video/x-m4v"), "video/mp4"),
    **dict.fromkeys(("video/x-webm",), "video/webm"),
    **dict.fromkeys(("video/matroska", "video/mkv"), "video/x-matroska"),
    **dict.fromkeys(("audio/x-wav", "audio/wave", "audio/x-pn-wav", "audio/vnd.wave"), "audio/wav"),
    **dict.fromkeys(("audio/mp3", "audio/x-mp3", "audio/x-mpeg", "audio/mpeg3"), "audio/mpeg"),
    **dict.fromkeys(("audio/x-flac",), "audio/flac"),
    **dict.fromkeys(("audio/x-ogg", "application/ogg", "audio/opus"), "audio/ogg"),
    **dict.fromkeys(("audio/m4a", "audio/x-m4a"), "audio/mp4"),
    **dict.fromkeys(("application/x-zip", "application/x-zip-compressed", "multipart/x-zip"), "application/zip"),
    **dict.fromkeys(("text/json", "text/x-json", "application/x-json"), "application/json"),
}
_USUAL_ENDING = re.compile(r"[a-z0-9]{1,16}")
# Something like the ending of a file's name, but not like a version (`cat.v2`) or the end of a sentence.
_ENDING = re.compile(r"(?!v[0-9]+$)[a-z0-9]*[a-z][a-z0-9]*")

# leading bytes, and where they stand
_MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x89PNG\r\n\x1a\n", "png"),
    (0, b"\xff\xd8\xff", "jpg"),
    (0, b"GIF87a", "gif"),
    (0, b"GIF89a", "gif"),
    (0, b"II*\x00", "tiff"),
    (0, b"MM\x00*", "tiff"),
    (0, b"fLaC", "flac"),
    (0, b"OggS", "ogg"),
    (0, b"ID3", "mp3"),
    (0, b"glTF", "glb"),
)
_RIFF = {b"WEBP": "webp", b"WAVE": "wav", b"AVI ": "avi"}
_FTYP = {b"avif": "avif", b"avis": "avif", b"qt  ": "mov", b"M4A ": "m4a"}
# HEIF pictures and sequences; only a later brand may name the codec
_HEIF = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"mif2", b"msf1"}
_BMP_HEADER_SIZES = {12, 40, 52, 56, 64, 108, 124}
# endings that are more specific than the container
_CLOSER = {"mp4": {"m4a", "m4v", "mov"}, "ogg": {"opus"}}


def media_type_of(filename: str) -> tuple[str, Kind]:
    """The media type and the kind of a file; `application/octet-stream` and `file` if its ending says nothing."""
    return _MEDIA_TYPES.get(_ending_of(filename), ("application/octet-stream", "file"))


def named_ending(filename: str) -> str:
    """The ending of a file's name, without a dot and in lower case; empty if it has none."""
    ending = _ending_of(filename)
    return ending if _ENDING.fullmatch(ending) else ""


def is_known_ending(ending: str) -> bool:
    """Whether an ending, without a dot, is known."""
    return ending in _MEDIA_TYPES


def is_same_ending(one: str, other: str) -> bool:
    """Whether two endings, without a dot, are those of the same kind of file, as jpg and jpeg are."""
    return one == other or _usual_type(one) == _usual_type(other) != ""


def _usual_type(ending: str) -> str:
    """The media type of an ending; empty if it has none of its own."""
    return _MEDIA_TYPES.get(ending, ("", ""))[0].replace("application/octet-stream", "")


def usual_media_type(media_type: str) -> str:
    """The registered name of a media type for which some programs use another, `image/jpeg` for `image/jpg`."""
    return _OTHER_NAMES.get(media_type, media_type)


def extension_of(media_type: str) -> str:
    """The usual ending, without a dot, of an image's media type."""
    return _EXTENSIONS.get(media_type, "png")


def file_extension(data: bytes) -> str | None:
    """The usual ending, without a dot, for these bytes; None if their format is unknown.

    Knows png, jpg, webp, gif, bmp, tiff, avif, heic; mp4, mov, webm, mkv, avi; wav, mp3, flac, ogg, m4a; glb.
    """
    for start, magic, ending in _MAGIC:
        if data.startswith(magic, start):
            return ending
    if data[:4] == b"RIFF":
        return _RIFF.get(data[8:12])
    if data[4:8] == b"ftyp":
        return _of_ftyp(data)
    if data[:4] == b"\x1aE\xdf\xa3":  # EBML; the DocType is among its first elements
        return "webm" if b"webm" in data[:64] else "mkv"
    # its two letters alone would match too many other files
    if data[:2] == b"BM" and int.from_bytes(data[14:18], "little") in _BMP_HEADER_SIZES:
        return "bmp"
    if _is_mpeg_audio(data):
        return "mp3"
    return None


def _of_ftyp(data: bytes) -> str:
    """The ending by the brands of a file of the MP4 family."""
    brand = data[8:12]
    if brand not in _HEIF:
        return _FTYP.get(brand, "mp4")
    brands = data[16 : min(int.from_bytes(data[:4], "big"), 256)]
    return "avif" if b"avif" in brands or b"avis" in brands else "heic"


def suffix_of(data: bytes, name: str) -> str:
    """The ending, without a dot, that suits a file with these bytes; empty if neither bytes nor name show it."""
    named = _ending_of(name)
    found = file_extension(data)
    if found is None or named in _CLOSER.get(found, ()):
        return named if _USUAL_ENDING.fullmatch(named) else ""
    return found


def _ending_of(filename: str) -> str:
    return filename.rpartition(".")[2].lower() if "." in filename else ""


def _is_mpeg_audio(data: bytes) -> bool:
    """Whether it begins with the header of an MPEG layer III frame (eleven set bits, then version and layer)."""
    if len(data) < 4 or data[0] != 0xFF or data[1] & 0xE0 != 0xE0:
        return False
    version, layer, bitrate, rate = data[1] >> 3 & 3, data[1] >> 1 & 3, data[2] >> 4, data[2] >> 2 & 3
    return version != 1 and layer == 1 and bitrate not in (0, 15) and rate != 3

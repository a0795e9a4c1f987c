"""The texts that ComfyUI embeds in an image: the graph (`prompt`), the editor's `workflow`, and what nodes add.

PNG has text chunks for them. WebP and JPEG have EXIF, where ComfyUI's savers write `KEY:JSON` into text tags: the
graph into Model, the others into Make and the tags below it (`SaveAnimatedWEBP`, `comfy_extras/nodes_images.py`).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from comfybridge.json_size import holds_too_much
from comfybridge.media import jpeg, png, webp
from comfybridge.media.containers import EXIF_PREFIX, read_exif, without_orientation
from comfybridge.media.kinds import file_extension

_MODEL = 0x0110
# Make and the tags below it, as long as EXIF defines them as texts: 0x010A is a number, with which ComfyUI itself
# fails
_BELOW_MODEL = (0x010F, 0x010E, 0x010D, 0x010C, 0x010B)
_TEXT_TAGS = (_MODEL, *_BELOW_MODEL)
_KEY_AND_JSON = re.compile(r"([A-Za-z_][\w .-]{0,78}):(.*)", re.DOTALL | re.ASCII)


@dataclass(frozen=True)
class Metadata:
    """The metadata of a picture.

    Attributes:
        texts: by keyword, in the file's order.
        exif: the EXIF block, with those texts if it held them.
        raw_texts: a PNG's text chunks, type and content.
    """

    texts: dict[str, str] = field(default_factory=dict)
    exif: bytes = b""
    raw_texts: list[tuple[bytes, bytes]] = field(default_factory=list)


def read_metadata(data: bytes) -> Metadata:
    """The metadata of a PNG, WebP or JPEG; empty for any other file.

    Raises:
        Malformed: the file is malformed, or its texts are too large.
    """
    ending = file_extension(data)
    if ending == "png":
        exif = png.exif(data)
        return Metadata({**_texts_in(read_exif(exif)), **png.texts(data)}, exif, png.raw_texts(data))
    if ending in ("webp", "jpg"):
        exif = webp.exif(data) if ending == "webp" else jpeg.exif(data)
        return Metadata(_texts_in(read_exif(exif)), exif)
    return Metadata()


def as_png(metadata: Metadata) -> tuple[PngInfo, bytes]:
    """The texts as PNG chunks (those of a PNG unchanged), and the rest of the EXIF block."""
    info = PngInfo()
    for type, content in metadata.raw_texts:
        info.add(type, content)
    exif = without_orientation(metadata.exif)
    present = {content.partition(b"\0")[0] for _, content in metadata.raw_texts}
    for tag, key, text in _entries(exif):
        del exif[tag]
        if key.encode() not in present:
            info.add_text(key, text)
    return info, _packed(exif)


def as_exif(metadata: Metadata, most_bytes: int | None = None) -> tuple[bytes, list[str]]:
    """The EXIF block with the texts added, and the keywords of texts that did not fit.

    Args:
        most_bytes: the limit for the block, including its prefix. The graph is dropped last.
    """
    order = sorted(metadata.texts, key=lambda key: key != "prompt")
    room = len(_BELOW_MODEL) + ("prompt" in metadata.texts)
    kept, dropped = order[:room], order[room:]
    while True:
        block = _with_texts(metadata, kept)
        if most_bytes is None or len(block) <= most_bytes:
            return block, dropped
        if not kept:
            return b"", [*dropped, "EXIF"]
        dropped.insert(0, kept.pop())


def _with_texts(metadata: Metadata, keys: list[str]) -> bytes:
    exif = without_orientation(metadata.exif)
    for tag, _, _ in _entries(exif):
        del exif[tag]
    tags = iter(_BELOW_MODEL)
    for key in keys:
        tag = _MODEL if key == "prompt" else next(tags)
        exif[tag] = _ascii(f"{key}:{metadata.texts[key]}")
    return _packed(exif)


def _packed(exif: Image.Exif) -> bytes:
    """The block with its prefix; empty if there is nothing in it."""
    if not len(exif):
        return b""
    try:
        block = exif.tobytes()
    except Exception:  # Pillow can't write everything that it reads, such as a tag of the wrong type
        texts = {tag: value for tag, value in exif.items() if isinstance(value, str) and tag in _TEXT_TAGS}
        exif = Image.Exif()
        exif.update(texts)
        block = exif.tobytes()
    return block if block.startswith(EXIF_PREFIX) else EXIF_PREFIX + block


def _texts_in(exif: Image.Exif) -> dict[str, str]:
    return {key: text for _, key, text in _entries(exif)}


def _entries(exif: Image.Exif) -> list[tuple[int, str, str]]:
    """Tag, keyword and JSON of the texts that ComfyUI's savers put into EXIF; the graph first."""
    found = []
    for tag in sorted((tag for tag in exif if tag <= _MODEL), reverse=True):
        value = exif[tag]
        match = _KEY_AND_JSON.fullmatch(value) if isinstance(value, str) else None
        if match and _is_json(match[2]):
            found.append((tag, match[1], match[2]))
    return found


def _is_json(text: str) -> bool:
    if holds_too_much(text):
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _ascii(text: str) -> str:
    """The JSON in ASCII, as EXIF requires: other characters become JSON escapes."""
    return text if text.isascii() else "".join(c if c.isascii() else json.dumps(c)[1:-1] for c in text)

"""Stores uploaded files: conflicting names are changed, and files that are already there are not stored twice."""

import io
import json
import os
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from comfybridge.simulator.world import Folders


class UploadRefused(Exception):
    """The upload has no name, or one that leads out of the folder."""


def store(
    content: bytes, stored: bytes | None, name: str, root: Path | None, subfolder: str, overwrite: bool
) -> tuple[str, str]:
    """Writes a file below `root`; returns the name it got, which may differ from `name`, and the subfolder.

    `content` is compared with the files that are there, `stored` is what is written; None writes nothing. Raises
    UploadRefused for an empty name and for places outside `root`.
    """
    if root is None:
        raise ValueError("no such folder type")  # ComfyUI fails too, and answers 500
    base = os.path.abspath(root)
    folder = os.path.join(base, os.path.normpath(subfolder))
    path = os.path.abspath(os.path.join(folder, name))
    if not name or os.path.commonpath((base, path)) != base:
        raise UploadRefused
    os.makedirs(folder, exist_ok=True)
    stem, suffix = os.path.splitext(name)
    number = 1
    while not overwrite and os.path.exists(path):
        if Path(path).read_bytes() == content:
            return name, subfolder
        name = f"{stem} ({number}){suffix}"
        path = os.path.join(folder, name)
        number += 1
    if stored is not None:
        Path(path).write_bytes(stored)
    return name, subfolder


def copy_alpha(mask: bytes, reference: str, folders: Folders) -> bytes | None:
    """The picture that `reference` (JSON with filename, subfolder, type) names, with the alpha of `mask`, as PNG.

    None for a picture that is not there or may not be reached: ComfyUI then answers as usual, and stores nothing.
    """
    original = json.loads(reference)
    name, folder = folders.split_annotation(original["filename"])
    folder = folder or folders.of_type(original.get("type", "output"))
    if not name or name.startswith("/") or ".." in name or folder is None:
        return None
    base = os.path.abspath(folder)
    path = os.path.abspath(os.path.join(base, original.get("subfolder", ""), name))
    if os.path.commonpath((base, path)) != base or not os.path.isfile(path):
        return None
    buffer = io.BytesIO()
    with Image.open(path) as picture, Image.open(io.BytesIO(mask)) as alpha:
        texts = PngInfo()
        for key, value in getattr(picture, "text", {}).items():
            texts.add_text(key, value)
        result = picture.convert("RGBA")
        result.putalpha(alpha.convert("RGBA").getchannel("A"))
        result.save(buffer, format="PNG", compress_level=4, pnginfo=texts)
    return buffer.getvalue()

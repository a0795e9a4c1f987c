"""Storing uploaded files: names that clash are changed, files that are already there are not stored twice."""

import io
import json
import os
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from comfybridge.simulator.world import Folders


class UploadRefused(Exception):
    """The upload is answered with `status` and nothing else."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def store(content: bytes, name: str, root: Path | None, subfolder: str, overwrite: bool) -> tuple[str, str]:
    """Writes a file below `root`; returns the name it got, which may differ from `name`, and the subfolder.

    Raises UploadRefused(400) for an empty name and for places outside `root`.
    """
    if root is None:
        raise ValueError("no such folder type")  # ComfyUI stumbles too, and answers 500
    base = os.path.abspath(root)
    folder = os.path.join(base, os.path.normpath(subfolder))
    path = os.path.abspath(os.path.join(folder, name))
    if not name or os.path.commonpath((base, path)) != base:
        raise UploadRefused(400)
    os.makedirs(folder, exist_ok=True)
    stem, suffix = os.path.splitext(name)
    number = 1
    while not overwrite and os.path.exists(path):
        if Path(path).read_bytes() == content:
            return name, subfolder
        name = f"{stem} ({number}){suffix}"
        path = os.path.join(folder, name)
        number += 1
    Path(path).write_bytes(content)
    return name, subfolder


def copy_alpha(mask: bytes, reference: str, folders: Folders) -> bytes:
    """The picture that `reference` (JSON with filename, subfolder, type) names, with the alpha of `mask`, as PNG.

    Raises UploadRefused for places outside the folders (400, 403) and for a picture that is not there (400).
    """
    original = json.loads(reference)
    name, folder = folders.split_annotation(original["filename"])
    folder = folder or folders.of_type(original.get("type", "output"))
    if not name or name.startswith("/") or ".." in name or folder is None:
        raise UploadRefused(400)
    base = os.path.abspath(folder)
    path = os.path.abspath(os.path.join(base, original.get("subfolder", ""), name))
    if os.path.commonpath((base, path)) != base:
        raise UploadRefused(403)
    if not os.path.isfile(path):
        raise UploadRefused(400)
    buffer = io.BytesIO()
    with Image.open(path) as picture, Image.open(io.BytesIO(mask)) as alpha:
        texts = PngInfo()
        for key, value in getattr(picture, "text", {}).items():
            texts.add_text(key, value)
        result = picture.convert("RGBA")
        result.putalpha(alpha.convert("RGBA").getchannel("A"))
        result.save(buffer, format="PNG", compress_level=4, pnginfo=texts)
    return buffer.getvalue()

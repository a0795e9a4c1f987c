"""A generation as the bytes of one of its files, or as a zip of all."""

from __future__ import annotations

import io
import re
import zipfile
from urllib.parse import quote

from flask import Response

from comfybridge.errors import InvalidRequest, NotAcceptable
from comfybridge.request import Generation, Output
from comfybridge.web.negotiation import Wanted

_UNSAFE = re.compile(r"[\x00-\x1f\x7f<>:\"|?*\\/]+")


def file_response(generation: Generation, wanted: Wanted, index: int) -> Response:
    """The bytes of one file, with what else there is to know in headers.

    Args:
        index: which of the files of the wanted kind, counted from 0.

    Raises:
        NotAcceptable: the workflow made nothing of that kind.
        InvalidRequest: it made less than that.
    """
    files = [output for output in generation.outputs if output.kind == wanted.kind]
    if not files:
        kinds = ", ".join(sorted({output.kind for output in generation.outputs}))
        raise NotAcceptable(
            f"The workflow made no {wanted.kind}, but {kinds}; ask for application/json or application/zip.",
            prompt_id=generation.prompt_id,
        )
    if index >= len(files):
        raise InvalidRequest(
            f"index is {index}, but the workflow made {len(files)} of kind {wanted.kind}; the first has index 0.",
            prompt_id=generation.prompt_id,
        )
    output = files[index]
    loaded = output.load()
    if wanted.media_type not in (None, loaded.media_type):
        raise NotAcceptable(
            f"The workflow's {wanted.kind} is {loaded.media_type}, and only {wanted.media_type} is accepted.",
            prompt_id=generation.prompt_id,
        )
    response = Response(loaded.data, content_type=loaded.media_type)
    response.headers["Content-Disposition"] = _disposition("inline", loaded.filename)
    return _with_facts(response, generation)


def zip_response(generation: Generation) -> Response:
    """All files and texts in a zip, each under its own name."""
    buffer = io.BytesIO()
    taken: set[str] = set()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:  # pictures and videos are compressed already
        for output in generation.outputs:
            loaded = output.load()
            archive.writestr(_free_name(loaded.filename or _text_name(output), taken), loaded.data)
    response = Response(buffer.getvalue(), content_type="application/zip")
    response.headers["Content-Disposition"] = _disposition("attachment", f"{generation.prompt_id}.zip")
    return _with_facts(response, generation)


def safe_name(filename: str) -> str:
    """A file name without folders and without what would break a header or a file system."""
    name = _UNSAFE.sub("_", filename).strip(". ")
    return name or "output"


def _disposition(kind: str, filename: str) -> str:
    """The header that names a file: in plain letters for all, and as it is for who reads RFC 6266."""
    name = safe_name(filename)
    plain = name.encode("ascii", "replace").decode("ascii").replace("?", "_")
    header = f'{kind}; filename="{plain}"'
    return header if plain == name else f"{header}; filename*=UTF-8''{quote(name, safe='')}"


def _with_facts(response: Response, generation: Generation) -> Response:
    if generation.seed is not None:
        response.headers["X-Seed"] = str(generation.seed)
    return response


def _text_name(output: Output) -> str:
    return f"text_{output.node_id}.txt"


def _free_name(filename: str, taken: set[str]) -> str:
    """The name, with a number if another file of the zip has it already."""
    name = safe_name(filename)
    stem, dot, ending = name.rpartition(".")
    number = 1
    while name.lower() in taken:
        number += 1
        name = f"{stem} ({number}){dot}{ending}" if stem else f"{ending} ({number})"
    taken.add(name.lower())
    return name

"""Reads the files in a request: base64, data URIs and URLs, in any place where they may stand."""

from __future__ import annotations

import base64
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_to_bytes

from comfybridge.errors import InvalidRequest
from comfybridge.files.forms import FILE_INPUTS
from comfybridge.media import file_extension
from comfybridge.request import InputFile
from comfybridge.workflow.filling import targets_of
from comfybridge.workflow.graph import Graph
from comfybridge.workflow.parameters import Parameter
from comfybridge.workflow.wording import clip

MOST_FILES = 100
LONGEST_NAME = 260  # no file system allows longer names; the smallest PNG in base64 is not much longer
FORMS = "base64, a data URI, or an http or https URL"
IMAGES_FORMS = "{name: data} or [{name, image}]"
_BASE64 = re.compile(r"[A-Za-z0-9+/_\s-]{16,}={0,2}\s*")


@dataclass(frozen=True)
class LinkedFile(InputFile):
    """An input file known only by its URL; it is fetched once the request has a slot, or by a node."""

    data: bytes = field(default=b"", repr=False)
    url: str = field(default="", repr=False)


def read_images(value: object) -> list[InputFile]:
    """The files of a request's `images`: `{name: data}` or `[{name, image}]`.

    Raises:
        InvalidRequest: `images` has another shape, or a file's data can't be read.
    """
    if isinstance(value, (dict, list)):
        check_count(len(value))
    return [read_file(name, data) for name, data in _pairs(value)]


def check_count(count: int) -> None:
    """Refuse more files than a request may have.

    Raises:
        InvalidRequest
    """
    if count > MOST_FILES:
        raise InvalidRequest(f"images has {count} files; a request may have {MOST_FILES}.", field="images")


def _pairs(value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        yield from value.items()
        return
    if not isinstance(value, list):
        raise InvalidRequest(f"images must be {IMAGES_FORMS}.", field="images")
    for number, item in enumerate(value, 1):
        if not isinstance(item, dict) or item.keys() != {"name", "image"} or not isinstance(item["name"], str):
            raise InvalidRequest(
                f"images: item {number} must be an object with a name and an image, and nothing else.", field="images"
            )
        yield item["name"], item["image"]


def split_params(
    params: Mapping[str, Any], parameters: Mapping[str, Parameter], graph: Graph
) -> tuple[dict[str, Any], list[InputFile]]:
    """The parameters without those that hold a file itself instead of its name, and these files.

    Raises:
        InvalidRequest: a file's data can't be read.
    """
    files = [
        read_file(name, value, "params")
        for name, value in params.items()
        if may_be_data(value) and is_for_file(name, parameters, graph)
    ]
    lifted = {file.name for file in files}
    return {name: value for name, value in params.items() if name not in lifted}, files


def is_for_file(name: str, parameters: Mapping[str, Parameter], graph: Graph) -> bool:
    """Whether a parameter names a file, or a `"NODE.INPUT"` is one of ComfyUI's own inputs for files."""
    if name in parameters:
        return parameters[name].is_file
    return any(
        target.node in graph and FILE_INPUTS.get(graph[target.node]["class_type"]) == target.input
        for target in targets_of(name, graph, parameters)
    )


def files_in(graph: Graph, but: Collection[str] = ()) -> list[InputFile]:
    """The files that a caller's graph holds in place of names, in ComfyUI's own loaders; each is named `NODE.INPUT`.

    Args:
        but: inputs to skip, because their values are replaced.

    Raises:
        InvalidRequest: a file's data can't be read.
    """
    files = []
    for node_id, node in graph.items():
        input_name = FILE_INPUTS.get(node["class_type"])
        if input_name is None:
            continue
        name, value = f"{node_id}.{input_name}", node["inputs"].get(input_name)
        if may_be_data(value) and name not in but:
            files.append(read_file(name, value, "workflow"))
    return files


def may_be_data(value: object) -> bool:
    """Whether a value is no file name, so that it may be a file's data."""
    return isinstance(value, str) and (
        len(value) > LONGEST_NAME
        or value[:8].lower().startswith(("data:", "http://", "https://"))
        or _holds_file(value)
    )


def _holds_file(text: str) -> bool:
    """Whether a text is base64 of a file that begins like a known kind."""
    if not _BASE64.fullmatch(text):
        return False
    try:
        return file_extension(_of_base64("", text, "")) is not None
    except InvalidRequest:
        return False


def read_file(name: str, data: object, field: str = "images") -> InputFile:
    """A file from the text that stands for it: base64, a data URI or a URL.

    Args:
        field: the request's field, for the message.

    Raises:
        InvalidRequest: it can't be read.
    """
    if not isinstance(data, str):
        raise InvalidRequest(f"{field}: {clip(name)} must be a text: {FORMS}.", field=name)
    text = data.strip()
    start = text[:8].lower()
    if start.startswith(("http://", "https://")):
        return LinkedFile(name, url=text)
    if start.startswith("data:"):
        return InputFile(name, _of_data_uri(name, text, field))
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", text[:40]):
        begins = text[:40].partition(":")[0]
        raise InvalidRequest(f"{field}: {clip(name)} begins with {begins}:; it must be {FORMS}.", field=name)
    return InputFile(name, _of_base64(name, text, field))


def _of_data_uri(name: str, text: str, field: str) -> bytes:
    head, comma, payload = text[len("data:") :].partition(",")
    if not comma:
        raise InvalidRequest(f"{field}: {clip(name)} is a data URI without a comma before its data.", field=name)
    if not head.strip().lower().endswith(";base64"):
        return unquote_to_bytes(payload)
    if "%" in payload:
        payload = unquote_to_bytes(payload).decode("latin-1")
    return _of_base64(name, payload, field)


def _of_base64(name: str, text: str, field: str) -> bytes:
    """The decoded bytes; line breaks, the URL-safe alphabet and missing padding are accepted."""
    plain = "".join(text.split()).replace("-", "+").replace("_", "/").rstrip("=")
    try:
        if len(plain) % 4 == 1 or not plain.isascii():
            raise ValueError
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except ValueError:
        said = f"{field}: {clip(name)} is not valid base64; it must be {FORMS}."
        raise InvalidRequest(said, field=name) from None

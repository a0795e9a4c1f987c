"""Reads the body of an edit: JSON, or a form with files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from flask import Request

from comfybridge.errors import InvalidRequest
from comfybridge.files.sent import read_file
from comfybridge.request import InputFile
from comfybridge.settings import Settings
from comfybridge.web.dialects.openai.requests import MASK, Pictures
from comfybridge.web.dialects.openai.schemas import MOST_IMAGES, EditBody
from comfybridge.web.parsing.body_stream import in_turn
from comfybridge.web.parsing.models import json_fields, validated
from comfybridge.web.parsing.multipart import Parts, is_multipart, read_parts
from comfybridge.web.parsing.written_fields import read_texts
from comfybridge.workflow.wording import clip
from comfybridge.workflow.written import Written

IMAGE = "image"
IMAGES = (IMAGE, "images")
PARAMS = "params"
MOST_PARTS = 200
_INNER = re.compile(r"([a-z_]+)\[([^\[\]]*)\](\[[^\[\]]+\])?")  # params[3.cfg], image[], images[0][image_url]


def read_edit(request: Request, settings: Settings) -> tuple[EditBody, Pictures]:
    """The fields of an edit, and its pictures.

    Raises:
        InvalidRequest: a field is wrong, or there is no picture.
        TooLarge, UnsupportedMediaType: the body cannot be read.
    """
    files: list[tuple[str, InputFile]] = []
    if is_multipart(request):
        with in_turn(request):
            parts = read_parts(
                request,
                most_text=settings.max_json_bytes,
                most_files=settings.max_upload_bytes,
                most_parts=MOST_PARTS,
            )
        given = _fields_of(parts)
        files = list(_files_of(parts))
    else:
        given = json_fields(request, settings.max_json_bytes)
    fields = validated(given, EditBody)
    return fields, _pictures(fields, files)


def _fields_of(parts: Parts) -> dict[str, Any]:
    """The fields in a form's texts, as in a JSON body; an empty text is a field that is not given."""
    fields: dict[str, Any] = {}
    for name, text in parts.texts:
        match = _INNER.fullmatch(name)
        outer, inner = (match[1], match[2]) if match else (name, None)
        if not text.strip():
            continue
        if outer in IMAGES and inner is not None:
            fields.setdefault(outer, []).append(text)
        elif outer == PARAMS and inner == "":
            raise InvalidRequest("params[] names no parameter; write params[NAME].", field=PARAMS)
        elif outer == PARAMS and inner is not None:
            _object_in(fields, PARAMS)[inner] = Written(text)
        elif outer in fields:
            raise InvalidRequest(f"The form gives {clip(outer)} twice.", field=outer)
        else:
            fields[outer] = text
    return read_texts(fields, EditBody)


def _object_in(fields: dict[str, Any], name: str) -> dict[str, Any]:
    value = fields.setdefault(name, {})
    if not isinstance(value, dict):
        raise InvalidRequest(f"{name} is given both as a whole and as {name}[NAME].", field=name)
    return value


def _files_of(parts: Parts) -> Iterator[tuple[str, InputFile]]:
    """The files of a form, by their fields."""
    for part in parts.files:
        match = _INNER.fullmatch(part.name)
        name = match[1] if match else part.name
        if name not in (*IMAGES, MASK):
            takes = "image, image[] and mask"
            raise InvalidRequest(
                f"The form has a file in {clip(name) or 'no field'}; files go into {takes}.", field=name
            )
        yield name, InputFile(name, part.data)


def _pictures(fields: EditBody, files: Iterable[tuple[str, InputFile]]) -> Pictures:
    sent = list(files)
    images = [file for name, file in sent if name in IMAGES]
    masks = [file for name, file in sent if name == MASK]
    for name in IMAGES:
        value = getattr(fields, name)
        images += [
            _picture(each, name) for each in (value if isinstance(value, list) else [value]) if each is not None
        ]
    if fields.mask is not None:
        masks.append(_picture(fields.mask, MASK))
    if not images:
        raise InvalidRequest(
            "image is missing; an edit needs a picture, as a file in a form or as a data URI.", field=IMAGE
        )
    if len(images) > MOST_IMAGES:
        raise InvalidRequest(f"image has {len(images)} pictures; at most {MOST_IMAGES} are accepted.", field=IMAGE)
    if len(masks) > 1:
        raise InvalidRequest("mask is given twice.", field=MASK)
    return Pictures(images, masks[0] if masks else None)


def _picture(value: object, name: str) -> InputFile:
    """A picture in a JSON body."""
    if isinstance(value, dict):
        if set(value) != {"image_url"}:
            said = f"{name} must be a text, or an object with an image_url; files can't be stored here beforehand."
            raise InvalidRequest(said, field=name)
        value = value["image_url"]
    try:
        return read_file(name, value, name)
    except InvalidRequest as error:
        raise InvalidRequest(error.message.removeprefix(f"{name}: "), field=name) from None

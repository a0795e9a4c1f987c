"""The bytes of an asset as an answer: whole, or a part of them."""

from __future__ import annotations

import re
from collections.abc import Generator
from dataclasses import dataclass

from flask import Response, request

from comfybridge.assets.asset import Asset
from comfybridge.deadline import Deadline
from comfybridge.request import OpenFile
from comfybridge.web.answers.files import disposition
from comfybridge.web.answers.sending import Content, Streamed, respond
from comfybridge.web.current import current_assets, request_deadline
from comfybridge.web.dialects.comfy.errors import RangeNotSatisfiable

UNKNOWN_TYPE = "application/octet-stream"
# What browsers show.
_SHOWN = re.compile(r"(image|video|audio)/[A-Za-z0-9.+_-]+")


@dataclass(frozen=True)
class _Timed:
    deadline: Deadline


def asset_content(asset: Asset) -> Response:
    """The bytes that the current request wants.

    Raises:
        RangeNotSatisfiable: they end before its range begins.
        ContentGone, ComfyUIError, ComfyUIUnreachable, EngineUnreachable, TimedOut
    """
    size, deadline, assets = asset.content.size, request_deadline(), current_assets()
    content_type, headers = _headers(asset)
    if request.if_none_match.contains_weak(_etag(asset)):
        return Response(status=304, headers=headers)
    if request.method == "HEAD":
        assets.check_is_there(asset, deadline)
        response = Response(content_type=content_type, headers=headers)
        response.content_length = size
        return response
    part = _part(asset)
    begin, end = part or (0, size)
    file = assets.open(asset, deadline, begin, end)
    body = Streamed(_chunks(file), end - begin, file, _Timed(deadline))
    if part is not None:
        headers["Content-Range"] = f"bytes {begin}-{end - 1}/{size}"
    response = respond(Content(body, content_type, headers))
    response.status_code = 200 if part is None else 206
    return response


def _part(asset: Asset) -> tuple[int, int] | None:
    """The part that is wanted, its end excluded; None for all, as also where the range makes no sense."""
    wanted, size, since = request.range, asset.content.size, request.if_range
    if wanted is None or wanted.units != "bytes" or len(wanted.ranges) != 1:
        return None
    if since is not None and (since.etag or since.date) and since.etag != _etag(asset):
        return None
    begin, _ = wanted.ranges[0]
    if -begin > size > 0:  # more bytes of its end than it has: RFC 9110, 14.1.2
        return 0, size
    found = wanted.range_for_length(size)
    if found is None or found[0] is None:
        raise RangeNotSatisfiable(f"The asset has {size} bytes, and none in that range.", size=size)
    return found


def _headers(asset: Asset) -> tuple[str, dict[str, str]]:
    """The content type, and the headers beside it and the length."""
    content_type = asset.content_type.partition(";")[0].strip().lower()
    is_shown = _SHOWN.fullmatch(content_type) is not None
    headers = {
        "ETag": f'"{_etag(asset)}"',
        "Accept-Ranges": "bytes",
        "Cache-Control": "private",
        "Content-Disposition": disposition(
            "inline" if is_shown else "attachment", asset.file_path.rpartition("/")[2]
        ),
    }
    return (content_type if is_shown else UNKNOWN_TYPE), headers


def _etag(asset: Asset) -> str:
    return asset.content.hash or asset.id


def _chunks(file: OpenFile) -> Generator[bytes, None, None]:
    yield from file

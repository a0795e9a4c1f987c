"""Links to files that need no API key, and the route that they lead to."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from flask import Blueprint, Response, g, request

from comfybridge.comfyui.download import Download
from comfybridge.deadline import Deadline
from comfybridge.errors import (
    Busy,
    ComfyUIError,
    ComfyUIUnreachable,
    EngineUnreachable,
    FileUnusable,
    LinkExpired,
    NotFound,
    TimedOut,
    UnknownPrompt,
)
from comfybridge.files.delivery import Delivery
from comfybridge.prompts.file_links import FileLinks
from comfybridge.prompts.outputs import returned_name, stored_output, stored_part
from comfybridge.request import KeptFile, OpenFile, Output
from comfybridge.saving import safe_name
from comfybridge.web.answers.files import disposition
from comfybridge.web.answers.sending import Body, Content, Streamed, respond
from comfybridge.web.current import base_url, current_bridge, current_jobs, request_deadline
from comfybridge.web.describing import BYTES, Answer, Variable, describes
from comfybridge.web.marks import marked

LinkTo = Callable[[Output], str]

blueprint = Blueprint("files", __name__)

SHOWN = ("image", "video", "audio")  # the kinds that browsers show
_PART = re.compile(r"bytes=(?:\d{1,18}-\d{0,18}|-\d{1,18})")  # a single one
HEADERS = {
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "private",  # whoever has the link may see the file; a shared cache must not outlast it
}


def linker() -> LinkTo:
    """What makes the links of an answer. Call it in the context of a request; the result works in any thread.

    The result takes an output and returns the URL of `GET /files/TOKEN/FILENAME`; for one that is not on ComfyUI's
    disk, such as an image sent over a websocket, a data URI. It raises what `Output.load` raises.
    """
    return linker_at(current_bridge().links, base_url())


def linker_at(links: FileLinks, base: str) -> LinkTo:
    """The same where there is no request.

    Args:
        base: the address by which callers reach the bridge, without a slash at its end.
    """

    def link_to(output: Output) -> str:
        stored = output.stored or output.kept
        if stored is None:
            file = output.load()
            return f"data:{file.media_type};base64,{b64encode(file.data).decode('ascii')}"
        name = safe_name(returned_name(output))
        return f"{base}/files/{links.sign(stored, name)}/{quote(name, safe='')}"

    return link_to


@dataclass(frozen=True)
class _Linked:
    """An output file that a link leads to, and by when it must be fetched."""

    output: Output
    deadline: Deadline


@blueprint.get("/files/<token>/<filename>")
@marked(is_open=True)  # the link itself is the permission, also in a page of another site
@describes(
    tag="Files",
    path={"token": Variable("what the link was made with"), "filename": Variable("the file's name in the link")},
    headers={"Range": Variable("the part of the file that is enough", is_optional=True)},
    answers={
        200: Answer(
            "The file.",
            {"*/*": BYTES},
            headers={"Content-Disposition": "the file's name", "Accept-Ranges": "bytes, if `Range` has an effect"},
        ),
        206: Answer(
            "The part that `Range` names.", {"*/*": BYTES}, headers={"Content-Range": "which bytes they are"}
        ),
    },
    raises=(NotFound, LinkExpired, ComfyUIError, ComfyUIUnreachable, Busy, EngineUnreachable, TimedOut),
)
def get_file(token: str, filename: str) -> Response:
    """A file that an answer has linked.

    The link needs no API key, and works for 60 minutes, or for as long as the result of its job is kept.
    """
    found = current_bridge().links.read(token, filename)
    deadline = request_deadline()
    if isinstance(found, KeptFile):
        return _kept(found, deadline)
    server, stored = found
    g.server = server.url
    linked = _Linked(stored_output(stored, server.client, deadline), deadline)
    part = request.headers.get("Range", "")
    is_partial = _PART.fullmatch(part) and "If-Range" not in request.headers and _can_be_parted(linked.output)
    try:
        if is_partial:
            return _part(linked, stored_part(stored, server.client, deadline, part))
        return _whole(linked)
    except FileUnusable as error:
        raise NotFound(error.message) from None


def _kept(kept: KeptFile, deadline: Deadline) -> Response:
    """A file of a job."""
    jobs = current_jobs()
    if jobs is None:
        raise NotFound("The link is to a file of a job, and this bridge keeps no jobs.")
    try:
        linked = _Linked(jobs.output(kept, deadline), deadline)
        if not _can_be_parted(linked.output):
            return _whole(linked)
        file = linked.output.open()
        file.fetch(1)
    except (UnknownPrompt, FileUnusable) as error:
        raise NotFound(error.message) from None
    headers = dict(_headers(linked.output, file.filename))
    part = None
    if file.size is not None and request.range is not None and "If-Range" not in request.headers:
        part = request.range.range_for_length(file.size)
    if part is None:
        return respond(Content(Streamed(_part_of(file, 0, None), file.size, file, linked), file.media_type, headers))
    begin, end = part
    headers["Content-Range"] = f"bytes {begin}-{end - 1}/{file.size}"
    content = Streamed(_part_of(file, begin, end), end - begin, file, linked)
    response = respond(Content(content, file.media_type, headers))
    response.status_code = 206
    return response


def _part_of(file: OpenFile, begin: int, end: int | None) -> Generator[bytes, None, None]:
    """The bytes of a file from one place to another; it is read from its beginning all the same."""
    at = 0
    for chunk in file:
        piece = chunk[max(0, begin - at) : None if end is None else max(0, end - at)]
        at += len(chunk)
        if piece:
            yield piece
        if end is not None and at >= end:
            return


def _whole(linked: _Linked) -> Response:
    delivery = Delivery([linked.output])
    [file] = delivery.files
    body: Body = file.data if file.data is not None else _streamed(delivery, linked)
    return respond(Content(body, file.media_type, _headers(linked.output, file.filename)))


def _streamed(delivery: Delivery, linked: _Linked) -> Streamed:
    [file] = delivery.files
    return Streamed(delivery.chunks(file), file.size, delivery, linked)


def _part(linked: _Linked, download: Download) -> Response:
    output = linked.output
    headers = dict(_headers(output, output.filename))
    if download.part:
        headers["Content-Range"] = download.part
    body = Streamed(_chunks(download), download.size, download, linked)
    response = respond(Content(body, output.media_type, headers))
    response.status_code = 206 if download.part else 200
    return response


def _chunks(download: Download) -> Generator[bytes, None, None]:
    yield from download


def _can_be_parted(output: Output) -> bool:
    """Whether parts of a file can be sent: it is not an image, of which the beginning is looked at."""
    return output.kind != "image"


def _headers(output: Output, filename: str) -> Mapping[str, str]:
    is_shown = output.kind in SHOWN
    headers = {**HEADERS, "Content-Disposition": disposition("inline" if is_shown else "attachment", filename)}
    if _can_be_parted(output):
        headers["Accept-Ranges"] = "bytes"
    return headers

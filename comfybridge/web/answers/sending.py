"""Sends bodies that are in memory, and bodies that are produced while they are sent.

While a body is produced, the request keeps its slot, and an error can only cut the connection, because the status
line has been sent. To the server this looks like a caller that hung up: it closes the connection without ending the
answer, so that no client takes it for a complete one.
"""

from __future__ import annotations

import contextlib
import errno
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from flask import Response

from comfybridge.deadline import Deadline
from comfybridge.errors import BridgeError


class Files(Protocol):
    """Files that are open while a body is produced from them, such as a `Delivery`."""

    def close(self) -> None:
        """Release them. May be called twice."""


class Timed(Protocol):
    """Something whose files must have been fetched by a deadline, such as a `Generation`."""

    @property
    def deadline(self) -> Deadline:
        """By when."""


@dataclass(frozen=True)
class Streamed:
    """A body that is produced while it is sent.

    Attributes:
        chunks: its bytes; a BridgeError means that the body can't be completed.
        length: how many bytes; None if unknown in advance.
        delivery: the files that it is made from.
        generation: what the files belong to.
    """

    chunks: Generator[bytes, None, None]
    length: int | None
    delivery: Files
    generation: Timed

    def close(self) -> None:
        """Release its files. May be called twice."""
        self.chunks.close()
        self.delivery.close()


Body = bytes | Streamed


@dataclass(frozen=True)
class Content:
    """What an answer consists of.

    Attributes:
        headers: besides the content's type and length.
    """

    body: Body
    content_type: str
    headers: Mapping[str, str] = field(default_factory=dict)


def respond(content: Content, held: contextlib.ExitStack | None = None) -> Response:
    """The response for some content.

    Args:
        held: resources to keep until the body has been sent; emptied if the body is produced while it is sent.
    """
    body = content.body
    if isinstance(body, bytes):
        return Response(body, content_type=content.content_type, headers=content.headers)
    release = contextlib.ExitStack() if held is None else held.pop_all()
    release.callback(body.close)
    response = Response(sent(body, release.close), content_type=content.content_type, headers=content.headers)
    if body.length is not None:
        response.content_length = body.length
    response.call_on_close(release.close)  # even if the first chunk is never requested
    return response


def sent(body: Streamed, release: Callable[[], None]) -> Iterator[bytes]:
    """The chunks of a body as they are sent.

    Args:
        release: called before the last chunk goes out, because a caller that has everything may send its next request
            at once; or when sending ends early. May be called twice.

    Raises:
        ConnectionResetError: the body can't be completed.
    """
    try:
        try:
            last = b""
            for chunk in body.chunks:
                if last:
                    handed_on = time.monotonic()
                    yield last
                    # the caller may need longer than the deadline to read everything; ComfyUI may not
                    body.generation.deadline.extend(time.monotonic() - handed_on)
                last = chunk
        finally:
            release()
    except BridgeError as error:
        raise ConnectionResetError(errno.ECONNRESET, "the answer cannot be completed") from error
    yield last

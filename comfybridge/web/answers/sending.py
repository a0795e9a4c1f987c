"""Bodies that are in memory, and bodies that are made while they are sent.

A body that is in memory is sent as any other. While the other kind is sent, the request keeps its slot, and what goes
wrong then can only cut the connection: the status line is out. To the server that looks like a caller who hung up,
for which it closes the connection without ending the answer, so that no client takes it for a whole one.
"""

from __future__ import annotations

import contextlib
import errno
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field

from flask import Response

from comfybridge.errors import BridgeError
from comfybridge.files.delivery import Delivery
from comfybridge.request import Generation


@dataclass(frozen=True)
class Streamed:
    """A body that is made while it is sent.

    Attributes:
        chunks: its bytes; a BridgeError in between means that it can't be finished.
        length: how many bytes they are; None if that is not known before.
        delivery: the files that it is made from.
        generation: whose files they are.
    """

    chunks: Generator[bytes, None, None]
    length: int | None
    delivery: Delivery
    generation: Generation

    def close(self) -> None:
        """Give up what it is made from. May be called twice."""
        self.chunks.close()
        self.delivery.close()


Body = bytes | Streamed


@dataclass(frozen=True)
class Content:
    """What an answer consists of.

    Attributes:
        headers: beside the content's type and length.
    """

    body: Body
    content_type: str
    headers: Mapping[str, str] = field(default_factory=dict)


def respond(content: Content, held: contextlib.ExitStack | None = None) -> Response:
    """The response with some content.

    Args:
        held: what is to be kept until the body has been sent; emptied if it is one that is made meanwhile.
    """
    body = content.body
    if isinstance(body, bytes):
        return Response(body, content_type=content.content_type, headers=content.headers)
    release = contextlib.ExitStack() if held is None else held.pop_all()
    release.callback(body.close)
    response = Response(sent(body, release.close), content_type=content.content_type, headers=content.headers)
    if body.length is not None:
        response.content_length = body.length
    response.call_on_close(release.close)  # also if nobody ever asks for the first chunk
    return response


def sent(body: Streamed, release: Callable[[], None]) -> Iterator[bytes]:
    """The chunks of a body on their way out.

    Args:
        release: called before the last chunk goes out, as who has it all may ask again at once; or when sending
            ends before. It is called twice then.

    Raises:
        ConnectionResetError: the body can't be finished.
    """
    try:
        try:
            last = b""
            for chunk in body.chunks:
                if last:
                    handed_on = time.monotonic()
                    yield last
                    # a caller may take longer than the deadline to read it all; ComfyUI may not
                    body.generation.deadline.extend(time.monotonic() - handed_on)
                last = chunk
        finally:
            release()
    except BridgeError as error:
        raise ConnectionResetError(errno.ECONNRESET, "the answer cannot be completed") from error
    yield last

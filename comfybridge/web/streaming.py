"""Answers that begin before the workflow has run: events as they come, and JSON that keeps a proxy awake.

The prompt is queued before the first byte goes out, so what is wrong with a request still has its own status.
Then a thread waits for the prompt, and what it hears comes through a queue to the thread that writes the answer.
"""

from __future__ import annotations

import base64
import contextlib
import json
import queue
import threading
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from flask import Response

from comfybridge.bridge import Bridge
from comfybridge.errors import BridgeError, InternalError
from comfybridge.progress import Preview, Progress, ProgressMeter
from comfybridge.request import Generation
from comfybridge.submission import Submission
from comfybridge.web.answers import ErrorAnswer
from comfybridge.web.sending import Body, Streamed, respond, sent

# Proxies cut a stream that is silent for 60 s, some for 30.
HEARTBEAT_SECONDS = 15.0

Render = Callable[[Generation], Body]
RenderError = Callable[[BridgeError], ErrorAnswer]
STREAM_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
EVENTS = "text/event-stream"


@dataclass(frozen=True)
class Ended:
    """What a request came to.

    Attributes:
        body: JSON, with a line break after it.
        release: to be called when the body has been sent, or will not be.
    """

    name: Literal["result", "error"]
    body: Body
    release: Callable[[], None] = lambda: None


Heard = Progress | Preview | Ended


def event_stream(bridge: Bridge, submission: Submission, render: Render, render_error: RenderError) -> Response:
    """`queued`, `progress`, `preview`, then `result` or `error`, as server-sent events."""
    position = None
    with contextlib.suppress(BridgeError):  # the waiting will tell whether ComfyUI is gone
        position = bridge.position(submission)
    hearing = Hearing(bridge, submission, ProgressMeter(submission.prompt), render, render_error)

    def frames() -> Iterator[bytes]:
        yield _frame("queued", {"prompt_id": submission.prompt.id, "position": position})
        for heard in hearing.until_end(HEARTBEAT_SECONDS):
            if heard is None:
                yield b": waiting\n\n"
            elif isinstance(heard, Progress):
                yield _frame("progress", asdict(heard))
            elif isinstance(heard, Preview):
                data = base64.b64encode(heard.data).decode("ascii")
                yield _frame("preview", {"node_id": heard.node_id, "media_type": heard.media_type, "data": data})
            else:
                yield from _sent(replace(heard, body=_last_frame(heard.name, heard.body)))

    return _begun(frames(), EVENTS, hearing)


def kept_alive_json(
    bridge: Bridge, submission: Submission, render: Render, render_error: RenderError, seconds: float
) -> Response:
    """A space every so many seconds, which JSON allows before its value, and then the answer."""
    hearing = Hearing(bridge, submission, None, render, render_error)

    def pieces() -> Iterator[bytes]:
        yield b" "
        for heard in hearing.until_end(seconds):
            if heard is None:
                yield b" "
            elif isinstance(heard, Ended):
                yield from _sent(heard)

    return _begun(pieces(), "application/json", hearing)


def last_event(body: Body) -> Response:
    """The events of a prompt of which all is over but the result."""
    return respond(_last_frame("result", body), EVENTS, contextlib.ExitStack())


class Hearing:
    """A thread that waits for a prompt, and what it hears. To be closed when nobody listens any more.

    The request's slot is freed when the prompt has ended and its result has been sent, or can't be sent any more.
    """

    def __init__(
        self,
        bridge: Bridge,
        submission: Submission,
        meter: ProgressMeter | None,
        render: Render,
        render_error: RenderError,
    ) -> None:
        self._bridge = bridge
        self._submission = submission
        self._meter = meter
        self._render = render
        self._render_error = render_error
        self._heard: queue.SimpleQueue[Heard] = queue.SimpleQueue()
        self._closed = threading.Event()
        threading.Thread(target=self._wait, name=f"prompt {submission.prompt.id}", daemon=True).start()

    def until_end(self, patience: float) -> Iterator[Heard | None]:
        """What is heard, the end last; None whenever nothing came for so many seconds."""
        while True:
            try:
                each = self._heard.get(timeout=patience)
            except queue.Empty:
                yield None
                continue
            yield each
            if isinstance(each, Ended):
                return

    def close(self) -> None:
        """Let go of a result that nobody took, now or when it comes."""
        self._closed.set()
        with contextlib.suppress(queue.Empty):
            while True:
                each = self._heard.get_nowait()
                if isinstance(each, Ended):
                    each.release()

    def _wait(self) -> None:
        try:
            self._put(self._end())
        except BridgeError as error:
            self._put(self._failed(error))
        except BaseException:
            self._put(self._failed(InternalError("Something went wrong inside the bridge.")))
            raise

    def _end(self) -> Ended:
        with contextlib.ExitStack() as held:
            body = self._render(held.enter_context(self._bridge.finishing(self._submission, self._listen)))
            if isinstance(body, Streamed):
                held.callback(body.close)
                return Ended("result", body, held.pop_all().close)
        return Ended("result", body)  # after the slot is free: who has the answer may ask again at once

    def _failed(self, error: BridgeError) -> Ended:
        return Ended("error", json.dumps(self._render_error(error)).encode() + b"\n")

    def _listen(self, event: Any) -> None:
        for each in self._meter.read(event) if self._meter else ():
            self._heard.put(each)

    def _put(self, ended: Ended) -> None:
        self._heard.put(ended)
        if self._closed.is_set():
            self.close()


def _begun(chunks: Iterator[bytes], content_type: str, hearing: Hearing) -> Response:
    response = Response(chunks, content_type=content_type, headers=STREAM_HEADERS)
    response.call_on_close(hearing.close)
    return response


def _sent(ended: Ended) -> Iterator[bytes]:
    if isinstance(ended.body, bytes):
        yield ended.body
    else:
        yield from sent(ended.body, ended.release)


def _frame(event: str, data: Mapping[str, Any]) -> bytes:
    return _frame_start(event) + json.dumps(data).encode() + b"\n\n"


def _last_frame(event: str, body: Body) -> Body:
    """The event of a body that ends with a line break."""
    start = _frame_start(event)
    if isinstance(body, bytes):
        return b"".join((start, body, b"\n"))
    length = None if body.length is None else len(start) + body.length + 1
    return replace(body, chunks=_framed(start, body.chunks), length=length)


def _framed(start: bytes, chunks: Iterator[bytes]) -> Generator[bytes, None, None]:
    yield start
    yield from chunks
    yield b"\n"


def _frame_start(event: str) -> bytes:
    return f"event: {event}\ndata: ".encode()

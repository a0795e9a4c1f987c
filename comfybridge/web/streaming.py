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
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from flask import Response

from comfybridge.bridge import Bridge, Submission
from comfybridge.errors import BridgeError, InternalError
from comfybridge.progress import Preview, Progress, ProgressMeter
from comfybridge.request import Generation
from comfybridge.web.answers import ErrorAnswer, GenerationAnswer

# Proxies cut a stream that is silent for 60 s, some for 30.
HEARTBEAT_SECONDS = 15.0

Body = GenerationAnswer | ErrorAnswer
Render = Callable[[Generation], GenerationAnswer]
RenderError = Callable[[BridgeError], ErrorAnswer]
STREAM_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


@dataclass(frozen=True)
class Ended:
    """The JSON that a request came to, of a result or of an error."""

    body: Body


def event_stream(bridge: Bridge, submission: Submission, render: Render, render_error: RenderError) -> Response:
    """`queued`, `progress`, `preview`, then `result` or `error`, as server-sent events."""
    position = None
    with contextlib.suppress(BridgeError):  # the waiting will tell whether ComfyUI is gone
        position = bridge.position(submission)

    def frames() -> Iterator[str]:
        yield _frame("queued", {"prompt_id": submission.prompt.id, "position": position})
        meter = ProgressMeter(submission.prompt)
        for heard in _heard(bridge, submission, meter, render, render_error, HEARTBEAT_SECONDS):
            if heard is None:
                yield ": waiting\n\n"
            elif isinstance(heard, Progress):
                yield _frame("progress", asdict(heard))
            elif isinstance(heard, Preview):
                data = base64.b64encode(heard.data).decode("ascii")
                yield _frame("preview", {"node_id": heard.node_id, "media_type": heard.media_type, "data": data})
            else:
                yield _frame("result" if heard.body["status"] == "success" else "error", heard.body)

    return Response(frames(), content_type="text/event-stream", headers=STREAM_HEADERS)


def kept_alive_json(
    bridge: Bridge, submission: Submission, render: Render, render_error: RenderError, seconds: float
) -> Response:
    """A space every so many seconds, which JSON allows before its value, and then the answer."""

    def pieces() -> Iterator[str]:
        yield " "
        for heard in _heard(bridge, submission, None, render, render_error, seconds):
            if heard is None:
                yield " "
            elif isinstance(heard, Ended):
                yield json.dumps(heard.body) + "\n"

    return Response(pieces(), content_type="application/json", headers=STREAM_HEADERS)


def _heard(
    bridge: Bridge,
    submission: Submission,
    meter: ProgressMeter | None,
    render: Render,
    render_error: RenderError,
    patience: float,
) -> Iterator[Progress | Preview | Ended | None]:
    """What the waiting thread hears, the end last; None whenever nothing came for so many seconds."""
    heard: queue.SimpleQueue[Progress | Preview | Ended] = queue.SimpleQueue()

    def listen(event: Any) -> None:
        for each in meter.read(event) if meter else ():
            heard.put(each)

    def wait() -> None:
        try:
            with bridge.finishing(submission, listen) as generation:
                body = render(generation)
            heard.put(Ended(body))  # after the slot is free: who has the answer may ask again at once
        except BridgeError as error:
            heard.put(Ended(render_error(error)))
        except BaseException:
            heard.put(Ended(render_error(InternalError("Something went wrong inside the bridge."))))
            raise

    threading.Thread(target=wait, name=f"prompt {submission.prompt.id}", daemon=True).start()
    while True:
        try:
            each = heard.get(timeout=patience)
        except queue.Empty:
            yield None
            continue
        yield each
        if isinstance(each, Ended):
            return


def _frame(event: str, data: Mapping[str, Any]) -> str:
    return f"event: {event}\ndata: {json.dumps(data)}\n\n"

"""Answers that begin before the workflow has run: event streams, and JSON that keeps a proxy awake.

A thread submits the request and waits for its prompt, and passes what it hears to the thread that writes the answer.
The answer begins once the prompt is queued, so errors in a request have their own status. It also begins if queueing
takes longer than a caller's proxy tolerates silence, for example because input files come from slow URLs; later
errors are in the body.
"""

from __future__ import annotations

import contextlib
import json
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from flask import Response, g

from comfybridge.errors import BridgeError, InternalError, forget_frames
from comfybridge.prompts.admitted import Admitted
from comfybridge.prompts.progress import Preview, Progress, Queued
from comfybridge.prompts.runner import Runner
from comfybridge.prompts.telling import Teller, Told
from comfybridge.web.answers.events import MEDIA_TYPE
from comfybridge.web.answers.hangups import Watch
from comfybridge.web.answers.sending import Body, Content, Streamed, respond, sent
from comfybridge.web.answers.style import Render, Style

log = logging.getLogger(__name__)

# Proxies cut a stream that is silent for 60 s, some for 30.
HEARTBEAT_SECONDS = 15.0

# Interval of progress events while ComfyUI sends none, if earlier runs allow an estimate.
STILL_SECONDS = 1.0

STREAM_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


@dataclass(frozen=True)
class Result:
    """The result of a prompt.

    Attributes:
        body: JSON with a line break after it, or events.
        release: call it once the body has been sent, or will not be.
    """

    body: Body
    release: Callable[[], None] = lambda: None


Heard = Told | Result | BridgeError

# How many unread events of a kind are kept for a caller that reads slowly; newer ones supersede older ones.
MOST_UNREAD: Mapping[type, int] = {Preview: 4, Progress: 100}


def event_stream(runner: Runner, admitted: Admitted, style: Style) -> Response:
    """The events of a prompt while it waits and runs, then its result or error, as server-sent events.

    `queued` is sent again for each prompt that replaces a lost one, or one whose files are gone.

    Raises:
        BridgeError: an error in the request, if it is found before the answer has to begin.
    """
    events, request_id = style.events, g.request_id
    assert events is not None  # otherwise the dialect would not offer them
    hearing = Hearing(runner, admitted, events.result)
    g.prompt_id = hearing.begin(HEARTBEAT_SECONDS)

    def frames() -> Iterator[bytes]:
        for heard in hearing.until_end(HEARTBEAT_SECONDS):
            if heard is None:
                yield b": waiting\n\n"
            elif isinstance(heard, Result):
                yield from _sent(heard)
            elif isinstance(heard, BridgeError):
                forget_frames(heard)
                admitted.trace.error = heard
                yield events.error(heard, request_id)
            else:
                yield events.told(heard)

    return _begun(frames(), MEDIA_TYPE, hearing)


def kept_alive_json(runner: Runner, admitted: Admitted, style: Style, seconds: float) -> Response:
    """The JSON answer, preceded by a space every few seconds, which JSON allows.

    Raises:
        BridgeError: an error in the request, if it is found before the first space has to be sent.
    """
    request_id = g.request_id
    hearing = Hearing(runner, admitted, style.render)
    g.prompt_id = hearing.begin(seconds)

    def pieces() -> Iterator[bytes]:
        for heard in hearing.until_end(seconds):
            if isinstance(heard, Result):
                yield from _sent(heard)
            elif isinstance(heard, BridgeError):
                forget_frames(heard)
                admitted.trace.error = heard
                yield json.dumps(style.render_error(heard, request_id)).encode() + b"\n"
            else:
                yield b" "

    return _begun(pieces(), "application/json", hearing)


def last_events(body: Body) -> Response:
    """The events for a finished prompt."""
    return respond(Content(body, MEDIA_TYPE))


class Hearing:
    """A thread that submits a request and waits for its prompt, with the events that it receives.

    Close it when nobody listens any more, for example because the caller has hung up (`hangups.py`). If that does not
    cancel the prompt, the thread goes on waiting, because the prompt may have to be cancelled when its time is up.
    The slot is freed when the prompt has ended and its result has been sent, or can't be sent.

    Args:
        admitted: the request; if it is followed, its position, progress and previews are reported.
        render: makes the body of the prompt's result.
    """

    def __init__(self, runner: Runner, admitted: Admitted, render: Render) -> None:
        self._runner = runner
        self._admitted = admitted
        self._render = render
        self._unread = Unread()
        self._teller = Teller(self._hear, is_followed=admitted.is_followed)
        self._closed = threading.Event()
        self._watch = Watch(runner, admitted)
        threading.Thread(target=self._run, name="streamed answer", daemon=True).start()

    def begin(self, patience: float) -> str | None:
        """Wait until the prompt is queued, for at most this many seconds.

        Returns:
            Its id; None if that takes longer.

        Raises:
            BridgeError: the error that kept it from being queued.
        """
        try:
            first = self._unread.first(patience)
            if isinstance(first, BridgeError):
                raise first
        except BaseException:
            self.close()
            raise
        return first.prompt_id if isinstance(first, Queued) else None

    def until_end(self, patience: float) -> Iterator[Heard | None]:
        """Each event, up to the last one. Yields None at once, and then after each period of silence."""
        heard = self._unread.take(0)
        while not isinstance(heard, (Result, BridgeError)):
            yield heard
            heard = self._next(patience) if self._teller.estimates else self._unread.take(patience)
        yield heard

    def _next(self, patience: float) -> Heard | None:
        """The next event, or the current progress; None if there is neither within this many seconds."""
        until = time.monotonic() + patience
        while True:
            left = until - time.monotonic()
            heard = self._unread.take(max(0.0, min(left, STILL_SECONDS)))
            if heard is None and left > STILL_SECONDS:
                self._teller.still()
                heard = self._unread.take(0)
            if heard is not None or left <= STILL_SECONDS:
                return heard

    def close(self) -> None:
        """Stop listening: release a result that nobody took, now or when it arrives."""
        self._closed.set()
        self._watch.hang_up()
        while (each := self._unread.take(0)) is not None:
            if isinstance(each, Result):
                each.release()

    def _run(self) -> None:
        try:
            ended: Heard = self._result()
        except BridgeError as error:
            ended = error
        except BaseException:
            log.exception("A bug in the bridge")
            ended = InternalError("Something went wrong inside the bridge; its log has the details.")
        self._watch.end()
        self._unread.put(ended)
        if self._closed.is_set():
            self.close()

    def _result(self) -> Result:
        with contextlib.ExitStack() as held:
            generation = held.enter_context(self._runner.telling(self._admitted, self._teller))
            body = self._render(generation)
            if isinstance(body, Streamed):
                held.callback(body.close)
                return Result(body, held.pop_all().close)
        return Result(body)  # after the slot is free: a caller that has the answer may send its next request at once

    def _hear(self, told: Told) -> None:
        if not self._closed.is_set():
            self._unread.put(told)


class Unread:
    """Events that have not been read yet, in order of arrival; of progress and previews only the newest."""

    def __init__(self) -> None:
        self._items: deque[Heard] = deque()
        self._changed = threading.Condition()

    def put(self, item: Heard) -> None:
        """Add an event. Never blocks."""
        with self._changed:
            alike = [index for index, each in enumerate(self._items) if type(each) is type(item)]
            if len(alike) >= MOST_UNREAD.get(type(item), len(alike) + 1):
                del self._items[alike[0]]
            self._items.append(item)
            self._changed.notify()

    def first(self, patience: float) -> Heard | None:
        """The oldest event, without removing it; None if none arrives within this many seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._items, patience)
            return self._items[0] if self._items else None

    def take(self, patience: float) -> Heard | None:
        """Remove and return the oldest event; None if none arrives within this many seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._items, patience)
            return self._items.popleft() if self._items else None


def _begun(chunks: Iterator[bytes], content_type: str, hearing: Hearing) -> Response:
    response = Response(chunks, content_type=content_type, headers=STREAM_HEADERS)
    response.call_on_close(hearing.close)  # even if the first chunk is never requested
    return response


def _sent(result: Result) -> Iterator[bytes]:
    if isinstance(result.body, bytes):
        yield result.body
    else:
        yield from sent(result.body, result.release)

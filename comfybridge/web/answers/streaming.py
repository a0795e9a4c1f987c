"""Answers that begin before the workflow has run: events as they come, and JSON that keeps a proxy awake.

A thread submits the request and waits for its prompt, and what it hears comes to the thread that writes the answer.
The answer begins once the prompt is queued, so what is wrong with a request has its own status. It also begins when
queueing takes longer than a caller's proxy bears silence, as it may where input files come from slow URLs; what goes
wrong after that is in the body.
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

from comfybridge.bridge import Bridge
from comfybridge.comfyui.events import Event
from comfybridge.errors import BridgeError, InternalError, forget_frames
from comfybridge.prompts.admitted import Admitted
from comfybridge.prompts.progress import Preview, Progress, ProgressMeter, Queued, eta_of, meter_of
from comfybridge.prompts.submission import Submission
from comfybridge.web.answers.events import MEDIA_TYPE
from comfybridge.web.answers.hangups import Watch
from comfybridge.web.answers.sending import Body, Content, Streamed, respond, sent
from comfybridge.web.answers.style import Render, Style

log = logging.getLogger(__name__)

# Proxies cut a stream that is silent for 60 s, some for 30.
HEARTBEAT_SECONDS = 15.0

# So often a follower is told how far a prompt is of which nothing is heard, where earlier runs tell.
STILL_SECONDS = 1.0

STREAM_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


@dataclass(frozen=True)
class Result:
    """What a prompt came to.

    Attributes:
        body: JSON with a line break after it, or events.
        release: to be called when the body has been sent, or will not be.
    """

    body: Body
    release: Callable[[], None] = lambda: None


Heard = Queued | Progress | Preview | Result | BridgeError

# Of what a caller that reads slowly has not read yet, so many of a kind are kept: newer ones tell the same and more.
MOST_UNREAD: Mapping[type, int] = {Preview: 4, Progress: 100}


def event_stream(bridge: Bridge, admitted: Admitted, style: Style) -> Response:
    """What there is to tell of a prompt while it waits and runs, then its result or error, as server-sent events.

    That it is queued is told once more with each prompt that is queued in the place of one that was lost, or that
    named files that are gone.

    Raises:
        BridgeError: what is wrong with the request, if that shows before the answer has to begin.
    """
    events, request_id = style.events, g.request_id
    assert events is not None  # or the dialect would not offer them
    hearing = Hearing(bridge, admitted, events.result)
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


def kept_alive_json(bridge: Bridge, admitted: Admitted, style: Style, seconds: float) -> Response:
    """A space every so many seconds, which JSON allows before its value, and then the answer.

    Raises:
        BridgeError: what is wrong with the request, if that shows before the first space has to go out.
    """
    request_id = g.request_id
    hearing = Hearing(bridge, admitted, style.render)
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
    """The events of a prompt of which all is over but the result."""
    return respond(Content(body, MEDIA_TYPE))


class Hearing:
    """A thread that submits a request and waits for its prompt, and what it hears.

    To be closed when nobody listens any more, which is what it looks like when the caller hangs up (`hangups.py`).
    Where that cancels nothing, the prompt is waited for all the same, as its request may want it cancelled when its
    time is up; the slot is freed when it has ended and its result has been sent, or can't be sent.

    Args:
        admitted: the request; if it is followed, the place in the queue, the progress and the previews are told.
        render: makes the body of what the prompt comes to.
    """

    def __init__(self, bridge: Bridge, admitted: Admitted, render: Render) -> None:
        self._bridge = bridge
        self._admitted = admitted
        self._render = render
        self._unread = Unread()
        self._meter: ProgressMeter | None = None  # once somebody follows a prompt
        self._telling = threading.Lock()  # so that progress is told in the order in which the meter finds it out
        self._closed = threading.Event()
        self._watch = Watch(bridge, admitted)
        threading.Thread(target=self._run, name="streamed answer", daemon=True).start()

    def begin(self, patience: float) -> str | None:
        """Wait until the prompt is queued, for so many seconds.

        Returns:
            Its id; None if that takes longer.

        Raises:
            BridgeError: what went wrong instead.
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
        """What is heard, the end last; None for nothing: at once, and then whenever it lasts so many seconds."""
        heard = self._unread.take(0)
        while not isinstance(heard, (Result, BridgeError)):
            yield heard
            heard = self._unread.take(patience) if self._meter is None else self._next(self._meter, patience)
        yield heard

    def _next(self, meter: ProgressMeter, patience: float) -> Heard | None:
        """What is heard next, or how far the prompt is by now; None if there is neither for so many seconds."""
        until = time.monotonic() + patience
        while True:
            left = until - time.monotonic()
            heard = self._unread.take(max(0.0, min(left, STILL_SECONDS)))
            if heard is None and left > STILL_SECONDS:
                with self._telling:
                    heard = self._unread.take(0) or meter.still()
            if heard is not None or left <= STILL_SECONDS:
                return heard

    def close(self) -> None:
        """Nobody listens any more: let go of a result that nobody took, now or when it comes."""
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
            submission = held.enter_context(self._bridge.submit(self._admitted))
            self._unread.put(self._queued(submission))
            listen = self._listener(submission) if self._admitted.is_followed else None
            generation = held.enter_context(self._bridge.finishing(submission, listen, self._queued_again))
            self._tell_end()
            body = self._render(generation)
            if isinstance(body, Streamed):
                held.callback(body.close)
                return Result(body, held.pop_all().close)
        return Result(body)  # after the slot is free: who has the answer may ask again at once

    def _queued(self, submission: Submission) -> Queued:
        prompt_id = submission.prompt.id
        if self._admitted.is_followed:
            with contextlib.suppress(BridgeError):  # the waiting will tell whether ComfyUI is gone
                position = self._bridge.position(submission)
                return Queued(prompt_id, position, eta_of(submission, position))
        return Queued(prompt_id, None)

    def _queued_again(self, submission: Submission) -> None:
        self._unread.put(self._queued(submission))
        if self._meter is not None:
            with self._telling:
                self._meter.follow(submission.prompt)

    def _tell_end(self) -> None:
        if self._meter is None:
            return
        with self._telling:
            end = self._meter.end()
            if end is not None and not self._closed.is_set():
                self._unread.put(end)

    def _listener(self, submission: Submission) -> Callable[[Event], None]:
        meter = self._meter = meter_of(submission)

        def listen(event: Event) -> None:
            with self._telling:
                for each in meter.read(event):
                    if not self._closed.is_set():
                        self._unread.put(each)

        return listen


class Unread:
    """What was heard and not read yet, in the order in which it came: of progress and previews the newest only."""

    def __init__(self) -> None:
        self._items: deque[Heard] = deque()
        self._changed = threading.Condition()

    def put(self, item: Heard) -> None:
        """Add the newest. Never waits."""
        with self._changed:
            alike = [index for index, each in enumerate(self._items) if type(each) is type(item)]
            if len(alike) >= MOST_UNREAD.get(type(item), len(alike) + 1):
                del self._items[alike[0]]
            self._items.append(item)
            self._changed.notify()

    def first(self, patience: float) -> Heard | None:
        """The oldest, which stays unread; None if nothing comes within so many seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._items, patience)
            return self._items[0] if self._items else None

    def take(self, patience: float) -> Heard | None:
        """The oldest, which is read then; None if nothing comes within so many seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._items, patience)
            return self._items.popleft() if self._items else None


def _begun(chunks: Iterator[bytes], content_type: str, hearing: Hearing) -> Response:
    response = Response(chunks, content_type=content_type, headers=STREAM_HEADERS)
    response.call_on_close(hearing.close)  # also if nobody ever asks for the first chunk
    return response


def _sent(result: Result) -> Iterator[bytes]:
    if isinstance(result.body, bytes):
        yield result.body
    else:
        yield from sent(result.body, result.release)

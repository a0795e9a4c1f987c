"""Requests that become jobs: queued now, waited for a while if the caller likes, followed as events."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from functools import partial

from flask import Response, g

from comfybridge.errors import BridgeError, Busy, NotFound, forget_frames
from comfybridge.jobs.jobs import Jobs
from comfybridge.jobs.states import State, Wishes
from comfybridge.prompts.progress import Queued
from comfybridge.request import GenerationRequest
from comfybridge.web.answers.admission import admitted
from comfybridge.web.answers.events import MEDIA_TYPE
from comfybridge.web.answers.hangups import LOOK_SECONDS, caller_has_left
from comfybridge.web.answers.negotiation import JSON_ONLY
from comfybridge.web.answers.sending import Body, sent
from comfybridge.web.answers.streaming import HEARTBEAT_SECONDS, STREAM_HEADERS
from comfybridge.web.answers.style import EventStyle
from comfybridge.web.current import current_bridge, current_jobs


def needed_jobs() -> Jobs:
    """The jobs of the current bridge, for a view that makes no sense without them.

    Raises:
        NotFound: the settings leave them out.
    """
    jobs = current_jobs()
    if jobs is None:
        raise NotFound("This bridge has no jobs: COMFYBRIDGE_JOBS is false.")
    return jobs


def queue_job(asked: GenerationRequest, wishes: Wishes, *, is_single_use: bool = False) -> State:
    """Admit a request and queue it as a job. Returns once the engine has it on disk.

    Args:
        is_single_use: whether a second request with its idempotency key is refused, even the same one.

    Raises:
        BridgeError: it is wrong, its owner may not ask for it, or there is no room or no engine.
    """
    state = needed_jobs().submit(admitted(asked, JSON_ONLY), wishes, is_single_use=is_single_use)
    g.prompt_id = state.id
    return state


def wait_for(jobs: Jobs, state: State, seconds: float, *, spare: int = 0) -> State:
    """The state of a job once it has ended, or after that many seconds.

    Without a free slot, or if the caller hangs up, that is now.

    Args:
        spare: how many slots it leaves to others.
    """
    if seconds > 0 and not state.has_ended:
        with contextlib.suppress(Busy), _slot(spare):
            return jobs.wait(state.id, seconds, caller_has_left())
    return state


def followed(
    jobs: Jobs,
    job_id: str,
    style: EventStyle,
    render: Callable[[State], Body],
    pause: float = 0.0,
    place: Callable[[State], bytes] | None = None,
) -> Response:
    """A job as server-sent events: its state now, what happens to it, and its result or error, which is the last.

    Args:
        render: the events of a job that has ended; raises the error that it ended with.
        pause: seconds between two events of progress, and between two previews.
        place: the events for a new status, or a new place in the queue, of a job that has not ended; None: those of a
            prompt that is queued at that place.

    Raises:
        UnknownPrompt: there is no such job.
        Busy: every slot is taken.
        EngineUnreachable
    """
    has_left, request_id = caller_has_left(), g.request_id
    tell_place = place or partial(_queued, style)
    with contextlib.ExitStack() as held:
        held.enter_context(_slot())
        watching = held.enter_context(jobs.watch(job_id, pause))

        def told() -> Iterator[bytes]:
            told_at = time.monotonic()
            while not has_left() and not jobs.is_leaving:
                heard = watching.next(LOOK_SECONDS)
                if isinstance(heard, State) and heard.has_ended:
                    yield from _whole(render(heard))
                    return
                if isinstance(heard, State):
                    yield tell_place(heard)
                elif heard is not None:
                    yield style.told(heard)
                elif time.monotonic() - told_at >= HEARTBEAT_SECONDS:
                    yield b": waiting\n\n"
                else:
                    continue
                told_at = time.monotonic()

        def frames() -> Iterator[bytes]:
            try:
                yield from told()
            except BridgeError as error:
                forget_frames(error)
                yield style.error(error, request_id)

        response = Response(frames(), content_type=MEDIA_TYPE, headers=STREAM_HEADERS)
        response.call_on_close(held.pop_all().close)
        return response


def _queued(style: EventStyle, state: State) -> bytes:
    """The events of a prompt that is queued where the job is; none for a waiting job that is just being cancelled."""
    if state.status == "cancelling" and state.started is None:
        return b""  # its place is 0, as if it ran
    return style.told(Queued(state.id, state.position, state.eta_seconds))


def _whole(body: Body) -> Iterator[bytes]:
    if isinstance(body, bytes):
        yield body
    else:
        yield from sent(body, body.close)


@contextlib.contextmanager
def _slot(spare: int = 0) -> Iterator[None]:
    """A slot of the bridge, as every request has one that blocks a thread."""
    slots = current_bridge().slots
    slots.take(spare)
    try:
        yield
    finally:
        slots.give_back(None)

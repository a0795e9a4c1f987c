"""A prompt under way: its request, its server, and the slot and listener that it holds until its end."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable

from comfybridge.comfyui.outcome import Prompt
from comfybridge.comfyui.servers import Server
from comfybridge.comfyui.waiting.waiter import Listener
from comfybridge.deadline import Deadline
from comfybridge.errors import BridgeError
from comfybridge.prompts.admitted import Admitted
from comfybridge.prompts.slots import Slots
from comfybridge.request import GenerationRequest
from comfybridge.workflow.filling import Filled


@dataclasses.dataclass
class Submission:
    """A prompt that is queued on ComfyUI, with a listener. Holds one of the bridge's slots until it is closed.

    Attributes:
        prompt: the graph that was queued, and its id.
        admitted: its request.
        server: where it is queued.
        filled: the graph with its parameters, and the values used.
        warnings: what the caller should know so far.
        queued_at: when ComfyUI accepted it, on `time.monotonic()`'s clock.
        listener: receives its events.
        place: the slot that it holds, and its place at the server.
        is_repeat: whether the prompt was queued for an earlier request with the same idempotency key.
        parts: all prompts of a request for several; all else is then that of the first one.
    """

    prompt: Prompt
    admitted: Admitted
    server: Server
    filled: Filled
    warnings: list[str]
    queued_at: float
    listener: Listener = dataclasses.field(repr=False)
    place: Place = dataclasses.field(repr=False)
    is_repeat: bool = False
    parts: tuple[Submission, ...] = dataclasses.field(default=(), repr=False)

    @property
    def request(self) -> GenerationRequest:
        """What was asked for."""
        return self.admitted.asked

    @property
    def deadline(self) -> Deadline:
        """When the caller gives up."""
        return self.admitted.deadline

    @property
    def prompt_id(self) -> str:
        """The prompt's id."""
        return self.prompt.id

    def stop(self, error: BridgeError) -> None:
        """Have the waiting thread raise this error."""
        self.listener.stop(error)

    def about(self, error: BridgeError) -> BridgeError:
        """The error, with the prompt's id if it has none."""
        error.prompt_id = error.prompt_id or self.prompt.id
        return error

    def ran(self, seconds: float | None) -> None:
        """Record that the prompt has ended, so that its server may be given another."""
        self.listener.close()
        self.place.leave_server(seconds)

    def close(self) -> None:
        """Stop listening and free the slot; the prompt stays as it is. May be called twice, and from any thread."""
        for part in self.parts:
            part.close()
        self.listener.close()
        self.place.leave()

    def __enter__(self) -> Submission:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


# Called with a submission that takes the place of another.
OnQueued = Callable[[Submission], None]


class Place:
    """A request's slot in the bridge, and its place among those under way at a server.

    Args:
        slots: one of them is taken; None: the prompt shares the slot of another.

    Raises:
        Busy: every slot is taken.
    """

    def __init__(self, slots: Slots | None) -> None:
        if slots is not None:
            slots.take()
        self._slots = slots
        self._server: Server | None = None
        self._began = time.monotonic()
        self._has_run = False
        self._lock = threading.Lock()

    def move(self, server: Server) -> None:
        """Count as under way at a server that `Servers.begin` chose."""
        self.leave_server()
        self._server = server

    def leave_server(self, ran_seconds: float | None = None) -> None:
        """Count as under way no longer. May be called twice."""
        with self._lock:
            server, self._server = self._server, None
            self._has_run |= ran_seconds is not None
        if server is not None:
            server.end(ran_seconds)

    def leave(self) -> None:
        """Give the slot back too. May be called twice."""
        self.leave_server()
        with self._lock:
            slots, self._slots = self._slots, None
        if slots is not None:
            slots.give_back(time.monotonic() - self._began if self._has_run else None)

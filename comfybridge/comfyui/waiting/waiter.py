"""Waiting for a prompt: the contract of all ways of waiting, and their common parts.

    waiter.listen(prompt, deadline) -> Listener       before the prompt is queued, so that no event is missed
    listener.wait(prompt, deadline, on_event) -> Outcome

`hub.py` (one websocket for all requests), `websocket.py` (one for each) and `poll.py` are the three ways.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

from comfybridge.comfyui.client import ComfyUIClient
from comfybridge.comfyui.events import Event
from comfybridge.comfyui.lookup import PromptLookup
from comfybridge.comfyui.outcome import Outcome, Prompt, SoFar
from comfybridge.deadline import Deadline
from comfybridge.errors import BridgeError, TimedOut

OnEvent = Callable[[Event], None]

# A prompt without events for this many seconds is looked up: its event may be lost, or the prompt itself.
QUIET_SECONDS = 3.0


class Listener(ABC):
    """Receives the events of one prompt, from before it is queued. A context manager that closes itself.

    Attributes:
        client_id: the client id with which the prompt must be queued.
        warnings: sentences on what could not be done as requested.
        receives_images: whether images that are sent over the websocket reach it.
    """

    client_id: str
    warnings: list[str]
    receives_images: ClassVar[bool] = True

    @abstractmethod
    def wait(self, prompt: Prompt, deadline: Deadline, on_event: OnEvent | None = None) -> Outcome:
        """Block until the prompt has ended.

        Args:
            prompt: the prompt that was listened for, queued with this listener's `client_id`.
            deadline: when to give up; the prompt is not cancelled.
            on_event: called in this thread with every event of the prompt, if there are events.

        Raises:
            ExecutionFailed: a node failed.
            Interrupted: the prompt was cancelled.
            PromptLost: ComfyUI has it neither in its queue nor in its history.
            TimedOut: the deadline passed.
            ComfyUIUnreachable, ComfyUIError: ComfyUI does not answer, or answers nonsense.
        """

    @abstractmethod
    def stop(self, error: BridgeError) -> None:
        """Have `wait` raise an error in the thread that it blocks, unless the prompt has ended."""

    @property
    def so_far(self) -> SoFar | None:
        """What the prompt's events have shown so far; None without events. May be asked for from any thread."""
        return None

    @abstractmethod
    def close(self) -> None:
        """Release the resources of listening. May be called twice."""

    def __enter__(self) -> Listener:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Stop:
    """Lets one thread end another's waiting."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._error: BridgeError | None = None

    def ask(self, error: BridgeError) -> None:
        """Have the waiting thread raise an error."""
        self._error = error
        self._asked.set()

    def sleep(self, seconds: float) -> None:
        """Wait for a number of seconds; raises the error as soon as there is one."""
        if self._asked.wait(seconds):
            assert self._error is not None
            raise self._error


class Waiter(ABC):
    """A way to wait for prompts. Shared by all requests and threads.

    Attributes:
        name: its name in requests and settings.
        receives_images: whether images that are sent over the websocket reach it.
    """

    name: ClassVar[str]
    receives_images: ClassVar[bool]

    def __init__(self, client: ComfyUIClient, lookup: PromptLookup | None = None) -> None:
        self.client = client
        self.lookup = lookup or PromptLookup(client)

    def close(self) -> None:  # noqa: B027  # most have nothing to release
        """Release what all requests share."""

    @abstractmethod
    def listen(self, prompt: Prompt, deadline: Deadline) -> Listener:
        """Begin to listen for a prompt that is about to be queued.

        Raises:
            ComfyUIUnreachable: ComfyUI does not answer.
            TimedOut: the deadline passed.
        """

    @abstractmethod
    def attach(self, prompt: Prompt, deadline: Deadline) -> Listener:
        """Begin to listen for a prompt that is already queued, and that is not known to have ended.

        Raises:
            ComfyUIUnreachable: ComfyUI does not answer.
            TimedOut: the deadline passed.
        """


def out_of_time(prompt: Prompt, deadline: Deadline) -> TimedOut:
    """The error for a prompt that has not ended by its deadline."""
    return TimedOut(f"The prompt did not finish within {deadline.seconds:g} s.", prompt_id=prompt.id)

"""Reads ComfyUI's reports on its queue: `GET /queue` with every graph, and the job list (since 0.6.0) without."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from comfybridge.comfyui.extra_data import KEY, owner_of

Status = Literal["pending", "running", "ended"]

# The job list's names for a prompt's end.
STATUS: Mapping[str, Status] = {
    "pending": "pending",
    "in_progress": "running",
    "completed": "ended",
    "failed": "ended",
    "cancelled": "ended",
}


class NotAQueue(Exception):
    """The answer is not a queue, or not a job list."""


@dataclass(frozen=True)
class Job:
    """A prompt in the queue or the job list.

    Attributes:
        run: distinguishes this run of the prompt from another one under the same id; empty for a waiting prompt.
    """

    status: Status
    run: str = ""


@dataclass(frozen=True)
class Queue:
    """The ids of the running and of the waiting prompts, in order.

    Attributes:
        owners: the owners of prompts, by prompt id; None if ComfyUI did not report them.
        runs: by prompt id, what distinguishes its run from another one under the same id.
    """

    running: tuple[str, ...]
    pending: tuple[str, ...]
    owners: Mapping[str, str] | None = field(default=None, repr=False, compare=False)
    runs: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def _all(self) -> frozenset[str]:
        return frozenset((*self.running, *self.pending))

    def holds(self, prompt_id: str) -> bool:
        """Whether a prompt runs or waits."""
        return prompt_id in self._all

    def find(self, prompt_id: str) -> Job | None:
        """A prompt that runs or waits; None if it does neither."""
        if not self.holds(prompt_id):
            return None
        return Job("running" if prompt_id in self.running else "pending", self.runs.get(prompt_id, ""))

    def is_of(self, prompt_id: str, owner: str | None) -> bool:
        """Whether a prompt has the given owner; None: any."""
        return owner is None or (self.owners or {}).get(prompt_id) == owner


def queue_of(said: Mapping[str, Any]) -> Queue:
    """The queue in an answer of `GET /queue`.

    Raises:
        NotAQueue: it contains none.
    """
    items_running, items_pending = items_of(said)
    try:
        running = tuple(item[1] for item in items_running)
        pending = tuple(item[1] for item in sorted(items_pending, key=lambda item: tuple(item[:2])))
        runs = {item[1]: _run(item[0], item[3] if len(item) > 3 else None) for item in items_running}
    except (TypeError, IndexError):
        raise NotAQueue from None
    if not all(isinstance(each, str) for each in (*running, *pending)):
        raise NotAQueue
    owners = {item[1]: owner_of(item[3]) for item in (*items_running, *items_pending) if len(item) > 3}
    return Queue(running, pending, {each: owner for each, owner in owners.items() if owner is not None}, runs)


def items_of(said: Mapping[str, Any]) -> tuple[list[Sequence[Any]], list[Sequence[Any]]]:
    """The running and the waiting items of `GET /queue`: `[number, id, graph, extra_data, outputs]`.

    Raises:
        NotAQueue: it contains none.
    """
    try:
        running, pending = ([_item(each) for each in said[f"queue_{state}"]] for state in ("running", "pending"))
    except (KeyError, TypeError):
        raise NotAQueue from None
    return running, pending


def _item(item: Any) -> Sequence[Any]:
    """An item of the queue as a list, as ComfyUI sends it; hiddenswitch's fork sends an object instead."""
    if isinstance(item, Mapping):
        return [item["priority"], item["prompt_id"], *map(item.get, ("prompt", "extra_data", "good_outputs"))]
    if not isinstance(item, list):
        raise TypeError
    return item


def queue_of_jobs(said: Mapping[str, Any]) -> Queue:
    """The queue in an answer of `GET /api/jobs`, which has no owners.

    Raises:
        NotAQueue: it is not a job list.
    """
    try:
        jobs = [(job["priority"], job["id"], STATUS[job["status"]], job) for job in said["jobs"]]
        jobs.sort(key=lambda each: each[:2])  # the list is sorted by time, latest first, whatever the queue's order
        if not all(isinstance(each[1], str) for each in jobs):
            raise NotAQueue
        running, pending = (tuple(each[1] for each in jobs if each[2] == status) for status in ("running", "pending"))
        return Queue(
            running, pending, runs={each[1]: _run(each[0], each[3]) for each in jobs if each[2] == "running"}
        )
    except (KeyError, TypeError):
        raise NotAQueue from None


def job_of(said: Mapping[str, Any]) -> Job:
    """The prompt in an answer of `GET /api/jobs/ID`.

    Raises:
        NotAQueue: it contains none.
    """
    try:
        status = STATUS[said["status"]]
        return Job(status, _run(said.get("priority"), said) if status == "running" else "")
    except (KeyError, TypeError):
        raise NotAQueue from None


def _run(number: object, told: object) -> str:
    """What distinguishes a run from another one under the same id: its number, and the time at which it was queued.

    Since 0.3.69, ComfyUI records the time in `extra_data` and in the job list. The bridge's own note always has it.
    """
    told = told if isinstance(told, Mapping) else {}
    return f"{number} {told.get('create_time') or told.get(KEY)}"

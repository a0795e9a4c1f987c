"""Prompts by their ids: what became of them, which ones wait, and stopping one.

ComfyUI's queue and history are the only store, with the `Record` that the bridge left there; so it does not matter
which process queued a prompt, or whether the bridge queued it at all.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeVar

from comfybridge.comfyui.extra_data import owner_of
from comfybridge.comfyui.outcome import WEBSOCKET_OUTPUT_CLASS, Outcome, Prompt, outcome_of_history
from comfybridge.comfyui.servers import Server, Servers
from comfybridge.deadline import Deadline
from comfybridge.errors import BridgeError, ComfyUIError, ComfyUIUnreachable, NoOutput, TimedOut, UnknownPrompt
from comfybridge.prompts.giving_up import CANCEL_SECONDS
from comfybridge.prompts.no_output import nothing_to_show
from comfybridge.prompts.outputs import collect_outputs
from comfybridge.prompts.processes import Machine
from comfybridge.prompts.record import Record
from comfybridge.request import Generation, OutputOptions, Timings
from comfybridge.workflow.graph import Graph
from comfybridge.workflow.sizes import expected_size

T = TypeVar("T")
Status = Literal["pending", "running"]

# An id that fits into a URL and a header: visible ASCII without / and \, and not just . or .. . The bridge and
# ComfyUI use UUIDs; other clients may choose any id, and another program at COMFYUI_URL may return anything.
PROMPT_ID = re.compile(r"(?!\.{1,2}\Z)[\x21-\x2e\x30-\x5b\x5d-\x7e]{1,100}")

# The bridge's clock says when a prompt was queued, and ComfyUI's when it began to run. On two machines they may
# differ a little; where they differ by more than makes sense, the time in the queue is unknown.
CLOCK_SKEW_SECONDS = 1.0
LONGEST_IN_QUEUE_SECONDS = 7 * 24 * 3600.0

# ComfyUI tells the end of a prompt, and writes it into its history a moment later.
WRITING_SECONDS = 1.0
WRITING_PAUSE = 0.01
ENDED_KEPT = 256


@dataclass(frozen=True)
class Unfinished:
    """A prompt that waits or runs.

    Attributes:
        position: its place among the waiting prompts, from 1; 0 if it is running.
    """

    prompt_id: str
    status: Status
    position: int


@dataclass(frozen=True)
class Finished:
    """A prompt that ran to its end.

    Attributes:
        outcome: its outputs.
        record: what is known of its request.
        server: where it ran.
        lost_nodes: the nodes whose images were only sent over a websocket.
        queued: seconds that it waited; None if unknown.
        graph: the graph that was queued.
    """

    prompt_id: str
    outcome: Outcome
    record: Record
    server: Server
    lost_nodes: list[str]
    queued: float | None
    graph: Graph


@dataclass(frozen=True)
class Standing:
    """The running and waiting prompts of a server.

    Attributes:
        running: the ids of prompts.
        pending: the ids of waiting prompts, each with its place among all that wait there, from 1, from any client.
    """

    server: Server
    running: list[str]
    pending: list[tuple[str, int]]


class Prompts:
    """The prompts that the ComfyUI servers know, from any client. Safe to share between threads.

    Args:
        machine: records which prompts were cancelled while they waited: ComfyUI keeps no trace of those.
        on_taken_out: called with the id of each prompt that `cancel` took out of a queue.
    """

    def __init__(self, servers: Servers, machine: Machine, on_taken_out: Callable[[str], None]) -> None:
        self._servers = servers
        self._machine = machine
        self._on_taken_out = on_taken_out
        self._ended: deque[str] = deque(maxlen=ENDED_KEPT)  # prompts of this process, the newest last

    def note_end(self, prompt_id: str) -> None:
        """ComfyUI has told the end of a prompt."""
        self._ended.append(prompt_id)

    def find(
        self, prompt_id: str, deadline: Deadline, owner: str | None, *, has_ended: bool = False
    ) -> Finished | Unfinished:
        """What became of a prompt.

        Args:
            owner: the owner that the prompt must have; other prompts count as unknown. None: any.
            has_ended: whether its end is known, so that ComfyUI is about to write its history if it runs.

        Raises:
            UnknownPrompt: ComfyUI does not know it.
            ExecutionFailed, Interrupted: how it ended.
            ComfyUIUnreachable, ComfyUIError, TimedOut: the call to ComfyUI failed.
        """
        _check_id(prompt_id)
        until = time.monotonic() + WRITING_SECONDS
        while True:
            found = self._of_whom_it_is(lambda server, patience: _find(server, prompt_id, patience, owner), deadline)
            is_over = has_ended or prompt_id in self._ended
            if isinstance(found, Finished) or not is_over or time.monotonic() >= until:
                return found
            time.sleep(WRITING_PAUSE)

    def collect(self, finished: Finished, options: OutputOptions, deadline: Deadline) -> Generation:
        """Make a `Generation` from a finished prompt. No file is fetched yet: its outputs do that when read.

        The timings are those of the prompt itself. They come from the clocks of two machines, so they are less exact
        than those that `Bridge.generate` measures; `total` is the sum of the known ones, without the time since the
        end.

        Raises:
            NoOutput: the prompt finished with nothing to show, or with nothing that can still be fetched.
            InvalidRequest: it has outputs, but not from the requested nodes.
        """
        collected = collect_outputs(finished.outcome, finished.server.client, deadline, options)
        wanted = [node for node in finished.lost_nodes if options.nodes is None or node in options.nodes]
        lost = [_lost_sentence(node) for node in wanted]
        if not collected.outputs:
            if lost:
                raise NoOutput(" ".join(lost), prompt_id=finished.prompt_id)
            client = finished.server.client
            raise nothing_to_show(finished.outcome, client, deadline, options, finished.prompt_id)
        total = (finished.queued or 0.0) + (finished.outcome.executing or 0.0)
        return Generation(
            prompt_id=finished.prompt_id,
            outputs=collected.outputs,
            seed=finished.record.seed,
            params=finished.record.params,
            warnings=[*finished.record.warnings, *finished.outcome.warnings, *collected.warnings, *lost],
            timings=Timings(queued=finished.queued, executing=finished.outcome.executing, total=total),
            started=time.monotonic() - total,
            deadline=deadline,
            size=expected_size(finished.graph, finished.record.params, options.max_size),
        )

    def cancel(self, prompt_id: str, deadline: Deadline, owner: str | None) -> Status:
        """Remove a prompt from the queue if it waits, interrupt it if it runs; no other prompt is affected.

        Args:
            owner: as in `find`.

        Returns:
            Its state until then. A running prompt stops at its next sampling step.

        Raises:
            UnknownPrompt: it neither waits nor runs.
            ComfyUIError: it runs, on a ComfyUI too old to interrupt one prompt alone; or an answer made no sense.
            ComfyUIUnreachable, TimedOut: ComfyUI could not be asked.
        """
        _check_id(prompt_id)
        return self._of_whom_it_is(
            lambda server, patience: self._cancel(server, prompt_id, patience, owner), deadline
        )

    def try_to_cancel(self, prompt_id: str) -> None:
        """Cancel a prompt, if it waits or runs and ComfyUI answers."""
        with contextlib.suppress(BridgeError):
            self.cancel(prompt_id, Deadline(CANCEL_SECONDS), None)

    def was_taken_out(self, prompt_id: str) -> bool:
        """Whether `cancel` removed a prompt from the queue, in any process of this machine."""
        return self._machine.is_marked(prompt_id)

    def queues(self, deadline: Deadline, owner: str | None) -> list[Standing]:
        """The running and waiting prompts on each server that answers; concurrent calls share one look.

        Args:
            owner: whose prompts to return; None: all, which is cheaper.

        Raises:
            ComfyUIUnreachable, ComfyUIError, TimedOut: none of them answers.
        """
        answers = self._servers.answers(
            lambda server, patience: server.lookup.recent_queue(
                time.monotonic(), patience, with_owners=owner is not None
            ),
            deadline,
        )
        return [
            Standing(
                server,
                [each for each in queue.running if queue.is_of(each, owner)],
                [(each, place) for place, each in enumerate(queue.pending, 1) if queue.is_of(each, owner)],
            )
            for server, queue in answers
        ]

    def _of_whom_it_is(self, ask: Callable[[Server, Deadline], T], deadline: Deadline) -> T:
        """The answer of the server to which a prompt belongs; the others raise UnknownPrompt."""
        unknown: BridgeError | None = None
        unasked: BridgeError | None = None
        for _, said in self._servers.each(ask, deadline):
            if not isinstance(said, BridgeError):
                return said
            if isinstance(said, FinishedAlready):
                raise said
            if isinstance(said, UnknownPrompt):
                unknown = said
            elif isinstance(said, (ComfyUIUnreachable, ComfyUIError, TimedOut)):
                unasked = unasked or said
            else:
                raise said
        raise unasked or unknown or self._servers.nobody()

    def _cancel(self, server: Server, prompt_id: str, deadline: Deadline, owner: str | None) -> Status:
        # marked first, so that a request waiting for the prompt cannot look before the mark exists
        remember = partial(self._machine.mark, prompt_id)
        was = server.canceller.cancel(prompt_id, deadline, before_deleting=remember, owner=owner)
        if was == "pending":
            self._on_taken_out(prompt_id)
        if was != "gone":
            return was
        entry = server.client.history(prompt_id, deadline)
        if entry is not None and _is_of(entry, owner):
            raise FinishedAlready("The prompt has finished; there is nothing to cancel.", prompt_id=prompt_id)
        raise UnknownPrompt("The prompt is not in ComfyUI's queue, nor does it run.", prompt_id=prompt_id)


class FinishedAlready(UnknownPrompt):
    """The prompt has finished, so it can't be cancelled."""


def _find(server: Server, prompt_id: str, deadline: Deadline, owner: str | None) -> Finished | Unfinished:
    # The queue must be read before the history, or a prompt that finishes in between looks lost. The first look at
    # the history only avoids reading the queue, which is expensive, for a prompt that has already finished.
    entry = server.client.history(prompt_id, deadline)
    if entry is None or not _is_of(entry, owner):
        unfinished = _place(server, prompt_id, deadline, owner)
        if unfinished is not None:
            return unfinished
        entry = server.client.history(prompt_id, deadline)
    if entry is None or not _is_of(entry, owner):
        raise UnknownPrompt(
            "ComfyUI does not know the prompt: it was never queued, was taken out of the queue, or is forgotten.",
            prompt_id=prompt_id,
        )
    return _finished(server, prompt_id, entry)


def _is_of(entry: Mapping[str, Any], owner: str | None) -> bool:
    """Whether a prompt in the history has the given owner."""
    if owner is None:
        return True
    try:
        return owner_of(entry["prompt"][3]) == owner
    except (KeyError, IndexError, TypeError):
        return False


def _check_id(prompt_id: str) -> None:
    if not PROMPT_ID.fullmatch(prompt_id):
        raise UnknownPrompt("No prompt has such an id; the prompt_id in an answer of /generate is one.")


def _place(server: Server, prompt_id: str, deadline: Deadline, owner: str | None) -> Unfinished | None:
    now = time.monotonic()
    job = server.lookup.find(prompt_id, now, deadline)
    if job is None:
        return None
    if job.status == "running" and owner is None:
        return Unfinished(prompt_id, "running", 0)
    # its position and its owner take more work to find out
    queue = server.lookup.recent_queue(now, deadline, with_owners=owner is not None)
    if not queue.is_of(prompt_id, owner):
        return None
    if prompt_id in queue.running:
        return Unfinished(prompt_id, "running", 0)
    if prompt_id in queue.pending:
        return Unfinished(prompt_id, "pending", queue.pending.index(prompt_id) + 1)
    return None


def _finished(server: Server, prompt_id: str, entry: Mapping[str, Any]) -> Finished:
    try:
        graph, extra_data, targets = entry["prompt"][2], entry["prompt"][3], entry["prompt"][4]
        prompt = Prompt(prompt_id, graph)
        outcome = outcome_of_history(prompt, entry)
        lost_nodes = [node for node in prompt.websocket_outputs if node in targets]
    except (KeyError, IndexError, TypeError, AttributeError):
        raise ComfyUIError("ComfyUI's history entry of the prompt makes no sense.", prompt_id=prompt_id) from None
    record = Record.from_extra_data(extra_data)
    return Finished(prompt_id, outcome, record, server, lost_nodes, _seconds_in_queue(record, entry), graph)


def _seconds_in_queue(record: Record, entry: Mapping[str, Any]) -> float | None:
    started = _started_at(entry)
    if record.queued_at is None or started is None:
        return None
    seconds = started - record.queued_at
    return max(0.0, seconds) if -CLOCK_SKEW_SECONDS <= seconds <= LONGEST_IN_QUEUE_SECONDS else None


def _started_at(entry: Mapping[str, Any]) -> float | None:
    """When a prompt began to run, in seconds since 1970, by ComfyUI's clock."""
    for message in (entry.get("status") or {}).get("messages") or []:
        try:
            kind, data = message
            if kind == "execution_start":
                return float(data["timestamp"]) / 1000
        except (KeyError, ValueError, TypeError, OverflowError):
            continue
    return None


def _lost_sentence(node: str) -> str:
    return (
        f"The images of node {node} ({WEBSOCKET_OUTPUT_CLASS}) went over a websocket while the prompt ran, and can't "
        "be fetched again; a SaveImage node keeps them."
    )

"""The progress of a request: that of its prompt, or that of all its prompts together."""

from __future__ import annotations

import threading
from dataclasses import replace

from comfybridge.comfyui import events
from comfybridge.comfyui.servers import Server
from comfybridge.prompts.expectations import expected_seconds
from comfybridge.prompts.progress import MOST_BEFORE_END, Preview, Progress, ProgressMeter
from comfybridge.prompts.submission import Submission


def meter_of(submission: Submission) -> Meter:
    """A meter for a request that is queued."""
    return OverallMeter(submission) if submission.parts else meter_of_prompt(submission)


def meter_of_prompt(submission: Submission) -> ProgressMeter:
    """A meter for one prompt that is queued."""
    server, request = submission.server, submission.request
    return ProgressMeter(submission.prompt, server.node_times, request.partial_execution_targets)


class OverallMeter:
    """Turns the events of several prompts into progress over all of them, to which each contributes the same.

    The methods are those of `ProgressMeter`. The events must name their prompts.

    Args:
        whole: a submission with `parts`.
    """

    def __init__(self, whole: Submission) -> None:
        self._parts = {each.admitted: _Part(each) for each in whole.parts}
        self._of_prompt = {each.prompt.id: self._parts[each.admitted] for each in whole.parts}
        self._lock = threading.Lock()

    def follow(self, again: Submission) -> None:
        """Continue with a prompt that was queued in place of an earlier one."""
        with self._lock:
            part = self._of_prompt[again.prompt.id] = self._parts[again.admitted]
            part.follow(again)

    def read(self, event: events.Event) -> list[Progress | Preview]:
        """The progress and previews in an event; often there are none."""
        prompt_id = event.prompt_id if isinstance(event, (events.PromptEvent, events.Image)) else None
        with self._lock:
            part = self._of_prompt.get(prompt_id or "")
            told = [] if part is None else part.read(event)
            return [self._overall(each) if isinstance(each, Progress) else each for each in told]

    def still(self) -> Progress | None:
        """The progress while no event arrives; None if it has not changed. May be called from any thread."""
        with self._lock:
            told = [each for part in self._parts.values() if (each := part.still()) is not None]
            return self._overall(told[-1]) if told else None

    def end(self) -> Progress | None:
        """Progress at 100 percent, once all outcomes are known; None if no event reported a prompt's success."""
        ends = [end for part in self._parts.values() if (end := part.meter.end()) is not None]
        if len(ends) < len(self._parts):
            return None
        count = sum(end.nodes_total for end in ends)
        return replace(ends[-1], nodes_done=count, nodes_total=count)

    def _overall(self, told: Progress) -> Progress:
        percent = sum(part.percent for part in self._parts.values()) / len(self._parts)
        return replace(
            told,
            percent=round(min(percent, MOST_BEFORE_END), 1),
            eta_seconds=self._seconds_left(),
            nodes_done=sum(part.nodes_done for part in self._parts.values()),
            nodes_total=sum(part.nodes_total for part in self._parts.values()),
        )

    def _seconds_left(self) -> float | None:
        """How long it takes until the last server is done; None if too little is known."""
        left: dict[Server, float] = {}
        expected: dict[Server, float | None] = {}  # of each prompt that has not begun: they differ in their seeds
        for part in self._parts.values():
            server = part.submission.server
            if part.percent == 0.0 and server not in expected:
                expected[server] = expected_seconds(server.node_times, part.submission.prompt.graph)
            seconds = expected[server] if part.percent == 0.0 else part.seconds_left
            if seconds is None:
                return None
            left[server] = left.get(server, 0.0) + seconds
        return round(max(left.values()), 1)


class _Part:
    """One of the prompts.

    Attributes:
        percent: of it; never falls.
        seconds_left: until its end; None if unknown.
        nodes_done, nodes_total: as `Progress` has them.
    """

    def __init__(self, submission: Submission) -> None:
        self.submission = submission
        self.meter = meter_of_prompt(submission)
        self.percent = 0.0
        self.seconds_left: float | None = None
        self.nodes_done, self.nodes_total = 0, len(submission.prompt.graph)

    def follow(self, again: Submission) -> None:
        self.submission = again
        self.meter.follow(again)

    def read(self, event: events.Event) -> list[Progress | Preview]:
        told = self.meter.read(event)
        for each in told:
            self._take(each)
        if isinstance(event, events.ExecutionSuccess):
            self.percent, self.seconds_left, self.nodes_done = 100.0, 0.0, self.nodes_total
        return told

    def still(self) -> Progress | None:
        told = self.meter.still()
        self._take(told)
        return told

    def _take(self, told: Progress | Preview | None) -> None:
        if isinstance(told, Progress):
            self.percent, self.seconds_left = max(self.percent, told.percent), told.eta_seconds
            self.nodes_done, self.nodes_total = told.nodes_done, told.nodes_total


Meter = ProgressMeter | OverallMeter

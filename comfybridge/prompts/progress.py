"""The progress of a prompt and its remaining time, over the whole graph."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from comfybridge.comfyui import events
from comfybridge.comfyui.node_clock import NodeClock
from comfybridge.comfyui.node_times import NodeTimes
from comfybridge.comfyui.outcome import Prompt, SoFar
from comfybridge.prompts.expectations import Expected, expected_nodes, expected_seconds, needed
from comfybridge.prompts.submission import Submission

# The highest percentage before the prompt has ended: rounded, it must not look like the end.
MOST_BEFORE_END = 99.9
# The greatest weight of a node that is not a sampler and counts something else, such as tiles or percent.
MOST_UNITS_WEIGHED = 40.0
# How many steps of this run count as much as the earlier runs together.
TRUST = 1.0
# A node that exceeds its estimate is expected to go on for this part of its time so far.
OVERDUE = 10.0
# The greatest factor by which a run on other models or sizes is assumed to be slower or faster.
MOST_TIMES_SLOWER = 100.0


@dataclass(frozen=True)
class Queued:
    """The prompt, or another one in its place, has been queued.

    Attributes:
        position: its place among the waiting prompts; None if nobody follows it, or if it is unknown.
        eta_seconds: how long it will wait and run; None if unknown. Of several prompts, until all have run.
        prompt_ids: those of all prompts of the request, if there are several; `prompt_id` is the first.
    """

    prompt_id: str
    position: int | None
    eta_seconds: float | None = None
    prompt_ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class Progress:
    """A step forward.

    Attributes:
        percent: of the whole prompt; never falls, and is 100 once the outcome is known.
        node_id, class_type: the node that is running.
        value, max: the node's step, and its number of steps.
        eta_seconds: the remaining time, estimated from earlier runs of such nodes and from the steps of this run;
            None while neither is known.
        nodes_done, nodes_total: how many nodes are done, cached ones included, and how many there are; of several
            prompts, those of all. 0 of 0 if an older bridge or agent tells it.
    """

    percent: float
    node_id: str
    class_type: str
    value: float
    max: float
    eta_seconds: float | None = None
    nodes_done: int = 0
    nodes_total: int = 0


@dataclass(frozen=True)
class Preview:
    """A preview of the picture that a node is making."""

    node_id: str
    media_type: str
    data: bytes


class ProgressMeter:
    """Turns a prompt's events into progress and previews.

    On a server that has run such nodes before, the percentage is the share of the expected time. Otherwise it is the
    share of the steps, with a node that does not sample counting as half a step. Cached nodes take no time and do not
    count. The percentage never falls.

    Args:
        times: how long nodes took on the server; None if nothing is known.
        targets: the output nodes that the graph is run for; None: all.
    """

    def __init__(
        self, prompt: Prompt, times: NodeTimes | None = None, targets: Collection[str] | None = None
    ) -> None:
        self._prompt = prompt
        self._graph: Mapping[str, Mapping[str, Any]] = prompt.graph
        self._finished_images = set(prompt.websocket_outputs)
        self._targets = targets
        self._times = NodeTimes() if times is None else times
        self._percent = 0.0
        self._last: Progress | None = None
        self._end: Progress | None = None  # once the prompt has succeeded
        self._lock = threading.Lock()
        self._start()

    def follow(self, again: Submission) -> None:
        """Continue with a prompt that was queued in place of the previous one."""
        with self._lock:
            self._prompt, self._graph, self._end = again.prompt, again.prompt.graph, None
            self._start()

    def _start(self) -> None:
        """Nothing has run yet."""
        self._expected = expected_nodes(self._times, self._graph, self._targets)
        self._ahead = _Ahead(self._expected.values())
        self._weight = sum(each.weight for each in self._expected.values())
        self._total = len(self._expected)
        self._begun: set[str] = set()
        self._running: set[str] = set()
        self._tells_states = False
        self._is_heard_from_start = False
        self._clock = NodeClock()
        self._started: float | None = None
        self._is_timed: bool | None = None  # whether the percentage is of time; decided when the first node begins
        self._pace: float | None = None  # seconds per step of this run's last sampler
        self._slowness = 1.0  # how much slower this run is than those on other models and sizes, as a factor

    def read(self, event: events.Event) -> list[Progress | Preview]:
        """The progress and previews in an event; often there are none."""
        with self._lock:
            told = list(self._read(event, time.monotonic()))
            for each in told:
                if isinstance(each, Progress):
                    self._last = each
            return told

    def catch_up(self, so_far: SoFar) -> Progress | None:
        """The progress by what a listener has read of the events; None before a node has begun."""
        with self._lock:
            self._start()
            now, clock = time.monotonic(), so_far.clock
            self._leave_out(so_far.cached)
            for node in clock.nodes:
                self._begin(node, node, now)
            if clock.current is None:
                return None
            self._clock, self._running = clock, {clock.current}
            for node in clock.nodes:
                self._weigh(node)
                self._learn_pace(node)
            self._started = now - clock.seconds_in_all(now)
            spent = clock.nodes[clock.current]
            return self._progress(clock.current, spent.value, spent.most, now)

    def end(self) -> Progress | None:
        """Progress at 100 percent, once the outcome is known; None if no event reported the prompt's success."""
        with self._lock:
            self._last = self._end or self._last
            return self._end

    def still(self) -> Progress | None:
        """The progress while no event arrives; None if it has not changed. May be called from any thread."""
        with self._lock:
            last = self._last
            if last is None or not self._is_timed or last.percent == 100:
                return None
            told = self._progress(last.node_id, last.value, last.max, time.monotonic())
            if (told.percent, told.eta_seconds) == (last.percent, last.eta_seconds):
                return None
            self._last = told
            return told

    def _read(self, event: events.Event, now: float) -> Iterator[Progress | Preview]:
        if self._started is None:
            self._started = now
        if isinstance(event, (events.ExecutionStart, events.ExecutionCached)):
            self._is_heard_from_start = True
        elif isinstance(event, (events.Executing, events.Progress)) and event.node is not None:
            self._join(event, now)
        if isinstance(event, events.ExecutionCached):
            self._leave_out(event.nodes)
        elif isinstance(event, events.ProgressState):
            self._read_states(event)
        elif isinstance(event, events.Executing) and event.node is not None:
            node = event.display_node or event.node
            self._begin(event.node, node, now)
            yield self._progress(node, 0, 1, now)
        elif isinstance(event, events.Progress) and event.node is not None:
            node = self._clock.shown_as(event.node)
            self._clock.announce(node, event.value, event.max, now)
            self._weigh(node)
            self._learn_pace(node)
            yield self._progress(node, event.value, event.max, now)
        elif isinstance(event, events.ExecutionSuccess):
            self._end = self._whole()  # `end` reports it: its outputs may be gone, so that it has to run again
        elif isinstance(event, events.Image):
            shown = self._clock.current if event.node is None else self._clock.shown_as(event.node)
            if shown is not None and shown not in self._finished_images:
                yield Preview(shown, event.media_type, event.data)

    # -- what has happened ---------------------------------------------------------------------------------------

    def _join(self, event: events.Executing | events.Progress, now: float) -> None:
        """If this is the first event that is heard of a prompt that runs already: what its node needs is done."""
        if self._is_heard_from_start or event.node is None:
            return
        self._is_heard_from_start = True
        node = (event.display_node or event.node) if isinstance(event, events.Executing) else event.node
        self._leave_out([each for each in needed(self._graph, [node]) if each != node])
        if isinstance(event, events.Progress):
            self._begin(node, node, now)
            expected = self._expected.get(node)
            if expected is not None and expected.unit_seconds is not None:
                self._started = now - event.value * expected.unit_seconds

    def _leave_out(self, cached: Collection[str]) -> None:
        """Leave out cached nodes, and nodes that only they need."""
        done = set(cached)
        targets = self._prompt.last_nodes if self._targets is None else self._targets
        left = set(needed(self._graph, targets, done)) - self._begun
        for node in [each for each in self._expected if each not in left and each not in self._begun]:
            expected = self._expected.pop(node)
            self._ahead.take_out(expected)
            self._weight -= expected.weight

    def _read_states(self, event: events.ProgressState) -> None:
        """If several nodes run at a time, only these events tell which ones are done."""
        self._tells_states = True
        self._running = {
            node for node, each in event.nodes.items() if each.state == "running" and node in self._begun
        }

    def _begin(self, node: str, display_node: str, now: float) -> None:
        self._clock.begin(node, display_node, now)
        if not self._tells_states:  # before mid-2025: the previous node is done
            self._running.clear()
        self._running.add(display_node)
        if display_node not in self._begun:
            self._begun.add(display_node)
            expected = self._expected.get(display_node)
            if expected is not None:
                self._ahead.take_out(expected)

    def _weigh(self, node: str) -> None:
        """Weigh a node by the number that it counts to, if the graph shows no steps or more of them."""
        spent, expected = self._clock.nodes.get(node), self._expected.get(node)
        if spent is None or expected is None or spent.most <= 1:
            return
        weight = min(spent.most, MOST_UNITS_WEIGHED if expected.steps is None else expected.steps)
        if weight != expected.weight and (expected.steps is None) == (weight > expected.weight):
            self._weight += weight - expected.weight
            self._expected[node] = replace(expected, weight=weight)

    def _learn_pace(self, node: str) -> None:
        spent, expected = self._clock.nodes.get(node), self._expected.get(node)
        if spent is None or expected is None or spent.unit_seconds is None:
            return
        if expected.unit_seconds and not expected.is_alike:
            slowness = spent.unit_seconds / expected.unit_seconds
            self._slowness = min(max(slowness, 1 / MOST_TIMES_SLOWER), MOST_TIMES_SLOWER)
        if expected.steps is not None:
            self._pace = spent.unit_seconds

    # -- what that comes to --------------------------------------------------------------------------------------

    def _progress(self, node: str, value: float, most: float, now: float) -> Progress:
        eta = self._seconds_left(now)
        if self._is_timed is None:
            self._is_timed = eta is not None
        if not self._is_timed:
            percent = 100 * (1 - self._weight_left() / self._weight) if self._weight else 0.0
        elif eta is not None:
            elapsed = now - (self._started or now)
            percent = 100 * elapsed / (elapsed + eta) if elapsed + eta > 0 else 0.0
        else:
            percent = self._percent
        self._percent = max(self._percent, round(min(percent, MOST_BEFORE_END), 1))
        eta = None if eta is None else round(eta, 1)
        done = self._total - self._ahead.count - sum(each in self._expected for each in self._running)
        return Progress(self._percent, node, self._class_type(node), value, most, eta, done, self._total)

    def _whole(self) -> Progress:
        node = self._clock.current or next(iter(self._graph), "")
        spent = self._clock.nodes.get(node)
        most = spent.most if spent is not None and spent.most else 1.0
        return Progress(100.0, node, self._class_type(node), most, most, 0.0, self._total, self._total)

    def _class_type(self, node: str) -> str:
        return str(self._graph.get(node, {}).get("class_type", ""))

    def _weight_left(self) -> float:
        left = self._ahead.weight
        for node in self._running:
            expected, spent = self._expected.get(node), self._clock.nodes.get(node)
            if expected is not None and spent is not None:
                most = max(expected.units or 0.0, spent.units - spent.value + spent.most)
                left += expected.weight * (1 - min(spent.units / most, 1.0) if most else 1.0)
        return left

    def _seconds_left(self, now: float) -> float | None:
        """How long the rest will take; None if too little is known."""
        left = self._ahead.seconds(self._slowness, self._pace)
        for node in self._running:
            expected = self._expected.get(node)
            each = 0.0 if expected is None else self._node_seconds_left(node, expected, now)
            if left is None or each is None:
                return None
            left += each
        return left

    def _node_seconds_left(self, node: str, expected: Expected, now: float) -> float | None:
        """How long a running node will still take."""
        spent = self._clock.nodes[node]
        slowness = 1.0 if expected.is_alike else self._slowness
        if spent.units:
            silent = spent.silent(now)
            units_left = spent.most - spent.value
            if expected.is_alike and expected.units is not None:
                units_left = max(units_left, expected.units - spent.units)
            rate = self._rate(node, expected) if units_left else 0.0
            return None if rate is None else _rest(units_left * rate + expected.tail * slowness, silent)
        seconds = expected.seconds
        if seconds is not None:
            return _rest(seconds * slowness, self._clock.seconds_of(node, now))
        step = self._pace if expected.steps is not None else self._ahead.step_seconds(self._pace)
        return None if step is None else _rest(expected.weight * step, self._clock.seconds_of(node, now))

    def _rate(self, node: str, expected: Expected) -> float | None:
        """The time for a step: as measured in this run, with more weight on earlier runs at first.

        After the first step on other models or sizes nothing is known: it may have loaded a model, or just be slow.
        """
        spent = self._clock.nodes[node]
        before = expected.unit_seconds if expected.is_alike else None
        if before is None or spent.unit_seconds is None:
            return before if spent.unit_seconds is None else spent.unit_seconds
        measured = spent.timed_units
        return (TRUST * before + measured * spent.unit_seconds) / (TRUST + measured)


def _rest(expected: float, passed: float) -> float:
    """The rest of an expected time; if it is exceeded, a part of the time so far."""
    return max(expected - passed, passed / OVERDUE)


def eta_of(submission: Submission, position: int) -> float | None:
    """How long a queued prompt will wait and run; None if no prompt like it has run on the server.

    Args:
        position: its place among the waiting prompts, from 1; 0 if it is running. The prompt running before it is
            assumed to be half done.
    """
    server = submission.server
    if position == 1 and server.load <= 1:  # nothing is before it: it is about to run
        position = 0
    own = expected_seconds(server.node_times, submission.prompt.graph)
    if own is None:
        return None
    ahead = max(position - 0.5, 0.0) * server.seconds_per_prompt()
    most = max(Counter(part.server for part in submission.parts).values(), default=1)
    return round(ahead + most * own, 1)


class _Ahead:
    """Sums over the nodes that have not begun: a graph may have thousands, and each has an event."""

    def __init__(self, expected: Collection[Expected]) -> None:
        self.count = 0
        self.weight = 0.0
        self._seconds_alike = 0.0
        self._seconds_of_class = 0.0
        self._weight_unknown = 0.0
        self._unknown = self._samplers_unknown = 0
        rates = sorted(each.unit_seconds for each in expected if each.unit_seconds and each.steps is not None)
        known = [each.seconds for each in expected if each.seconds is not None]
        # seconds per step in earlier runs
        self._usual_pace = rates[len(rates) // 2] if rates else sum(known) / len(known) if known else None
        for each in expected:
            self._count(each, 1)

    def take_out(self, each: Expected) -> None:
        """Remove a node that begins, or that need not run."""
        self._count(each, -1)

    def seconds(self, slowness: float, pace: float | None) -> float | None:
        """How long they will take; None if unknown.

        Args:
            slowness: the factor for nodes that have only run on other models and sizes.
            pace: seconds per step in this run; None if none was measured.
        """
        known = max(self._seconds_alike, 0.0) + max(self._seconds_of_class, 0.0) * slowness
        if not self._unknown:
            return known
        if pace is None and self._samplers_unknown:
            return None
        step = self.step_seconds(pace)
        return None if step is None else known + max(self._weight_unknown, 0.0) * step

    def step_seconds(self, pace: float | None) -> float | None:
        """Seconds per step, in this run or in earlier ones; None if unknown."""
        return self._usual_pace if pace is None else pace

    def _count(self, each: Expected, sign: int) -> None:
        self.count += sign
        self.weight += sign * each.weight
        if each.seconds is None:
            self._unknown += sign
            self._weight_unknown += sign * each.weight
            self._samplers_unknown += sign * (each.steps is not None)
        elif each.is_alike:
            self._seconds_alike += sign * each.seconds
        else:
            self._seconds_of_class += sign * each.seconds

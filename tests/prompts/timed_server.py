"""A server whose clock the test controls, and the progress reported for its prompts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from comfybridge.comfyui import events
from comfybridge.comfyui.events import Event, NodeProgress
from comfybridge.comfyui.node_times import NodeTimes
from comfybridge.comfyui.outcome import OutcomeReader, Prompt
from comfybridge.prompts.expectations import learn
from comfybridge.prompts.progress import Progress, ProgressMeter
from tests import graphs

ID = "prompt"


@dataclass
class Clock:
    """Stands in for the module `time`."""

    now: float = 1000.0

    def monotonic(self) -> float:
        return self.now


@dataclass(frozen=True)
class Part:
    """A node's run: seconds before its steps, for each of them, and after; a part may be one of several passes."""

    node: str
    seconds: float = 0.0
    steps: int = 0
    step_seconds: float = 0.0
    tail: float = 0.0
    display: str = ""
    passes: int = 1


@dataclass
class Told:
    """The progress that was reported for a run, with times."""

    began: float
    ended: float = 0.0
    heard: list[tuple[float, Progress]] = field(default_factory=list)

    @property
    def deviations(self) -> list[float]:
        """How far each percentage was from the share of the time that had passed."""
        whole = self.ended - self.began
        return [abs(each.percent - 100 * (at - self.began) / whole) for at, each in self.heard]

    @property
    def eta_errors(self) -> list[float]:
        """How many seconds each estimate was off, of those that there were."""
        return [abs(each.eta_seconds - (self.ended - at)) for at, each in self.heard if each.eta_seconds is not None]

    def of(self, class_type: str) -> list[Progress]:
        return [each for _, each in self.heard if each.class_type == class_type]


class Server:
    """A server that runs what a test prescribes, for as long as it says."""

    def __init__(self, clock: Clock) -> None:
        self.times = NodeTimes()
        self._clock = clock

    def run(
        self,
        graph: dict[str, Any],
        parts: Sequence[Part],
        *,
        targets: list[str] | None = None,
        tells_states: bool = True,
        fails: bool = False,
        heard_from: str = "",
    ) -> Told:
        """Run a graph; nodes that are no part of the run and feed one are cached.

        Args:
            heard_from: what happens before this node is at half of its steps is not heard; empty: all is.
        """
        prompt = Prompt(ID, graph)
        meter, reader, told = ProgressMeter(prompt, self.times, targets), OutcomeReader(prompt), Told(self._clock.now)
        result = None
        is_heard = not heard_from
        for event in self._events(graph, parts, tells_states, fails):
            result = reader.read(event)
            is_heard = is_heard or _is_at_half(event, heard_from)
            if not is_heard:
                continue
            told.heard += [(self._clock.now, each) for each in meter.read(event) if isinstance(each, Progress)]
        told.ended = self._clock.now
        end = meter.end()
        told.heard += [] if end is None else [(told.ended, end)]
        if result is not None:
            learn(self.times, graph, result.spent, result.executing)
        percents = [each.percent for _, each in told.heard]
        assert percents == sorted(percents)
        assert all(each < 100 for each in percents[: None if fails else -1])
        assert all((each.eta_seconds or 0) >= 0 for _, each in told.heard)
        return told

    def _events(
        self, graph: dict[str, Any], parts: Sequence[Part], tells_states: bool, fails: bool
    ) -> Iterator[Event]:
        ran = {each.display or each.node for each in parts}
        yield events.ExecutionStart(ID, self._milliseconds)
        yield events.ExecutionCached(ID, tuple(name for name in graph if name not in ran))
        states: dict[str, NodeProgress] = {}
        for part in parts:
            display = part.display or part.node
            if tells_states:
                states = {name: NodeProgress(each.display_node, 1, 1, "finished") for name, each in states.items()}
                states[part.node] = NodeProgress(display, 0, 1, "running")
                yield events.ProgressState(ID, states)
            yield events.Executing(ID, part.node, display)
            self._clock.now += part.seconds
            for _ in range(part.passes):
                for step in range(1, part.steps + 1):
                    self._clock.now += part.step_seconds
                    yield events.Progress(ID, part.node, step, part.steps)
            self._clock.now += part.tail
        if not fails:
            yield events.ExecutionSuccess(ID, self._milliseconds)

    @property
    def _milliseconds(self) -> int:
        return round(1000 * self._clock.now)


def _is_at_half(event: Event, node: str) -> bool:
    return isinstance(event, events.Progress) and event.node == node and event.value >= event.max / 2


def txt2img(steps: int = 20, size: int = 512, checkpoint: str = "sd15.safetensors") -> dict[str, Any]:
    return graphs.txt2img(checkpoint, steps=steps, size=size)


def whole(steps: int = 20, *, load: float = 8.0, step: float = 0.5, warm_up: float = 0.0) -> list[Part]:
    """All of the default graph; decoding takes as long as two steps."""
    before = [Part("4", load), Part("5", 0.001), Part("6", 0.2), Part("7", 0.05)]
    return [*before, *again(steps, step=step, warm_up=warm_up)]


def again(steps: int = 20, *, step: float = 0.5, warm_up: float = 0.0) -> list[Part]:
    """The default graph with another seed, the rest of which is cached."""
    return [Part("3", warm_up, steps, step), Part("8", 2 * step), Part("9", 0.1)]

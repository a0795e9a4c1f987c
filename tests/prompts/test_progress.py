"""How far a prompt is said to be, held against how far it was: with a clock that a test turns itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest

from comfybridge.comfyui import events, node_times, outcome
from comfybridge.comfyui.events import Event, NodeProgress
from comfybridge.comfyui.node_times import NodeTimes
from comfybridge.comfyui.outcome import OutcomeReader, Prompt
from comfybridge.prompts import progress
from comfybridge.prompts.expectations import expected_seconds, learn
from comfybridge.prompts.progress import Progress, ProgressMeter
from tests import graphs
from tests.graphs import node

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
    """What was told of a run, and when."""

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
    """A server that runs what a test says, as long as it says."""

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
    ) -> Told:
        """Run a graph; nodes that are no part of the run and feed one are cached."""
        prompt = Prompt(ID, graph)
        meter, reader, told = ProgressMeter(prompt, self.times, targets), OutcomeReader(prompt), Told(self._clock.now)
        result = None
        for event in self._events(graph, parts, tells_states, fails):
            result = reader.read(event)
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


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    for module in (progress, outcome):
        monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.fixture
def server(clock: Clock) -> Server:
    return Server(clock)


def txt2img(steps: int = 20, size: int = 512, checkpoint: str = "sd15.safetensors") -> dict[str, Any]:
    return graphs.txt2img(checkpoint, steps=steps, size=size)


def whole(steps: int = 20, *, load: float = 8.0, step: float = 0.5, warm_up: float = 0.0) -> list[Part]:
    """All of the default graph; decoding takes as long as two steps."""
    before = [Part("4", load), Part("5", 0.001), Part("6", 0.2), Part("7", 0.05)]
    return [*before, *again(steps, step=step, warm_up=warm_up)]


def again(steps: int = 20, *, step: float = 0.5, warm_up: float = 0.0) -> list[Part]:
    """The default graph with another seed, the rest of which is cached."""
    return [Part("3", warm_up, steps, step), Part("8", 2 * step), Part("9", 0.1)]


# -- where nothing is known of the server


def test_steps_fill_the_bar_on_a_server_that_never_ran_such_nodes(server: Server) -> None:
    told = server.run(txt2img(40), whole(40, load=1))
    sampling = [each.percent for each in told.of("KSampler")]
    assert sampling[0] < 6
    assert sampling[-1] > 95
    gaps = [later - earlier for earlier, later in pairwise(sampling)]
    assert max(gaps) - min(gaps) < 0.3


def test_nodes_that_are_cached_leave_the_bar_to_the_others(server: Server) -> None:
    told = server.run(txt2img(40), again(40))
    assert told.heard[0][1].percent == 0
    assert max(told.deviations) < 4


def test_the_end_is_told(server: Server) -> None:
    last = server.run(txt2img(), whole()).heard[-1][1]
    assert (last.percent, last.eta_seconds, last.class_type, last.value, last.max) == (100, 0, "SaveImage", 1, 1)


def test_a_prompt_that_fails_never_gets_to_its_end(server: Server) -> None:
    told = server.run(txt2img(), whole(), fails=True)
    assert max(each.percent for _, each in told.heard) < 100


def test_a_graph_that_is_cached_as_a_whole_gets_to_its_end(server: Server) -> None:
    told = server.run(txt2img(), [])
    assert [each.percent for _, each in told.heard] == [100]


def test_the_time_left_is_told_from_the_second_step_on(server: Server) -> None:
    told = server.run(txt2img(), whole(warm_up=30))
    etas = [each.eta_seconds for each in told.of("KSampler")]
    assert etas[:2] == [None, None]  # the first step loaded the model as well
    assert None not in etas[2:]
    assert max(told.eta_errors) < 1


@pytest.mark.parametrize("tells_states", [True, False])
def test_several_samplers_share_the_bar_by_their_steps(server: Server, tells_states: bool) -> None:
    graph = txt2img(10)
    graph["10"] = node("KSamplerAdvanced", steps=40, start_at_step=10, end_at_step=10_000, latent_image=["3", 0])
    graph["8"]["inputs"]["samples"] = ["10", 0]
    parts = [Part("3", 0, 10, 1), Part("10", 0, 30, 1), Part("8", 0.5), Part("9", 0.5)]
    told = server.run(graph, parts, tells_states=tells_states)
    assert max(told.deviations) < 2
    assert max(told.eta_errors) < 0.6


CUSTOM = {
    "1": node("UNETLoader", unet_name="flux.safetensors"),
    "2": node("BasicScheduler", model=["1", 0], scheduler="simple", steps=["9", 0], denoise=1.0),
    "9": node("PrimitiveInt", value=30),
    "3": node("SamplerCustomAdvanced", noise=["5", 0], guider=["6", 0], sampler=["7", 0], sigmas=["2", 0]),
    "5": node("RandomNoise", noise_seed=1),
    "6": node("BasicGuider", model=["1", 0], conditioning=["8", 0]),
    "7": node("KSamplerSelect", sampler_name="euler"),
    "8": node("CLIPTextEncode", text="a cat", clip=["1", 1]),
    "10": node("SaveLatent", samples=["3", 0]),
}
PIPED = {
    "1": node("easy comfyLoader", ckpt_name="a.safetensors"),
    "2": node("easy preSampling", pipe=["1", 0], steps=30, seed=1),
    "3": node("easy kSampler", pipe=["2", 0]),
    "10": node("SaveImage", images=["3", 1]),
}
VIDEO = {
    "1": node("WanVideoModelLoader", model="wan.safetensors"),
    "3": node("WanVideoSampler", model=["1", 0], text_embeds=["2", 0], steps=30, seed=1, end_step=-1),
    "2": node("WanVideoTextEncode", positive_prompt="a cat"),
    "10": node("WanVideoDecode", samples=["3", 0]),
}
UNKNOWN_STEPS = {
    "1": node("UNETLoader", unet_name="flux.safetensors"),
    "2": node("SomebodysSigmas", model=["1", 0]),
    "3": node("SamplerCustomAdvanced", model=["1", 0], sigmas=["2", 0]),
    "10": node("SaveLatent", samples=["3", 0]),
}


@pytest.mark.parametrize("graph", [CUSTOM, PIPED, VIDEO, UNKNOWN_STEPS], ids=["custom", "piped", "video", "unknown"])
def test_the_steps_are_found_wherever_the_graph_holds_them(server: Server, graph: dict[str, Any]) -> None:
    before = [Part(name, 0.01) for name in graph if name not in ("3", "10")]
    told = server.run(graph, [*before, Part("3", 0, 30, 1), Part("10", 0.2)])
    sampling = [each for each in told.heard if each[1].node_id == "3"]
    assert sampling[0][1].percent < 15
    assert sampling[-1][1].percent > 95
    assert max(told.eta_errors) < 1


@pytest.mark.parametrize("tells_states", [True, False])
def test_what_a_node_expands_to_counts_as_its_own(server: Server, tells_states: bool) -> None:
    graph = {
        "1": node("CheckpointLoaderSimple", ckpt_name="a.safetensors"),
        "2": node("SomebodysSampler", model=["1", 0], seed=1, steps=20),
        "3": node("SaveImage", images=["2", 0]),
    }
    parts = [Part("1", 2), Part("2", 0.1), Part("2.0.0.1", 0, 20, 1, display="2"), Part("2.0.0.2", 1, display="2")]
    parts.append(Part("3", 0.2))
    for deviation in (20, 2):
        told = server.run(graph, parts, tells_states=tells_states)
        assert {each.node_id for _, each in told.heard} == {"1", "2", "3"}
        assert max(told.deviations) < deviation


def test_only_what_was_asked_for_counts(server: Server) -> None:
    graph = txt2img(20)
    graph["20"] = node("KSampler", seed=1, steps=400, model=["4", 0], latent_image=["5", 0])
    graph["21"] = node("SaveLatent", samples=["20", 0])
    told = server.run(graph, again(20), targets=["9"])
    assert max(told.deviations) < 6


# -- where earlier runs tell


def test_earlier_runs_tell_what_each_node_takes(server: Server) -> None:
    parts = [Part("4", 12), Part("5", 0.001), Part("6", 1), Part("7", 1), Part("3", 2, 20, 0.4), Part("8", 9)]
    parts.append(Part("9", 0.5))
    server.run(txt2img(), parts)
    told = server.run(txt2img(), parts)
    assert told.heard[0][1].eta_seconds == pytest.approx(told.ended - told.began, abs=0.1)
    assert max(told.deviations) < 1
    assert max(told.eta_errors) < 0.2


def test_other_numbers_of_steps_are_reckoned_with(server: Server) -> None:
    server.run(txt2img(20), whole(20, warm_up=2))
    told = server.run(txt2img(60), whole(60, warm_up=2))
    assert max(told.deviations) < 1
    assert max(told.eta_errors) < 0.2


def test_the_first_run_that_loaded_the_model_is_not_held_against_the_others(server: Server) -> None:
    server.run(txt2img(), whole(load=60, warm_up=30))
    server.run(txt2img(), again())
    told = server.run(txt2img(), again())
    assert max(told.deviations) < 1
    assert max(told.eta_errors) < 0.2


def test_one_run_that_was_disturbed_is_not_held_against_the_others(server: Server) -> None:
    for _ in range(3):
        server.run(txt2img(), again())
    server.run(txt2img(), again(step=50))
    told = server.run(txt2img(), again())
    assert max(told.deviations) < 1
    assert max(told.eta_errors) < 0.2


def test_a_server_that_got_slower_is_believed_within_a_few_runs(server: Server) -> None:
    for _ in range(7):
        server.run(txt2img(), again())
    for _ in range(4):
        server.run(txt2img(), again(step=2.0))
    told = server.run(txt2img(), again(step=2.0))
    assert max(told.deviations) < 1


@pytest.mark.parametrize("step", [0.05, 5.0])
def test_another_model_is_measured_as_soon_as_it_steps(server: Server, step: float) -> None:
    for _ in range(3):
        server.run(txt2img(), again())
    told = server.run(txt2img(size=1024, checkpoint="other.safetensors"), again(step=step))
    after_two_steps = told.heard[3:]
    whole = told.ended - told.began
    assert all(abs(each.percent - 100 * (at - told.began) / whole) < 10 for at, each in after_two_steps)
    assert all(abs((each.eta_seconds or 0) - (told.ended - at)) < whole / 10 for at, each in after_two_steps)


def test_models_that_take_turns_are_told_apart(server: Server) -> None:
    small, large = txt2img(), txt2img(size=1024, checkpoint="other.safetensors")
    for _ in range(4):
        server.run(small, again())
        server.run(large, again(step=5))
    for graph, step in ((small, 0.5), (large, 5.0)):
        told = server.run(graph, again(step=step))
        assert max(told.deviations) < 1
        assert max(told.eta_errors) < 0.5


def test_a_model_that_is_loaded_again_after_all_is_no_standstill(server: Server) -> None:
    for _ in range(3):
        server.run(txt2img(), again())
    told = server.run(txt2img(), whole(load=40))  # it was never seen to load here
    loaded = [each for at, each in told.heard if at - told.began >= 40]
    assert max(told.deviations[-len(loaded) :]) < 5


def test_a_machine_that_stood_still_gets_over_it(server: Server, clock: Clock) -> None:
    for _ in range(3):
        server.run(txt2img(), again())
    graph = txt2img()
    meter = ProgressMeter(Prompt(ID, graph), server.times)
    told: list[Any] = [*meter.read(events.ExecutionStart(ID, 0))]
    told += meter.read(events.ExecutionCached(ID, ("4", "5", "6", "7")))
    told += meter.read(events.Executing(ID, "3", "3"))
    for step in range(1, 21):
        clock.now += 600 if step == 10 else 0.5
        told += meter.read(events.Progress(ID, "3", step, 20))
    etas = [each.eta_seconds for each in told]
    assert all(eta < 15 for eta in etas)


def test_a_node_that_counts_several_times_from_the_start_is_known_for_it(server: Server) -> None:
    graph = {
        "1": node("LoadImage", image="a.png"),
        "2": node("UltimateSDUpscale", image=["1", 0], seed=1, steps=10, model=["1", 1]),
        "3": node("SaveImage", images=["2", 0]),
    }
    parts = [Part("2", 1, 10, 0.5, passes=6), Part("3", 0.1)]
    server.run(graph, parts)
    told = server.run(graph, parts)
    assert max(told.deviations) < 2
    assert max(told.eta_errors) < 0.5


def test_what_a_sampler_does_after_its_steps_counts_too(server: Server) -> None:
    graph = {
        "1": node("CheckpointLoaderSimple", ckpt_name="a.safetensors"),
        "2": node("KSampler (Efficient)", model=["1", 0], seed=1, steps=10),
        "3": node("SaveImage", images=["2", 0]),
    }
    parts = [Part("2", 3, 10, 1, tail=8), Part("3", 0.1)]
    server.run(graph, parts)
    told = server.run(graph, parts)
    assert max(told.deviations) < 2
    assert max(told.eta_errors) < 0.5


def test_a_node_that_says_nothing_is_reckoned_on_from_what_it_took_before(server: Server, clock: Clock) -> None:
    parts = [Part("3", 0, 20, 0.5), Part("8", 30), Part("9", 0)]
    server.run(txt2img(), parts)
    meter, told, began = ProgressMeter(Prompt(ID, txt2img()), server.times), [], clock.now
    meter.read(events.ExecutionStart(ID, 0))
    assert meter.still() is None
    meter.read(events.ExecutionCached(ID, ("4", "5", "6", "7")))
    meter.read(events.Executing(ID, "3", "3"))
    for step in range(1, 21):
        clock.now += 0.5
        meter.read(events.Progress(ID, "3", step, 20))
    meter.read(events.Executing(ID, "8", "8"))
    for _ in range(45):
        clock.now += 1
        told.append((clock.now - began, meter.still()))
    assert all(each is not None and each.node_id == "8" for _, each in told)
    on_time = [(at, each) for at, each in told if each is not None and at < 36]
    assert all(each.percent == pytest.approx(100 * at / 40, abs=1) for at, each in on_time)
    assert all(each.eta_seconds == pytest.approx(40 - at, abs=0.1) for at, each in on_time)
    overdue = [each for at, each in told if each is not None and at > 40]
    assert all(each.percent < 95 and 2 < (each.eta_seconds or 0) < 6 for each in overdue)
    meter.read(events.ExecutionSuccess(ID, 1))
    assert meter.still() is None


def test_a_prompt_that_is_queued_again_begins_anew_and_its_bar_never_falls(server: Server, clock: Clock) -> None:
    server.run(txt2img(), again())
    meter, told = ProgressMeter(Prompt(ID, txt2img()), server.times), []
    for steps in (10, 20):  # the first time, the server goes away in the middle
        meter.follow(Prompt(ID, txt2img()))
        told += meter.read(events.ExecutionStart(ID, 0))
        told += meter.read(events.ExecutionCached(ID, ("4", "5", "6", "7")))
        told += meter.read(events.Executing(ID, "3", "3"))
        for step in range(1, steps + 1):
            clock.now += 0.5
            told += meter.read(events.Progress(ID, "3", step, 20))
    progress = [each for each in told if isinstance(each, Progress)]
    percents = [each.percent for each in progress]
    assert percents == sorted(percents)
    assert progress[11].eta_seconds == progress[0].eta_seconds == pytest.approx(11.1, abs=0.1)
    assert progress[-1].eta_seconds == pytest.approx(1.1, abs=0.1)
    assert progress[-1].percent == pytest.approx(100 * 10 / 11.1, abs=1)


def test_where_nothing_is_known_silence_tells_nothing(server: Server, clock: Clock) -> None:
    meter = ProgressMeter(Prompt(ID, txt2img()), server.times)
    meter.read(events.Executing(ID, "4", "4"))
    clock.now += 60
    assert meter.still() is None


def test_what_failed_teaches_nothing(server: Server) -> None:
    server.run(txt2img(), whole(load=500), fails=True)
    assert server.run(txt2img(), whole()).heard[0][1].eta_seconds is None


def test_a_whole_prompt_is_estimated_by_those_like_it(server: Server) -> None:
    assert expected_seconds(server.times, txt2img()) is None
    server.run(txt2img(), again())
    assert expected_seconds(server.times, txt2img()) == pytest.approx(11.1, abs=0.01)
    assert expected_seconds(server.times, txt2img(40)) is None
    assert expected_seconds(server.times, txt2img(size=64)) is None


def test_what_is_remembered_is_bounded(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_times, "MOST_KEYS", 20)
    for number in range(50):
        for _ in range(2):
            server.run(txt2img(checkpoint=f"{number}.safetensors"), again())
    assert len(server.times) <= 20
    assert server.run(txt2img(checkpoint="49.safetensors"), again()).heard[0][1].eta_seconds is not None

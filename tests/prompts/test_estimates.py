"""Progress and remaining time, estimated from earlier runs on the server."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from comfybridge.comfyui import events, node_times
from comfybridge.comfyui.outcome import Prompt
from comfybridge.prompts.expectations import expected_seconds
from comfybridge.prompts.progress import Progress, ProgressMeter
from comfybridge.prompts.submission import Submission
from tests.graphs import node
from tests.prompts.timed_server import ID, Clock, Part, Server, again, txt2img, whole


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
    told = server.run(txt2img(), whole(load=40))  # loading was never measured here
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
        meter.follow(cast(Submission, SimpleNamespace(prompt=Prompt(ID, txt2img()))))
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


def test_a_prompt_that_is_joined_in_its_middle_shows_the_share_of_what_is_known(server: Server) -> None:
    server.run(txt2img(), whole())
    told = server.run(txt2img(), again(), heard_from="3")
    first = told.of("KSampler")[0]
    assert first.percent == pytest.approx(100 * 5 / 11.1, abs=2)
    assert max(told.eta_errors) < 0.5
    assert told.of("SaveImage")[0].percent > 95

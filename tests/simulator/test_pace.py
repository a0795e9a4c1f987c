"""Holding, slowing and watching the simulator."""

from __future__ import annotations

import contextlib
import time

import pytest

from comfybridge.simulator import Simulator, node_run
from tests.contract import graphs
from tests.contract.ear import Ear
from tests.contract.server import Server
from tests.waiting import SECONDS


def test_a_held_prompt_runs_until_released(sim: Simulator, server: Server, ear: Ear) -> None:
    sim.hold()
    first, second = server.queue(graphs.saved(), ear), server.queue(graphs.saved(), ear)

    sim.wait_until_running(first)
    sim.wait_until_queued(2)
    sim.wait_until_pending(1)
    assert (sim.running, sim.pending, sim.history) == ([first], [second], {})
    sim.release()
    sim.wait_until_idle()

    assert (sim.running, sim.pending, list(sim.history)) == ([], [], [first, second])


def test_a_held_prompt_is_held_even_when_all_is_cached(sim: Simulator, server: Server, ear: Ear) -> None:
    graph = graphs.saved()
    server.run(graph, ear)
    sim.hold()

    prompt_id = server.queue(graph, ear)
    ear.until("execution_cached", prompt_id)

    assert sim.running == [prompt_id]
    sim.release()
    ear.until_done(prompt_id)


def test_a_held_node_obeys_an_interrupt(sim: Simulator, server: Server, ear: Ear) -> None:
    sim.hold()
    prompt_id = server.queue(graphs.saved(), ear)
    sim.wait_until_running(prompt_id)

    server.post("/interrupt", {"prompt_id": prompt_id})

    ear.until("execution_interrupted", prompt_id)


def test_a_deaf_node_does_not(sim: Simulator, server: Server, ear: Ear) -> None:
    sim.hold(deaf=True)
    prompt_id = server.queue(graphs.saved(), ear)
    ear.until("executing", prompt_id)

    server.post("/interrupt", {"prompt_id": prompt_id})

    assert ear.quiet(0.1)
    assert sim.running == [prompt_id]
    sim.release()
    ear.until("execution_interrupted", prompt_id)


def test_a_sampler_stops_after_the_steps_it_is_allowed(sim: Simulator, server: Server, ear: Ear) -> None:
    sim.hold_steps(after=2)
    prompt_id = server.queue(graphs.txt2img("demo.safetensors", steps=4), ear)
    for _ in range(2):
        ear.until("binary 1")

    assert ear.quiet(0.1)
    sim.release()
    ear.until_done(prompt_id)

    assert [frame.data["value"] for frame in ear.of(prompt_id) if frame.type == "progress"] == [1, 2, 3, 4]


def test_steps_take_the_time_they_are_given(sim: Simulator, server: Server, ear: Ear) -> None:
    sim.step_seconds = 0.05
    begun = time.monotonic()

    server.run(graphs.txt2img("demo.safetensors", steps=4), ear)

    assert time.monotonic() - begun >= 0.2


def test_long_steps_do_not_keep_it_from_stopping(sim: Simulator, server: Server) -> None:
    sim.step_seconds = 1000
    server.queue(graphs.txt2img("demo.safetensors"))
    sim.wait_until_running()
    begun = time.monotonic()

    sim.stop()

    assert time.monotonic() - begun < SECONDS


def test_waiting_in_vain_is_an_error(sim: Simulator) -> None:
    with pytest.raises(TimeoutError, match="does not run"):
        sim.wait_until_running(timeout=0)
    with pytest.raises(TimeoutError, match="not 1 prompts"):
        sim.wait_until_queued(1, timeout=0)
    with pytest.raises(TimeoutError, match="0 websockets"):
        sim.wait_for_sockets(1, timeout=0)


@pytest.mark.parametrize(
    ("version", "seconds", "told"),
    [
        ("0.33.0", 3600.0, [1, 400]),
        ("0.33.0", 0.0, [*range(1, 400, 2), 400]),  # each has half a percent more than the one before
        ("0.3.64", 3600.0, [*range(1, 401)]),
    ],
)
def test_newer_versions_pass_over_steps(
    monkeypatch: pytest.MonkeyPatch, version: str, seconds: float, told: list[int]
) -> None:
    monkeypatch.setattr(node_run, "LEAST_SECONDS", seconds)
    with Simulator(step_seconds=0, previews=False, version=version) as sim, contextlib.closing(Ear(sim.url)) as ear:
        prompt_id = Server(sim.url).run(graphs.txt2img("demo.safetensors", steps=400), ear)

        assert [frame.data["value"] for frame in ear.of(prompt_id) if frame.type == "progress"] == told

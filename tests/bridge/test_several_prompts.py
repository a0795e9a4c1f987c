"""Several prompts in one request of the Python API, on one server and on two."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from comfybridge import Bridge, Client, GenerationRequest, load_settings
from comfybridge.comfyui import events
from comfybridge.errors import BridgeError, ExecutionFailed, InvalidRequest
from comfybridge.prompts.progress import Progress
from comfybridge.simulator import Simulator
from comfybridge.web import create_app
from tests import graphs
from tests.served import served


@pytest.fixture
def bridge(sim: Simulator) -> Iterator[Bridge]:
    with Bridge(load_settings(comfyui_url=sim.url, max_concurrent=1)) as bridge:
        yield bridge


@pytest.fixture
def other() -> Iterator[Simulator]:
    """A second server."""
    with Simulator(step_seconds=0) as simulator:
        yield simulator


@pytest.fixture
def both(sim: Simulator, other: Simulator) -> Iterator[Bridge]:
    with Bridge(load_settings(comfyui_url=f"{sim.url}, {other.url}")) as bridge:
        yield bridge


def test_a_generation_has_one_part_for_each_prompt(bridge: Bridge) -> None:
    generation = bridge.generate("a cat", n=3, seed=7, steps=2, width=64, height=64)
    assert [part.seed for part in generation.parts] == [7, 8, 9]
    assert [part.params["seed"] for part in generation.parts] == [7, 8, 9]
    assert generation.outputs == [output for part in generation.parts for output in part.outputs]
    assert len({output.read() for output in generation.outputs}) == 3
    assert bridge.slots.has_free
    alone = bridge.generate("a cat", steps=2, width=64, height=64)
    assert alone.parts == (alone,)


def test_what_was_asked_is_checked_here_too(bridge: Bridge) -> None:
    with pytest.raises(InvalidRequest, match="n is 65"):
        bridge.generate("a cat", n=65)


@pytest.mark.parametrize("wait", ["hub", "websocket"])
def test_events_name_their_prompts_and_come_in_the_callers_thread(bridge: Bridge, sim: Simulator, wait: str) -> None:
    heard: list[tuple[events.Event, threading.Thread]] = []
    asked = GenerationRequest(graph=graphs.txt2img(sim.checkpoints[0], steps=4), n=2, wait=wait)
    generation = bridge.generate(asked, lambda event: heard.append((event, threading.current_thread())))
    ids = [part.prompt_id for part in generation.parts]
    steps = [(event.prompt_id, event.value) for event, _ in heard if isinstance(event, events.Progress)]
    steps.sort(key=lambda step: ids.index(step[0]))  # each has a connection of its own, if the way to wait has
    assert steps == [(each, step) for each in ids for step in (1, 2, 3, 4)]
    assert {thread for _, thread in heard} == {threading.current_thread()}
    assert {event.prompt_id for event, _ in heard if isinstance(event, events.Image)} <= set(ids)


def test_progress_is_over_all_prompts(bridge: Bridge, sim: Simulator) -> None:
    told: list[Progress] = []
    asked = GenerationRequest(graph=graphs.txt2img(sim.checkpoints[0], steps=10), n=3)
    bridge.generate(asked, on_progress=told.append)
    percents = [each.percent for each in told]
    assert percents == sorted(percents)
    assert percents[-1] == 100
    assert percents.count(100) == 1
    assert any(30 < percent < 37 for percent in percents)


def test_a_callback_that_fails_ends_all_prompts(bridge: Bridge, sim: Simulator) -> None:
    def fail(event: events.Event) -> None:
        raise RuntimeError("the caller's own")

    sim.hold_steps()
    asked = GenerationRequest(graph=graphs.txt2img(sim.checkpoints[0]), n=3)
    with pytest.raises(RuntimeError, match="the caller's own"):
        bridge.generate(asked, fail)
    assert bridge.slots.has_free
    sim.wait_until_idle()


def test_the_prompts_of_one_request_spread_over_the_servers(both: Bridge, sim: Simulator, other: Simulator) -> None:
    sim.hold()
    other.hold()
    admitted = both.admit(GenerationRequest(graph=graphs.txt2img(sim.checkpoints[0], seed=1), n=6))
    submission = both.submit(admitted)
    for each in (sim, other):
        each.wait_until_queued(3)
        each.release()
    with both.finishing(submission) as generation:
        assert len({output.read() for output in generation.outputs}) == 6
    assert [part.seed for part in generation.parts] == [1, 2, 3, 4, 5, 6]
    assert all(server.in_flight == 0 for server in both.servers.all)


def test_one_that_fails_ends_those_on_the_other_server(both: Bridge, sim: Simulator, other: Simulator) -> None:
    sim.hold_steps()
    other.fail_node("CheckpointLoaderSimple", "out of memory")
    with pytest.raises(ExecutionFailed, match=r"^Prompt \d of 4 \(seed \d\): .*out of memory"):
        both.generate(GenerationRequest(graph=graphs.txt2img(sim.checkpoints[0], seed=1), n=4))
    sim.wait_until_idle()
    other.wait_until_idle()
    assert all(server.in_flight == 0 for server in both.servers.all)


def test_a_client_gets_the_parts_too(sim: Simulator) -> None:
    with served(create_app(load_settings(comfyui_url=sim.url))) as url:
        client = Client(url)
        generation = client.generate("a cat", n=2, seed=3, seed_step=2, steps=1, width=64, height=64)
        assert [part.seed for part in generation.parts] == [3, 5]
        assert [len(part.outputs) for part in generation.parts] == [1, 1]
        assert generation.parts[1].outputs[0].read() == generation.images[1].read()
        *_, last = client.events("a cat", n=2, seed=3, steps=1, width=64, height=64)
        assert [part.seed for part in last.parts] == [3, 4]  # type: ignore[union-attr]
        with pytest.raises(BridgeError, match="n "):
            client.generate("a cat", n=0)

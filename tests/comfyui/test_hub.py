"""What the shared websocket does beyond the contract of waiting."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from comfybridge.address import ServerAddress
from comfybridge.comfyui.client import ComfyUIClient
from comfybridge.comfyui.events import Image
from comfybridge.comfyui.outcome import Outcome, Prompt
from comfybridge.comfyui.waiting import hub as hub_module
from comfybridge.comfyui.waiting import quiet
from comfybridge.comfyui.waiting.hub import HubWaiter
from comfybridge.deadline import Deadline
from comfybridge.errors import ComfyUIUnreachable
from comfybridge.simulator import Simulator
from tests import graphs

LONG = 20.0


def made_hub(sim: Simulator) -> Iterator[HubWaiter]:
    client = ComfyUIClient(ServerAddress.parse(sim.url))
    made = HubWaiter(client)
    yield made
    made.close()
    client.close()


@pytest.fixture
def hub(sim: Simulator) -> Iterator[HubWaiter]:
    yield from made_hub(sim)


def run(hub: HubWaiter, graph: dict[str, object]) -> Outcome:
    """Queue a graph and wait until it has run."""
    prompt = Prompt(str(uuid.uuid4()), graph)  # type: ignore[arg-type]
    deadline = Deadline(LONG)
    with hub.listen(prompt, deadline) as listener:
        hub.client.queue_prompt(prompt, listener.client_id)
        return listener.wait(prompt, deadline)


def test_many_requests_share_one_socket(hub: HubWaiter, sim: Simulator) -> None:
    with ThreadPoolExecutor(16) as pool:
        outcomes = list(pool.map(lambda _: run(hub, graphs.picture()), range(48)))
    names = [outcome.outputs[0].output["images"][0]["filename"] for outcome in outcomes]
    assert len(set(names)) == 48
    assert sim.sockets == 1


def test_nothing_runs_before_the_first_request_and_after_the_end(sim: Simulator) -> None:
    hub = HubWaiter(ComfyUIClient(ServerAddress.parse(sim.url)))
    before = set(threading.enumerate())
    run(hub, graphs.picture())
    started = {each for each in set(threading.enumerate()) - before if each.name.startswith("comfybridge")}
    assert {each.name for each in started} == {"comfybridge hub", "comfybridge watcher"}
    hub.close()
    for each in started:
        each.join(LONG)
        assert not each.is_alive()


def test_a_lost_connection_is_made_anew_under_another_client_id(hub: HubWaiter, sim: Simulator) -> None:
    prompt = Prompt("one", {})
    with hub.listen(prompt, Deadline(LONG)) as listener:
        first = listener.client_id
    sim.drop_sockets()
    sim.wait_for_sockets(0, 5)
    assert run(hub, graphs.picture()).outputs
    with hub.listen(prompt, Deadline(LONG)) as listener:
        assert listener.client_id != first


def test_a_connection_that_keeps_dropping_costs_no_picture(
    hub: HubWaiter, sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quiet, "ORPHAN_SECONDS", 0.1)
    stop = threading.Event()

    def drop() -> None:
        while not stop.wait(0.02):
            sim.drop_sockets()

    dropping = threading.Thread(target=drop)
    dropping.start()
    try:
        with ThreadPoolExecutor(8) as pool:
            outcomes = list(pool.map(lambda _: run(hub, graphs.picture()), range(32)))
    finally:
        stop.set()
        dropping.join()
    assert all(outcome.outputs for outcome in outcomes)


def test_a_comfyui_that_is_not_there_is_told_at_once_and_not_asked_all_the_time(
    hub: HubWaiter, sim: Simulator
) -> None:
    sim.stop()
    for _ in range(3):
        with pytest.raises(ComfyUIUnreachable):
            hub.listen(Prompt("one", {}), Deadline(LONG))
    assert hub._attempts <= 6  # one for each, and those that it made by itself meanwhile


def test_the_thread_ends_when_comfyui_is_gone_and_nobody_waits(
    hub: HubWaiter, sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_module, "FIRST_PAUSE", 0.001)
    run(hub, graphs.picture())
    thread = hub._thread
    assert thread is not None
    sim.stop()
    thread.join(LONG)
    assert not thread.is_alive()
    sim.start()
    assert run(hub, graphs.picture()).outputs


def test_previews_that_nobody_takes_are_dropped_and_other_events_are_not(hub: HubWaiter, sim: Simulator) -> None:
    steps = 60
    prompt = Prompt(str(uuid.uuid4()), graphs.txt2img(sim.checkpoints[0], steps=steps))
    deadline = Deadline(LONG)
    with hub.listen(prompt, deadline) as listener:
        hub.client.queue_prompt(prompt, listener.client_id)
        while prompt.id in hub._watches:  # until it has received all events
            threading.Event().wait(0.01)
        heard: list[object] = []
        listener.wait(prompt, deadline, heard.append)
    previews = [each for each in heard if isinstance(each, Image)]
    assert len(previews) == hub_module.MOST_UNREAD_IMAGES
    assert len([each for each in heard if type(each).__name__ == "Progress"]) == steps

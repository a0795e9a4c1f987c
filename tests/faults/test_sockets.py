"""Websockets that are cut, go silent, or bring nonsense: the picture comes all the same, and soon."""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable

import pytest
import websocket

from comfybridge.simulator import Simulator
from comfybridge.simulator.sockets import Message
from tests import graphs
from tests.faults.callers import LONG, Asked, Front
from tests.waiting import until_true
from tests.web.answers import success

LISTENING = ("hub", "websocket")


def check(asked: dict[str, Asked]) -> None:
    """Each has its picture, and did not have to wait until its time was up."""
    for each in asked.values():
        each.picture()


def test_a_socket_dropped_once(front: Front, sim: Simulator, quiet_seconds: Callable[[float], None]) -> None:
    quiet_seconds(600)  # the drop itself makes them look
    sim.hold()
    asked = front.ask_each()
    sim.drop_sockets()
    sim.release()
    check(asked)


def test_a_socket_dropped_long_before_the_end(
    front: Front, sim: Simulator, quiet_seconds: Callable[[float], None]
) -> None:
    quiet_seconds(600)  # the drop itself makes them look
    sim.hold()
    asked = front.ask_each()
    sim.drop_sockets()
    threading.Event().wait(1.7)  # lets the pauses between looks grow to their limit
    sim.release()
    check(asked)


def test_a_socket_dropped_every_second(front: Front, sim: Simulator) -> None:
    sim.step_seconds = 0.1
    stop = threading.Event()

    def drop() -> None:
        while not stop.wait(1):
            sim.drop_sockets()

    dropping = threading.Thread(target=drop)
    dropping.start()
    try:
        asked = [front.ask(graphs.txt2img(sim.checkpoints[0], steps=12), wait=each) for each in (*LISTENING, "poll")]
        for each in asked:
            each.picture((64, 64))
    finally:
        stop.set()
        dropping.join()
    connections = [each for each in sim.requests if each.path == "/ws"]
    assert len(connections) < 20  # and not hundreds a second


@pytest.mark.parametrize("wakes", [False, True])
def test_a_zombie_socket(front: Front, sim: Simulator, quiet_seconds: Callable[[float], None], wakes: bool) -> None:
    quiet_seconds(0.3)
    sim.hold()
    asked = front.ask_each()
    sim.mute()
    sim.release()
    if wakes:  # messages sent meanwhile are lost
        sim.wait_until_idle()
        sim.unmute()
    check(asked)


def test_a_zombie_socket_while_looks_at_the_queue_are_dear(front: Front, sim: Simulator) -> None:
    sim.hold()
    asked = front.ask_each("hub")
    sim.mute()
    sim.release()
    sim.wait_until_idle()
    lookup = front.bridge.servers.all[0].lookup

    def is_over_while_somebody_else_looks_all_the_time_and_it_takes_long() -> bool:
        lookup._looked_at, lookup._look_seconds = time.monotonic(), 0.05
        return asked["hub"].is_over

    until_true(is_over_while_somebody_else_looks_all_the_time_and_it_takes_long, LONG / 2)
    check(asked)


def lost(*kinds: str) -> Callable[[Message], Iterable[Message]]:
    return lambda message: [] if message[0] in kinds else [message]


def doubled(message: Message) -> Iterable[Message]:
    return [message, message]


class Swapped:
    """Sends the first of a pair of messages after the second."""

    def __init__(self) -> None:
        self._kept: deque[Message] = deque()

    def __call__(self, message: Message) -> Iterable[Message]:
        self._kept.append(message)
        return [self._kept.pop(), self._kept.pop()] if len(self._kept) == 2 else []


def outputs_last(message: Message) -> Iterable[Message]:
    """`executed` comes after the end: never, for who does not wait for it."""
    return [] if message[0] == "executed" else [message]


def among(*frames: str | bytes) -> Callable[[Message], Iterable[Message]]:
    """Puts other frames before each message."""
    return lambda message: [*((None, frame, message[2]) for frame in frames), message]


def misshapen(message: Message) -> Iterable[Message]:
    """Every event about a prompt has values of another kind than any ComfyUI sends."""
    kind, data, client_id = message
    if not isinstance(data, dict) or "prompt_id" not in data:
        return [message]
    changed = {name: [{"a": 1}] for name in data if name not in ("prompt_id", "timestamp")}
    return [(kind, {**data, **changed, "timestamp": "noon"}, client_id)]


NONSENSE = (
    "",
    "{",
    "null",
    "[]",
    '{"type": 5, "data": 5}',
    '{"type": "executing", "data": {"prompt_id": 7}}',
    '{"type": "status", "data": null}',
    '{"type": "news", "data": {"prompt_id": "of nobody"}}',
    '{"type": ["list"], "data": {}}',
    "[" * 100_000,
    b"",
    b"\x00",
    b"\x00\x00\x00\x04\xff\xff\xff\xff{}",
    b"\x00\x00\x00\x63what is this",
    b"\x00\x00\x00\x04\x00\x00\x00\x02[]",
)

LARGE = json.dumps({"type": "large", "data": {"prompt_id": "x", "text": "a" * 10_000_000}})


@pytest.mark.parametrize(
    ("distort", "is_looked_up"),
    [
        pytest.param(lost("execution_success", "executing"), True, id="the end lost"),
        pytest.param(lost("execution_start", "execution_cached", "progress_state"), True, id="the start lost"),
        pytest.param(lost("executed"), False, id="the outputs lost"),
        pytest.param(outputs_last, False, id="the outputs after the end"),
        pytest.param(Swapped(), True, id="out of order"),
        pytest.param(doubled, False, id="doubled"),
        pytest.param(misshapen, True, id="misshapen"),
        pytest.param(among(*NONSENSE), False, id="unknown and malformed"),
        pytest.param(among(LARGE), True, id="10 MB"),
    ],
)
def test_events_that_are_not_as_they_should_be(
    front: Front,
    sim: Simulator,
    quiet_seconds: Callable[[float], None],
    distort: Callable[[Message], Iterable[Message]],
    is_looked_up: bool,
) -> None:
    quiet_seconds(0.3 if is_looked_up else 600)
    sim.hold()
    asked = front.ask_each(*LISTENING)
    sim.distort(distort)
    sim.release()
    check(asked)


def test_a_client_that_does_not_read_its_socket(front: Front, sim: Simulator) -> None:
    deaf = websocket.create_connection(sim.url.replace("http", "ws") + "/ws?clientId=deaf")
    sim.wait_for_sockets(1)
    sim.hold()
    asked = front.ask_each()
    for _ in range(10):
        sim.say("x" * 5_000_000, "deaf")  # more than the system buffers; ComfyUI waits until it is read
    sim.release()
    check(asked)
    deaf.shutdown()
    sim.wait_for_sockets(1)  # the hub's


@pytest.mark.parametrize("wait", LISTENING)
def test_websocket_images_lost_with_their_socket_are_made_again(front: Front, sim: Simulator, wait: str) -> None:
    sim.hold()
    asked = front.ask(graphs.picture(batch=3, save="SaveImageWebsocket"), wait=wait)
    sim.wait_until_running()
    (first,) = sim.running
    sim.drop_sockets()
    sim.release()
    body = asked.picture()
    assert len(body["images"]) == 3
    assert body["prompt_id"] != first


@pytest.mark.parametrize("wait", LISTENING)
@pytest.mark.parametrize("silent", [(), ("progress", "progress_state")], ids=["announced", "not even announced"])
def test_websocket_images_that_never_arrive_are_no_answer(
    front: Front, sim: Simulator, wait: str, silent: tuple[str, ...]
) -> None:
    sim.distort(lambda message: [] if isinstance(message[1], bytes) or message[0] in silent else [message])
    graph = graphs.picture(save="SaveImageWebsocket")
    graph["3"] = graphs.node("SaveImage", images=["1", 0], filename_prefix="test")
    asked = front.ask(graph, wait=wait)
    assert asked.error() == (502, "prompt_lost")
    assert len(sim.history) == 2  # once again, and then the outcome arrived


@pytest.mark.parametrize("wait", LISTENING)
def test_websocket_images_where_no_websocket_passes(front: Front, sim: Simulator, wait: str) -> None:
    sim.fail_route("/ws", 403, times=None)
    asked = front.ask(graphs.picture(save="SaveImageWebsocket"), wait=wait)
    assert asked.error() == (503, "comfyui_unreachable")
    assert not sim.history  # nothing ran in vain
    success(front.ask(wait=wait).response)
    until_true(lambda: sim.sockets == 0)

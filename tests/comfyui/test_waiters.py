"""The contract of waiting, for every way to wait, against the simulator."""

from __future__ import annotations

import ssl
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from comfybridge.address import ServerAddress
from comfybridge.comfyui import events
from comfybridge.comfyui.client import ComfyUIClient
from comfybridge.comfyui.outcome import Outcome, Prompt
from comfybridge.comfyui.waiting import poll, quiet, waiter
from comfybridge.comfyui.waiting import websocket as socket
from comfybridge.comfyui.waiting.hub import HubWaiter
from comfybridge.comfyui.waiting.poll import PollingWaiter
from comfybridge.comfyui.waiting.waiter import Listener, Waiter
from comfybridge.comfyui.waiting.websocket import SocketWaiter
from comfybridge.deadline import Deadline
from comfybridge.errors import ComfyUIUnreachable, ExecutionFailed, Interrupted, PromptLost, TimedOut
from comfybridge.simulator import Simulator
from tests import graphs

LONG = 20.0
CERTIFICATES = Path(__file__).parent.parent / "certificates"


@pytest.fixture
def client(sim: Simulator) -> Iterator[ComfyUIClient]:
    client = ComfyUIClient(ServerAddress.parse(sim.url))
    yield client
    client.close()


@pytest.fixture(params=[HubWaiter, SocketWaiter, PollingWaiter], ids=["hub", "websocket", "poll"])
def any_waiter(request: pytest.FixtureRequest, client: ComfyUIClient) -> Iterator[Waiter]:
    made: Waiter = request.param(client)
    yield made
    made.close()


@pytest.fixture(params=[HubWaiter, SocketWaiter], ids=["hub", "websocket"])
def listening_waiter(request: pytest.FixtureRequest, client: ComfyUIClient) -> Iterator[Waiter]:
    made: Waiter = request.param(client)
    yield made
    made.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look up what was quiet for 0.2 s instead of 3."""
    for module in (waiter, socket, poll):
        monkeypatch.setattr(module, "QUIET_SECONDS", 0.2)
    for module in (poll, quiet):
        monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.2)
    monkeypatch.setattr(quiet, "ORPHAN_SECONDS", 0.1)


class Waiting:
    """A prompt that is queued and waited for in a thread of its own."""

    def __init__(self, any_waiter: Waiter, graph: dict[str, Any], seconds: float = LONG) -> None:
        self.prompt = Prompt(str(uuid.uuid4()), graph)
        self.heard: list[events.Event] = []
        self.result: Outcome | BaseException | None = None
        deadline = Deadline(seconds)
        self._listener = any_waiter.listen(self.prompt, deadline)
        any_waiter.client.queue_prompt(self.prompt, self._listener.client_id)
        self._thread = threading.Thread(target=self._wait, args=[self._listener, deadline])
        self._thread.start()

    def _wait(self, listener: Listener, deadline: Deadline) -> None:
        with listener:
            try:
                self.result = listener.wait(self.prompt, deadline, self.heard.append)
            except BaseException as error:
                self.result = error

    def outcome(self) -> Outcome:
        self._thread.join(LONG)
        assert isinstance(self.result, Outcome), self.result
        return self.result

    def error(self) -> BaseException:
        self._thread.join(LONG)
        assert isinstance(self.result, BaseException), self.result
        return self.result


def test_the_outputs_of_a_prompt_are_given_when_it_has_run(any_waiter: Waiter) -> None:
    outcome = Waiting(any_waiter, graphs.picture(batch=2)).outcome()
    (output,) = outcome.outputs
    assert output.node_id == "2"
    assert len(output.output["images"]) == 2
    assert outcome.executing is not None


def test_a_prompt_that_ended_before_anybody_waited_is_not_missed(any_waiter: Waiter, sim: Simulator) -> None:
    prompt = Prompt(str(uuid.uuid4()), graphs.picture())
    deadline = Deadline(LONG)
    with any_waiter.listen(prompt, deadline) as listener:
        any_waiter.client.queue_prompt(prompt, listener.client_id)
        while prompt.id not in sim.history:
            threading.Event().wait(0.01)
        assert len(listener.wait(prompt, deadline).outputs) == 1


def test_a_cached_prompt_gives_the_same_again(any_waiter: Waiter) -> None:
    graph = graphs.picture()
    assert Waiting(any_waiter, graph).outcome().outputs == Waiting(any_waiter, graph).outcome().outputs


def test_waiting_ends_at_the_deadline_and_leaves_the_prompt_alone(any_waiter: Waiter, sim: Simulator) -> None:
    sim.hold()
    waiting = Waiting(any_waiter, graphs.picture(), seconds=0.3)
    error = waiting.error()
    assert isinstance(error, TimedOut)
    assert error.prompt_id == waiting.prompt.id
    assert waiting.prompt.id in [*sim.running, *sim.pending]


def test_a_failed_node_is_an_error_that_names_it(any_waiter: Waiter, sim: Simulator) -> None:
    sim.fail_node("SaveImage", "disk full")
    error = Waiting(any_waiter, graphs.picture()).error()
    assert isinstance(error, ExecutionFailed)
    assert "Node 2 (SaveImage) failed" in error.message
    assert "disk full" in error.message


def test_an_interrupted_prompt_is_an_error_of_its_own(any_waiter: Waiter, sim: Simulator) -> None:
    sim.step_seconds = 0.02
    waiting = Waiting(any_waiter, graphs.txt2img(sim.checkpoints[0], steps=1000))
    sim.wait_until_running(waiting.prompt.id)
    any_waiter.client.interrupt(waiting.prompt.id)
    assert isinstance(waiting.error(), Interrupted)


@pytest.mark.usefixtures("impatient")
def test_a_prompt_that_somebody_deleted_is_lost(any_waiter: Waiter, sim: Simulator) -> None:
    sim.hold()
    first = Waiting(any_waiter, graphs.picture())
    sim.wait_until_running(first.prompt.id)
    second = Waiting(any_waiter, graphs.picture())
    any_waiter.client.delete_pending(second.prompt.id)
    assert isinstance(second.error(), PromptLost)
    sim.release()
    assert first.outcome().outputs


@pytest.mark.usefixtures("impatient")
def test_a_prompt_is_lost_when_comfyui_restarts(any_waiter: Waiter, sim: Simulator) -> None:
    sim.hold()
    waiting = Waiting(any_waiter, graphs.picture())
    sim.wait_until_running(waiting.prompt.id)
    sim.restart()
    assert isinstance(waiting.error(), PromptLost)


@pytest.mark.usefixtures("impatient")
def test_a_comfyui_that_is_gone_is_told_as_such(any_waiter: Waiter, sim: Simulator) -> None:
    sim.hold()
    waiting = Waiting(any_waiter, graphs.picture())
    sim.wait_until_running(waiting.prompt.id)
    sim.stop()
    error = waiting.error()
    assert isinstance(error, ComfyUIUnreachable)
    assert error.prompt_id == waiting.prompt.id


@pytest.mark.usefixtures("impatient")
def test_a_silent_socket_does_not_cost_the_picture(any_waiter: Waiter, sim: Simulator) -> None:
    sim.mute()
    assert Waiting(any_waiter, graphs.picture()).outcome().outputs


@pytest.mark.usefixtures("impatient")
def test_a_dropped_socket_does_not_cost_the_picture(any_waiter: Waiter, sim: Simulator) -> None:
    sim.hold()
    waiting = Waiting(any_waiter, graphs.picture())
    sim.wait_until_running(waiting.prompt.id)
    sim.drop_sockets()
    sim.release()
    assert waiting.outcome().outputs


def test_a_node_that_blocks_its_successors_is_no_failure(any_waiter: Waiter, sim: Simulator) -> None:
    sim.block_node("ImageInvert", "not today")
    graph = graphs.picture()
    graph["3"] = {"class_type": "ImageInvert", "inputs": {"image": ["1", 0]}}
    graph["4"] = {"class_type": "SaveImage", "inputs": {"images": ["3", 0], "filename_prefix": "blocked"}}
    outcome = Waiting(any_waiter, graph).outcome()
    assert [output.node_id for output in outcome.outputs] == ["2"]


def test_events_reach_the_callback_in_order(listening_waiter: Waiter, sim: Simulator) -> None:
    waiting = Waiting(listening_waiter, graphs.txt2img(sim.checkpoints[0], steps=3))
    waiting.outcome()
    assert isinstance(waiting.heard[0], events.ExecutionStart)
    assert isinstance(waiting.heard[-1], events.ExecutionSuccess)
    assert [each.value for each in waiting.heard if isinstance(each, events.Progress)] == [1, 2, 3]


def test_images_sent_over_the_websocket_are_received(listening_waiter: Waiter) -> None:
    outcome = Waiting(listening_waiter, graphs.picture(batch=3, save="SaveImageWebsocket")).outcome()
    assert [(frame.node_id, frame.data[:4]) for frame in outcome.frames] == [("2", b"\x89PNG")] * 3


@pytest.mark.usefixtures("impatient")
def test_an_answer_never_lacks_the_images_that_a_lost_socket_carried(
    listening_waiter: Waiter, sim: Simulator
) -> None:
    sim.hold()
    waiting = Waiting(listening_waiter, graphs.picture(save="SaveImageWebsocket"))
    sim.wait_until_running(waiting.prompt.id)
    sim.drop_sockets()
    sim.release()
    error = waiting.error()
    assert isinstance(error, PromptLost)
    assert "node 2" in error.message


def test_a_socket_is_closed_when_its_request_is_over(client: ComfyUIClient, sim: Simulator) -> None:
    Waiting(SocketWaiter(client), graphs.picture()).outcome()
    sim.wait_for_sockets(0, 5)


def test_where_websockets_do_not_pass_the_result_is_polled_for(listening_waiter: Waiter, sim: Simulator) -> None:
    sim.fail_route("/ws", status=403)
    waiting = Waiting(listening_waiter, graphs.picture())
    assert waiting.outcome().outputs
    assert "lets no websocket through (HTTP 403)" in waiting._listener.warnings[0]


@pytest.mark.parametrize("kind", [HubWaiter, SocketWaiter, PollingWaiter])
def test_a_comfyui_behind_tls_with_a_certificate_of_one_s_own(
    monkeypatch: pytest.MonkeyPatch, kind: type[Waiter]
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / "localhost.pem", CERTIFICATES / "localhost.key")
    with Simulator(step_seconds=0, ssl_context=context) as sim:
        address = ServerAddress.parse(sim.url)
        with pytest.raises(ComfyUIUnreachable, match="no trusted certificate"):
            ComfyUIClient(address).queue_length()
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(CERTIFICATES / "localhost.pem"))
        made = kind(ComfyUIClient(address))
        assert Waiting(made, graphs.picture()).outcome().outputs
        made.close()

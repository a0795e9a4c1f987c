"""The bridge without HTTP: `from comfybridge import Bridge`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from comfybridge import Bridge, BridgeError, GenerationRequest, load_settings
from comfybridge.comfyui import events
from comfybridge.errors import Busy, InvalidRequest, NoOutput, UnknownWorkflow
from comfybridge.simulator import Simulator
from tests import graphs


@pytest.fixture
def bridge(sim: Simulator) -> Iterator[Bridge]:
    with Bridge(load_settings(comfyui_url=sim.url, max_concurrent=1)) as bridge:
        yield bridge


def test_a_picture_is_generated_and_saved(bridge: Bridge, tmp_path: Path) -> None:
    request = GenerationRequest(workflow="txt2img", params={"prompt": "a lighthouse", "width": 64, "height": 96})
    generation = bridge.generate(request)
    with Image.open(generation.images[0].save(tmp_path / "lighthouse.png")) as picture:
        assert picture.size == (64, 96)
    assert generation.seed == generation.params["seed"]


def test_progress_reaches_the_caller(bridge: Bridge, sim: Simulator) -> None:
    heard: list[events.Event] = []
    bridge.generate(GenerationRequest(graph=graphs.txt2img(sim.checkpoints[0], steps=4)), heard.append)
    assert [each.value for each in heard if isinstance(each, events.Progress)] == [1, 2, 3, 4]


def test_the_steps_can_be_taken_one_by_one(bridge: Bridge, sim: Simulator) -> None:
    sim.hold()
    with bridge.submit(bridge.admit(GenerationRequest(graph=graphs.picture()))) as submission:
        assert submission.prompt.id in [*sim.pending, *sim.running]
        sim.release()
        generation = bridge.collect(submission, bridge.wait(submission))
        assert generation.prompt_id == submission.prompt.id
        assert generation.outputs[0].read().startswith(b"\x89PNG")
        assert not bridge.slots.has_free
    assert bridge.slots.has_free


def test_a_request_keeps_its_slot_until_its_outputs_are_read(bridge: Bridge) -> None:
    with bridge.generating(bridge.admit(GenerationRequest(graph=graphs.picture()))) as generation:
        assert not bridge.slots.has_free
        assert generation.outputs[0].read()
    assert bridge.slots.has_free


def test_a_submission_that_nobody_waits_for_gives_its_slot_and_socket_back(bridge: Bridge, sim: Simulator) -> None:
    with bridge.submit(bridge.admit(GenerationRequest(graph=graphs.picture(), wait="websocket"))):
        with pytest.raises(Busy):
            bridge.submit(bridge.admit(GenerationRequest(graph=graphs.picture())))
        assert not bridge.slots.has_free
    assert bridge.slots.has_free
    sim.wait_for_sockets(0)


@pytest.mark.parametrize(
    "graph",
    [
        {"1": {"class_type": "Nope", "inputs": {}}},
        graphs.txt2img("no such checkpoint"),
    ],
)
def test_a_refused_graph_gives_the_slot_back(bridge: Bridge, sim: Simulator, graph: dict[str, object]) -> None:
    with pytest.raises(BridgeError):
        bridge.generate(GenerationRequest(graph=graph, wait="websocket"))
    assert bridge.slots.has_free
    sim.wait_for_sockets(0)


def test_a_callback_that_fails_gives_the_slot_back(bridge: Bridge, sim: Simulator) -> None:
    def fail(event: events.Event) -> None:
        raise RuntimeError("the caller's own")

    with pytest.raises(RuntimeError, match="the caller's own"):
        bridge.generate(GenerationRequest(graph=graphs.picture(), wait="websocket"), fail)
    assert bridge.slots.has_free
    sim.wait_for_sockets(0)


def test_a_prompt_with_nothing_to_show_is_an_error(bridge: Bridge, sim: Simulator) -> None:
    sim.block_node("EmptyImage", "no picture today")
    with pytest.raises(NoOutput, match="no picture today"):
        bridge.generate(GenerationRequest(graph=graphs.picture()))


def test_a_graph_and_a_workflow_s_name_exclude_each_other(bridge: Bridge) -> None:
    with pytest.raises(InvalidRequest):
        bridge.generate(GenerationRequest(workflow="txt2img", graph=graphs.picture()))


def test_an_unknown_workflow_is_an_error(bridge: Bridge) -> None:
    with pytest.raises(UnknownWorkflow):
        bridge.generate(GenerationRequest(workflow="nope"))


def test_a_request_does_not_change_the_graph_that_it_was_given(bridge: Bridge) -> None:
    graph = graphs.picture()
    before = {**graph["1"]["inputs"]}
    bridge.generate(GenerationRequest(graph=graph, params={"1.width": 16}))
    assert graph["1"]["inputs"] == before

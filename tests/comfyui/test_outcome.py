"""What became of a prompt, by its events and by its history: the same, on every recording of a real ComfyUI."""

from __future__ import annotations

import json

import pytest

from comfybridge.comfyui import events
from comfybridge.comfyui.outcome import Outcome, OutcomeReader, Prompt, outcome_of_history
from comfybridge.errors import BridgeError, ExecutionFailed, Interrupted
from tests.comfyui.recorded import Recording, names


def by_events(prompt: Prompt, heard: list[events.Event]) -> Outcome | None:
    reader = OutcomeReader(prompt)
    for event in heard:
        if reader.is_about_this(event) and (outcome := reader.read(event)):
            return outcome
    return None


def told(recording: Recording, way: str) -> object:
    """The outcome, or the error, as something that can be compared."""
    try:
        if way == "events":
            outcome = by_events(recording.prompt, recording.events())
        else:
            outcome = outcome_of_history(recording.prompt, recording.entry)
    except BridgeError as error:
        return type(error), error.message, error.prompt_id, error.node
    assert outcome is not None
    return outcome.outputs, outcome.warnings, outcome.executing


@pytest.mark.parametrize("name", names(finished=True))
def test_events_and_history_tell_the_same(name: str) -> None:
    recording = Recording(name)
    assert told(recording, "events") == told(recording, "history")


def test_outputs_come_in_the_order_of_the_graph_and_not_of_execution() -> None:
    outcome = by_events(Recording("two_nodes").prompt, Recording("two_nodes").events())
    assert outcome is not None
    assert [output.node_id for output in outcome.outputs] == ["2", "4", "5"]


@pytest.mark.parametrize(("name", "count"), [("ws_image", 1), ("ws_image_meta", 2), ("ws_image_cached", 1)])
def test_websocket_images_are_kept_with_and_without_metadata(name: str, count: int) -> None:
    outcome = by_events(Recording(name).prompt, Recording(name).events())
    assert outcome is not None
    assert [(frame.node_id, frame.media_type) for frame in outcome.frames] == [("2", "image/png")] * count


@pytest.mark.parametrize("name", ["txt2img", "txt2img_preview_meta"])
def test_previews_of_a_sampler_are_no_result(name: str) -> None:
    outcome = by_events(Recording(name).prompt, Recording(name).events())
    assert outcome is not None
    assert outcome.frames == []


def test_a_failed_node_is_named_without_traceback_or_server_path() -> None:
    with pytest.raises(ExecutionFailed) as raised:
        by_events(Recording("exec_error").prompt, Recording("exec_error").events())
    assert raised.value.message == "Node 1 (LoadImage) failed: OSError: Truncated File Read."
    assert raised.value.node == {
        "id": "1",
        "class_type": "LoadImage",
        "exception_type": "OSError",
        "exception_message": "Truncated File Read",
    }


def test_an_interrupted_prompt_is_told_from_a_failed_one() -> None:
    with pytest.raises(Interrupted, match=r"interrupted at node 3 \(KSampler\)"):
        outcome_of_history(Recording("interrupted").prompt, Recording("interrupted").entry)


def test_a_block_that_is_followed_by_success_is_a_warning() -> None:
    recording = Recording("ok")
    block = events.ExecutionError(recording.prompt.id, "1", "Gate", "ExecutionBlocked", "Execution Blocked: closed")
    outcome = by_events(recording.prompt, [block, *recording.events()])
    assert outcome is not None
    assert outcome.warnings == ["Node 1 (Gate) blocked the nodes after it: Execution Blocked: closed."]
    assert len(outcome.outputs) == 1


def test_what_the_cache_still_holds_of_nodes_outside_the_targets_is_left_out() -> None:
    recording = Recording("ok_cached")
    entry = json.loads(json.dumps(recording.entry))
    entry["outputs"]["9"] = {"images": [{"filename": "old.png", "subfolder": "", "type": "output"}]}
    entry["status"]["messages"][1][1]["nodes"].append("9")
    outcome = outcome_of_history(recording.prompt, entry)
    assert [output.node_id for output in outcome.outputs] == ["2"]


def test_nodes_made_while_running_are_reported_under_the_node_of_the_graph() -> None:
    prompt = Recording("ok").prompt
    output = {"images": [{"filename": "x.png", "subfolder": "", "type": "output"}]}
    heard = [
        events.Executed(prompt.id, "2.0.0.1", "2", output),
        events.ExecutionSuccess(prompt.id, None),
    ]
    outcome = by_events(prompt, heard)
    assert outcome is not None
    assert [each.node_id for each in outcome.outputs] == ["2"]


def test_a_cached_node_with_nothing_to_show_gives_no_output() -> None:
    prompt = Recording("ok").prompt
    frame = {"type": "executed", "data": {"node": "2", "display_node": "2", "output": None, "prompt_id": prompt.id}}
    outcome = by_events(prompt, [events.parse_text(json.dumps(frame)), events.ExecutionSuccess(prompt.id, None)])
    assert outcome is not None
    assert outcome.outputs == []


def test_an_error_in_a_history_that_says_success_is_an_error() -> None:
    """ComfyUI does so for a cycle that appears while running."""
    recording = Recording("exec_error")
    entry = json.loads(json.dumps(recording.entry))
    entry["status"].update(status_str="success", completed=True)
    with pytest.raises(ExecutionFailed):
        outcome_of_history(recording.prompt, entry)


def test_the_time_of_execution_is_read_off_comfyui_s_own_clock() -> None:
    recording = Recording("ok")
    assert outcome_of_history(recording.prompt, recording.entry).executing == 0.041

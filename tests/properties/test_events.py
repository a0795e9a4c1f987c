"""Any frames of ComfyUI's websocket, and those of a prompt lost, doubled and out of order."""

from __future__ import annotations

import json
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comfybridge.comfyui import events
from comfybridge.comfyui.outcome import MALFORMED, Outcome, OutcomeReader, Prompt, outcome_of_history
from comfybridge.errors import BridgeError
from comfybridge.prompts.progress import ProgressMeter
from tests.comfyui.recorded import Recording, names
from tests.properties.made_up import json_values, numbers

KINDS = (
    *("status", "execution_start", "execution_cached", "executing", "progress", "progress_state", "executed"),
    *("execution_success", "execution_error", "execution_interrupted", "feature_flags", "logs"),
)
KEYS = (
    *("prompt_id", "node", "nodes", "display_node", "output", "timestamp", "value", "max", "state", "status"),
    *("exec_info", "queue_remaining", "node_id", "node_type", "exception_type", "exception_message", "image_type"),
)
ID = "the-prompt"
GRAPH = {
    "1": {"class_type": "EmptyImage", "inputs": {}},
    "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0]}},
    "3": {"class_type": "SaveImageWebsocket", "inputs": {"images": ["1", 0]}},
}
FINISHED = names(finished=True)

values = json_values(st.sampled_from(KEYS), leaves=6) | st.sampled_from([ID, "1", "3", "ExecutionBlocked"])
nodes = st.sampled_from(["1", "2", "3", 2, None, [1], {"a": 1}, "9"])
counts = numbers | st.sampled_from([0, 1, 2, "3", None])
data = st.builds(
    lambda more, known: {"prompt_id": ID, **more, **known},
    st.dictionaries(st.sampled_from(KEYS), values, max_size=3),
    st.fixed_dictionaries(
        {},
        optional={
            "node": nodes,
            "display_node": nodes,
            "value": counts,
            "max": counts,
            "timestamp": counts,
            "nodes": st.dictionaries(
                st.sampled_from(["1", "2"]), st.fixed_dictionaries({"value": counts, "max": counts, "state": values})
            ),
            "status": st.fixed_dictionaries({"exec_info": st.fixed_dictionaries({"queue_remaining": counts})}),
        },
    ),
)
texts = st.builds(
    lambda kind, said: json.dumps({"type": kind, "data": said}), st.sampled_from(KINDS), data | values
) | st.text(max_size=40)
metadata = st.fixed_dictionaries(
    {
        "image_type": st.sampled_from(["image/png", "text/html", "a\r\nb"]) | values,
        "prompt_id": values,
        "node_id": values,
    }
)
binaries = st.binary(max_size=40) | st.builds(
    lambda number, said, rest: struct.pack(">II", number, len(json.dumps(said))) + json.dumps(said).encode() + rest,
    st.sampled_from([1, 3, 4, 9]),
    metadata | values,
    st.binary(max_size=10),
)
frames = st.lists(texts | binaries, max_size=12)


def event_of(frame: str | bytes) -> events.Event:
    return events.parse_text(frame) if isinstance(frame, str) else events.parse_binary(frame)


@given(frames=frames)
def test_no_frames_break_what_reads_them(frames: list[str | bytes]) -> None:
    reader, meter = OutcomeReader(Prompt(ID, GRAPH)), ProgressMeter(Prompt(ID, GRAPH))
    for event in map(event_of, frames):
        assert isinstance(event, events.Event)
        hash(getattr(event, "prompt_id", None))  # the keys by which the hub assigns them
        if not reader.is_about_this(event):
            continue
        for each in meter.read(event):
            json.dumps([v for v in vars(each).values() if not isinstance(v, bytes)], allow_nan=False)
        try:
            outcome = reader.read(event)
        except BridgeError as error:
            json.dumps([error.message, error.node], allow_nan=False)
        else:
            if outcome is not None:
                json.dumps(outcome.executing, allow_nan=False)
                assert all(frame.media_type.startswith("image/") and frame.data for frame in outcome.frames)


@given(text=texts, cut=st.integers(0, 200), name=st.sampled_from(FINISHED))
def test_a_recorded_frame_with_something_in_its_middle(text: str, cut: int, name: str) -> None:
    for message in Recording(name).said["ws"]:
        if "binary" not in message:
            frame = json.dumps({"type": message["type"], "data": message["data"]})
            assert isinstance(events.parse_text(frame[:cut] + text + frame[cut:]), events.Event)


@given(
    entry=values | st.dictionaries(st.sampled_from(["status", "outputs", "meta", "prompt"]), values),
    name=st.sampled_from(FINISHED),
)
def test_no_history_entry_breaks_what_reads_it(entry: Any, name: str) -> None:
    known = Recording(name)
    for each in (entry, {**known.entry, **entry} if isinstance(entry, dict) else entry):
        try:
            outcome = outcome_of_history(known.prompt, each)
        except BridgeError:
            continue
        json.dumps(outcome.executing, allow_nan=False)


# -- of a prompt


def told(prompt: Prompt, heard: list[events.Event]) -> Outcome | BridgeError | None:
    """What the events say, as far as they say it."""
    reader = OutcomeReader(prompt)
    for event in heard:
        if reader.is_about_this(event):
            try:
                outcome = reader.read(event)
            except MALFORMED:
                return None
            except BridgeError as error:
                return error
            if outcome is not None:
                return outcome
    return None


def true_outcome(recording: Recording) -> Outcome | None:
    try:
        return outcome_of_history(recording.prompt, recording.entry)
    except BridgeError:
        return None


WENT_WELL = [name for name in FINISHED if true_outcome(Recording(name)) is not None]


@given(data=st.data(), name=st.sampled_from(WENT_WELL))
def test_events_that_are_lost_doubled_and_out_of_order_leave_no_complete_outcome_that_lacks_something(
    data: st.DataObject, name: str
) -> None:
    recording = Recording(name)
    truth = true_outcome(recording)
    assert truth is not None
    whole = told(recording.prompt, recording.events())
    assert isinstance(whole, Outcome)
    heard = data.draw(st.lists(st.sampled_from(range(len(recording.events()))), max_size=40), "which of them")
    if data.draw(st.booleans(), "in their order"):
        heard.sort()
    if data.draw(st.booleans(), "most of them"):
        heard = sorted({*range(len(recording.events()))} - set(heard[:3])) + heard[3:4]
    outcome = told(recording.prompt, [recording.events()[index] for index in heard])
    if not isinstance(outcome, Outcome) or not outcome.is_complete:
        return  # the history is read, or the prompt runs again
    assert outcome.outputs == truth.outputs
    assert len(outcome.frames) >= len(whole.frames)


@pytest.mark.parametrize("name", WENT_WELL)
def test_whichever_two_events_are_lost_a_complete_outcome_lacks_nothing(name: str) -> None:
    recording = Recording(name)
    truth, whole = true_outcome(recording), told(recording.prompt, recording.events())
    assert truth is not None
    assert isinstance(whole, Outcome)
    heard = recording.events()
    indexes = [index for index, event in enumerate(heard) if not isinstance(event, events.ProgressState)]
    for one in indexes:
        for other in indexes:
            rest = [event for index, event in enumerate(heard) if index not in (one, other)]
            outcome = told(recording.prompt, rest)
            if isinstance(outcome, Outcome) and outcome.is_complete:
                assert outcome.outputs == truth.outputs
                assert len(outcome.frames) == len(whole.frames)


def test_an_image_that_comes_twice_is_one_image() -> None:
    recording = Recording("ws_image_meta")
    heard = recording.events()
    images = [index for index, event in enumerate(heard) if isinstance(event, events.Image)]
    heard.insert(images[0], heard[images[0]])
    once, twice = told(recording.prompt, recording.events()), told(recording.prompt, heard)
    assert isinstance(once, Outcome)
    assert isinstance(twice, Outcome)
    assert twice.frames == once.frames

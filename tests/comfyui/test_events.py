"""Frames to events: every recorded one is known, and nothing that may come breaks it."""

from __future__ import annotations

import json
import struct

import pytest

from comfybridge.comfyui import events
from tests.comfyui.recorded import Recording, names


@pytest.mark.parametrize("name", names(finished=True))
def test_every_recorded_frame_is_known(name: str) -> None:
    unknown = [event for event in Recording(name).events() if isinstance(event, events.Unknown)]
    assert [event.type for event in unknown if event.type != "feature_flags"] == []


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "no json",
        "[]",
        "null",
        "{}",
        '{"type": "executed"}',
        '{"type": "executed", "data": null}',
        '{"type": "executed", "data": {"prompt_id": "x"}}',
        '{"type": "executed", "data": {"prompt_id": "x", "node": "1", "output": [1]}}',
        '{"type": "progress", "data": {"prompt_id": "x", "node": "1", "value": "a", "max": 1}}',
        '{"type": "progress_state", "data": {"prompt_id": "x", "nodes": {"1": 5}}}',
        '{"type": "execution_cached", "data": {"prompt_id": "x", "nodes": 5}}',
        '{"type": "status", "data": {"status": {}}}',
        '{"type": ["executed"], "data": {"prompt_id": "x"}}',
        '{"type": "crystools.monitor", "data": {"cpu": 3}}',
        "[" * 100_000,
    ],
)
def test_an_unknown_or_malformed_text_frame_is_no_error(frame: str) -> None:
    assert isinstance(events.parse_text(frame), events.Unknown)


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\0\0\0",
        struct.pack(">I", 77) + b"data",
        struct.pack(">I", 1),
        struct.pack(">II", 4, 1000) + b"{}",
        struct.pack(">II", 4, 2) + b"{}" + b"image",
        struct.pack(">II", 4, 2) + b"[]" + b"image",
        struct.pack(">II", 3, 4) + b"\xff\xff\xff\xff",
    ],
)
def test_an_unknown_or_malformed_binary_frame_is_no_error(frame: bytes) -> None:
    assert isinstance(events.parse_binary(frame), events.Unknown)


def test_a_text_of_progress_names_its_node() -> None:
    frame = struct.pack(">II", 3, 2) + b"12" + "fünf".encode()
    assert events.parse_binary(frame) == events.ProgressText("12", "fünf")


def test_the_executing_that_greets_a_reconnecting_client_is_about_no_prompt() -> None:
    frame = json.dumps({"type": "executing", "data": {"node": "3"}})
    assert isinstance(events.parse_text(frame), events.Unknown)

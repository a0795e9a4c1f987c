"""The graph that ComfyUI embedded, read out of a video. The files are of ComfyUI 0.33.0 (SaveVideo, SaveWEBM)."""

from __future__ import annotations

import contextlib
import random
from pathlib import Path

import pytest

from comfybridge.errors import InvalidRequest
from comfybridge.media import embedded_graph

FILES = Path(__file__).parent / "files"


@pytest.fixture(params=["comfyui.mp4", "comfyui.webm"])
def video(request: pytest.FixtureRequest) -> bytes:
    return (FILES / request.param).read_bytes()


def test_a_video_tells_the_graph_that_made_it(video: bytes) -> None:
    graph = embedded_graph(video)
    assert graph is not None
    assert graph["1"]["class_type"] == "EmptyImage"


def test_the_editors_format_counts_where_there_is_no_other(video: bytes) -> None:
    other = video.replace(b"mdtaprompt", b"mdtaprolog").replace(b"PROMPT", b"PROLOG")
    graph = embedded_graph(other)
    assert graph is not None
    assert [node["type"] for node in graph["nodes"]][:2] == ["EmptyImage", "CreateVideo"]


def test_a_video_that_is_cut_off_or_scrambled_tells_its_graph_or_none(video: bytes) -> None:
    draw = random.Random(5)
    for _ in range(500):
        data = bytearray(video[: draw.randrange(60, len(video))])
        for _ in range(draw.randrange(3)):
            data[draw.randrange(40, len(data))] = draw.randrange(256)
        with contextlib.suppress(InvalidRequest):  # of JSON that is scrambled
            embedded_graph(bytes(data))


@pytest.mark.parametrize(
    "data",
    [
        b"\0\0\0\x10ftypisom" + b"\0\0\0\0moov" * 50_000,
        b"\x1aE\xdf\xa3\x80" + b"\x18\x53\x80\x67\xff" * 50_000,
    ],
)
def test_what_is_nested_without_end_has_none(data: bytes) -> None:
    assert embedded_graph(data) is None

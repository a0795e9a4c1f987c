"""The graph that ComfyUI embedded, read out of the image again."""

from __future__ import annotations

import json
import zlib
from typing import Any

import pytest
from PIL.PngImagePlugin import PngInfo

from comfybridge.errors import InvalidRequest
from comfybridge.media import embedded_graph, png
from tests.media.pictures import EDITOR, GRAPH, drawn, encoded, exif, moving, png_of_comfyui, texts


def test_a_png_tells_the_graph_that_made_it() -> None:
    assert embedded_graph(png_of_comfyui()) == GRAPH


@pytest.mark.parametrize("format", ["webp", "jpeg"])
def test_exif_tells_it_too(format: str) -> None:
    assert embedded_graph(encoded(drawn(), format, exif=exif(prompt=GRAPH, workflow=EDITOR))) == GRAPH


def test_a_moving_webp_tells_it_too() -> None:
    assert embedded_graph(moving("webp", exif=exif(prompt=GRAPH))) == GRAPH


@pytest.mark.parametrize("chunk", ["compressed", "international"])
def test_every_kind_of_text_chunk_is_read(chunk: str) -> None:
    info = PngInfo()
    if chunk == "compressed":
        info.add_text("prompt", json.dumps(GRAPH), zip=True)
    else:
        info.add_itxt("prompt", json.dumps(GRAPH), zip=True)
    assert embedded_graph(encoded(drawn(), pnginfo=info)) == GRAPH


@pytest.mark.parametrize(
    "data", [b"", b"no image", encoded(drawn()), encoded(drawn(), "webp"), encoded(drawn(), "gif")]
)
def test_a_file_without_a_graph_tells_none(data: bytes) -> None:
    assert embedded_graph(data) is None


@pytest.mark.parametrize(
    "data",
    [encoded(drawn(), pnginfo=texts(workflow=EDITOR)), encoded(drawn(), "webp", exif=exif(workflow=EDITOR))],
    ids=["png", "webp"],
)
def test_the_editors_format_counts_where_there_is_no_other(data: bytes) -> None:
    assert embedded_graph(data) == EDITOR


@pytest.mark.parametrize("text", ["a cat", "null", "{}", "{"])
def test_the_editors_format_counts_where_something_else_stands_for_the_other(text: str) -> None:
    assert embedded_graph(encoded(drawn(), pnginfo=texts(prompt=text, workflow=EDITOR))) == EDITOR


@pytest.mark.parametrize("text", ["a cat", "[1, 2]", '"x"', "{", "[" * 100_000])
def test_what_is_no_json_object_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="The graph in the picture"):
        embedded_graph(encoded(drawn(), pnginfo=texts(prompt=text)))


def test_what_comfyui_noted_while_it_ran_the_graph_is_left_out() -> None:
    noted: dict[str, Any] = {key: {**node, "is_changed": [float("nan")]} for key, node in GRAPH.items()}
    data = encoded(drawn(), pnginfo=texts(prompt=noted))
    assert b"NaN" in data
    assert embedded_graph(data) == GRAPH


def test_a_number_that_json_does_not_have_is_null() -> None:
    data = encoded(drawn(), pnginfo=texts(prompt='{"1": {"class_type": "A", "inputs": {"x": NaN, "y": -Infinity}}}'))
    assert embedded_graph(data) == {"1": {"class_type": "A", "inputs": {"x": None, "y": None}}}


def test_texts_that_would_unpack_into_gigabytes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(png, "LARGEST_TEXTS", 100_000)
    info = PngInfo()
    info.add(b"zTXt", b"prompt\0\0" + zlib.compress(json.dumps({"x": "x" * 200_000}).encode()))
    with pytest.raises(InvalidRequest, match="texts are too large"):
        embedded_graph(encoded(drawn(), pnginfo=info))


@pytest.mark.parametrize("format", ["png", "webp", "jpeg"])
def test_a_truncated_or_scrambled_file_is_refused_or_tells_none_and_never_breaks(format: str) -> None:
    whole = encoded(drawn(), format, exif=exif(prompt=GRAPH))
    for at in range(0, min(len(whole), 400), 3):
        for data in (whole[:at], whole[:at] + b"\xff" + whole[at + 1 :]):
            try:
                found = embedded_graph(data)
            except InvalidRequest:
                continue
            assert found is None or isinstance(found, dict)

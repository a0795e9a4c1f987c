"""What the caller should know: of pictures that have another size than was asked for, and where there is no JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from flask.testing import FlaskClient

from comfybridge.web.answers.warnings import MOST_BYTES, warnings_header
from tests import graphs
from tests.graphs import node
from tests.web.answers import success

BYTES = ["image/*", "application/zip"]


@pytest.fixture
def deaf(make_app: Any, tmp_path: Path) -> FlaskClient:
    """A bridge with a template whose width and height have no effect: its pictures are 64 x 48."""
    graph = {**graphs.picture(64, 48), "9": node("EmptyImage", width=32, height=32, batch_size=1, color=0)}
    scaled = node("ImageScaleBy", image=["1", 0], upscale_method="bilinear", scale_by=2.0)
    graphs_by_name = {
        "deaf": graph,
        "scaled": {**graph, "5": scaled, "2": node("SaveImage", images=["5", 0], filename_prefix="x")},
    }
    for name, each in graphs_by_name.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(each))
        parameters = {side: {"node": 9, "input": side} for side in ("width", "height")}
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump({"parameters": parameters}))
    return make_app(workflows_dir=str(tmp_path)).test_client()


def warnings(api: FlaskClient, accept: str = "application/json", **body: Any) -> list[str]:
    response = api.post("/generate", json=body, headers={"Accept": accept})
    if accept == "application/json":
        assert "X-Warnings" not in response.headers
        found: list[str] = success(response)["warnings"]
        return found
    assert response.status_code == 200, response.text
    said: list[str] = json.loads(response.headers.get("X-Warnings", "[]"))
    return said


@pytest.mark.parametrize("accept", ["application/json", *BYTES])
def test_a_picture_of_another_size_than_was_asked_for_is_a_warning(deaf: FlaskClient, accept: str) -> None:
    assert warnings(deaf, accept, workflow="deaf", width=512, height=768) == [
        "width is 512 and height is 768, but the picture is 64 x 48 pixels large."
    ]
    assert warnings(deaf, accept, workflow="deaf", width=64, height=48) == []


def test_it_is_told_again_later(deaf: FlaskClient) -> None:
    asked = {"workflow": "deaf", "width": 512, "height": 768}
    body = success(deaf.post("/generate", json=asked))

    assert success(deaf.get(f"/results/{body['prompt_id']}"))["warnings"] == body["warnings"]


def test_a_size_that_the_answer_limits_is_no_warning(deaf: FlaskClient) -> None:
    limited = {"max_size": 16}
    assert warnings(deaf, workflow="deaf", width=64, height=48, output=limited) == []
    assert warnings(deaf, workflow="deaf", width=640, height=480, output=limited) == []
    assert warnings(deaf, workflow="deaf", width=480, height=640, output=limited) == [
        "width is 480 and height is 640, but the picture is 16 x 12 pixels large."
    ]


def test_a_graph_that_scales_its_pictures_must_keep_the_proportions_only(deaf: FlaskClient) -> None:
    assert warnings(deaf, workflow="scaled", width=64, height=48) == []
    assert warnings(deaf, workflow="scaled", width=32, height=24) == []
    assert warnings(deaf, workflow="scaled", width=512, height=512) == [
        "width is 512 and height is 512, but the picture is 128 x 96 pixels large."
    ]


def test_a_whole_graph_is_asked_for_no_size_that_is_not_given(api: FlaskClient) -> None:
    assert warnings(api, workflow=graphs.picture()) == []


@pytest.mark.parametrize("accept", ["application/json", *BYTES])
def test_what_comfyui_rounds_is_one_warning_and_not_two(api: FlaskClient, accept: str) -> None:
    assert warnings(
        api, accept, workflow="txt2img", prompt="a", model="demo.safetensors", width=100, height=64, steps=1
    ) == ["width is 100; ComfyUI rounds it to 96, a multiple of 8."]


def test_a_conversion_s_warnings_travel_with_bytes(api: FlaskClient) -> None:
    graph = graphs.picture()
    options = {"format": "jpeg", "lossless": True}
    in_json = warnings(api, workflow=graph, output=options)
    for accept in BYTES:
        assert warnings(api, accept, workflow=graph, output=options) == in_json


def test_a_page_of_a_site_that_may_call_can_read_the_header(make_app: Any) -> None:
    api = make_app(cors_origins="https://app.example").test_client()
    response = api.post("/generate", json={"workflow": graphs.picture()}, headers={"Origin": "https://app.example"})

    assert "X-Warnings" in response.headers["Access-Control-Expose-Headers"]


def test_a_header_holds_any_warning_and_is_never_long() -> None:
    assert json.loads(warnings_header(["weiß\r\nX-Evil: 1", "\u65e5"])) == ["weiß\r\nX-Evil: 1", "\u65e5"]
    many = warnings_header([f"{number} {'x' * 1000}" for number in range(1000)])
    assert many.isascii()
    assert many.isprintable()
    assert len(many) < MOST_BYTES + 20
    *shown, last = json.loads(many)
    assert last == f"{1000 - len(shown)} more"
    wide = warnings_header(["\U0001f431" * 1000])
    assert len(wide) < MOST_BYTES
    assert "\U0001f431" in json.loads(wide)[0]

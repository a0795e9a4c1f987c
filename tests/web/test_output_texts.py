"""Texts are found under any key of a node's `ui`, and what only ComfyUI's page needs is not taken for one."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import pytest

from comfybridge.settings import load_settings
from comfybridge.web import create_app
from tests.comfyui.exchange import Exchange
from tests.known_ids import queued_as
from tests.media.pictures import drawn, encoded
from tests.web.answers import failure, success

PNG = encoded(drawn())
IMAGE = {"filename": "a.png", "subfolder": "", "type": "output"}


def shown(
    output: Any, *, accept: str = "application/json", class_type: str = "Shows", view: bytes | None = None
) -> Any:
    """The bridge's answer where the graph's only node shows that."""
    graph = {"7": {"class_type": class_type, "inputs": {}}}
    entry = {
        "prompt": [0, "p1", graph, {}, ["7"]],
        "outputs": {} if output is None else {"7": output},
        "status": {"status_str": "success", "completed": True, "messages": []},
        "meta": {},
    }
    with Exchange() as server, queued_as("p1"):
        server.get(f"/object_info/{class_type}", json_body={class_type: {"output_node": True, "input": {}}})
        server.post("/prompt", json_body={"prompt_id": "p1", "number": 0, "node_errors": {}})
        server.get("/history/p1", json_body={"p1": entry})
        if view is not None:
            server.get("/view", view)
        api = create_app(load_settings(comfyui_url=server.url, wait="poll")).test_client()
        return api.post("/generate", json={"workflow": graph}, headers={"Accept": accept})


def texts(output: Any, **more: Any) -> list[str]:
    return [each["text"] for each in success(shown(output, **more))["outputs"] if each["kind"] == "text"]


@pytest.mark.parametrize(
    ("output", "found"),
    [
        ({"tags": ["1girl, solo, smile"]}, ["1girl, solo, smile"]),
        ({"string": ["one", "two"]}, ["one", "two"]),
        ({"populated_text": ["a red ball"]}, ["a red ball"]),
        ({"text": [31.84]}, ["31.84"]),
        ({"text": [7, True, None, {"a": "b"}]}, ["7", "true", '{"a": "b"}']),
        ({"text": [["one", ["two"]], "three"]}, ["one", "two", "three"]),
        ({"text": 5}, ["5"]),
        ({"text": "hello"}, ["hello"]),
        ({"a": ["first"], "text": ["second"]}, ["first", "second"]),
        ({"text_list": [["a"], ["b"]]}, ["a", "b"]),
        ({"captions_list": [["a", 7]]}, ["a", "7"]),
        ({"anything": [["one"], ["two", ["three"]]]}, ["one", "two", "three"]),
    ],
)
def test_texts_are_found_under_any_key(output: Any, found: list[str]) -> None:
    assert texts(output) == found


@pytest.mark.parametrize("key", ["text", "string", "tags", "anything"])
def test_a_text_that_comfyui_has_split_into_letters_is_one_text(key: str) -> None:
    assert texts({key: list("hello you")}) == ["hello you"]
    assert texts({key: ["h"]}) == ["h"]
    assert texts({key: ["hello", "y"]}) == ["hello", "y"]


def test_a_node_that_gives_lists_is_given_letters() -> None:
    assert texts({"text": ["1", "2", "3"]}, class_type="PreviewAny") == ["1", "2", "3"]


@pytest.mark.parametrize(
    "more",
    [
        {"animated": [True]},
        {"files": ["/srv/comfyui/output/a.png"]},
        {"workflow": ["{}"], "size": ["big"], "prompt": ["a cat"]},
        {"seed": [5], "requeue": [False]},
        {"compositor_inputs": ["abcdef"]},
    ],
)
def test_what_stands_beside_files_is_no_text(more: dict[str, Any]) -> None:
    body = success(shown({"images": [IMAGE], **more}, view=PNG))

    assert [each["kind"] for each in body["outputs"]] == ["image"]


@pytest.mark.parametrize("key", ["text", "tags", "wd14_tags", "Caption"])
def test_a_text_beside_a_picture_is_a_text(key: str) -> None:
    body = success(shown({"images": [IMAGE], key: ["64x64"]}, view=PNG))

    assert [(each["kind"], each.get("text")) for each in body["outputs"]] == [("image", None), ("text", "64x64")]


@pytest.mark.parametrize("output", [{"value": [7]}, {"score": [0.5, 0.7]}])
def test_numbers_are_the_result_where_there_is_no_other(output: dict[str, list[float]]) -> None:
    assert texts(output) == [str(number) for values in output.values() for number in values]
    assert texts({**output, "text": ["words"]}) == ["words"]


@pytest.mark.parametrize(
    ("output", "found"),
    [
        ({"result": ["ok"]}, ["ok"]),
        ({"result": "a long story"}, ["a long story"]),
        ({"result": list("a long story")}, ["a long story"]),
        ({"files": ["a text"]}, ["a text"]),
        ({"images": ["hello"]}, ["hello"]),
        ({"video": ["x"]}, ["x"]),
        ({"image_list": [["a cat."], ["It has 1.5 tails."]]}, ["a cat.", "It has 1.5 tails."]),
    ],
)
def test_a_text_under_a_key_of_files_is_the_result_where_there_is_no_other(
    output: dict[str, Any], found: list[str]
) -> None:
    assert texts(output) == found
    assert texts({**output, "text": ["words"]}) == ["words"]
    beside = success(shown({**output, "gifs": [IMAGE]}, view=PNG))
    assert [each["kind"] for each in beside["outputs"]] == ["image"]


@pytest.mark.parametrize(
    ("output", "keys"),
    [
        ({"animated": [True]}, "animated"),
        ({"bg_image": ["A" * 400]}, "bg_image"),
        ({"preview": ["data:image/png;base64,AAAA"]}, "preview"),
        ({"shot": ["data:image/png;base64,AAAA"], "path": ["/srv/comfyui/output/x.png"]}, "shot and path"),
        ({"images": [], "dims": [64, 64], "boxes": [{"x": 1}]}, "images (empty) and dims and boxes"),
        ({"histogram": [1, 2, 3]}, "histogram"),
        ({"curve": list(range(50))}, "curve"),
        ({"video": ["x.mp4", "output"]}, "video"),
        ({"video": ["x", "output"]}, "video"),
        ({"images": ["my cat.png"], "files": ["a.glb [output]"]}, "images and files"),
        ({"subfolder": ["renders"], "workflow": ["{}"]}, "subfolder and workflow"),
        ({"mask": ["iVBORw0KGgo" * 8]}, "mask"),
        ({"result": ["", None]}, "result"),
    ],
)
def test_where_nothing_can_be_shown_the_sentence_names_the_node_and_its_keys(output: Any, keys: str) -> None:
    said = failure(shown(output), 500, "no_output")["error"]

    assert said == (
        "The prompt finished, and none of its nodes' outputs is a file or a text that can be returned: "
        f"node 7 (Shows) shows {keys}."
    )


def test_a_node_that_shows_nothing_is_named() -> None:
    said = failure(shown(None), 500, "no_output")["error"]

    assert said == "The prompt finished, and none of its nodes has an output: node 7 (Shows) has none."


@pytest.mark.parametrize(
    ("ending", "media_type"),
    [
        ("txt", "text/plain; charset=utf-8"),
        ("md", "text/markdown; charset=utf-8"),
        ("csv", "text/csv; charset=utf-8"),
        ("json", "application/json"),
    ],
)
def test_a_saved_text_is_one_output_with_its_file_s_name(ending: str, media_type: str) -> None:
    saved = {"text": ['{"a": 1}'], "files": [{"filename": f"t_00001.{ending}", "subfolder": "s", "type": "output"}]}

    [output] = success(shown(saved))["outputs"]

    assert (output["kind"], output["text"], output["media_type"]) == ("text", '{"a": 1}', media_type)
    assert (output["filename"], output["subfolder"], output["type"]) == (f"t_00001.{ending}", "s", "output")
    assert "data" not in output
    zipped = shown(saved, accept="application/zip", view=b'{\n  "a": 1\n}')
    with zipfile.ZipFile(io.BytesIO(zipped.data)) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {f"t_00001.{ending}": b'{\n  "a": 1\n}'}

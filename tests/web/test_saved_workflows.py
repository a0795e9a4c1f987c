"""Workflows as ComfyUI's editor saved them, wherever a graph is taken."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from comfybridge.simulator import Simulator
from tests import graphs
from tests.media.pictures import drawn, encoded, texts
from tests.waiting import until_true
from tests.web.answers import failure, success
from tests.web.policies import SHOP, MakeApi
from tests.web.saved_files import NEWER, OLDER, PLACES, batch, in_subgraph, of_unknown_pack, part, picture, queued
from tests.workflow.editor.drawn import empty_image, file, node, save_image, subgraph

INPUTS = {"width": 64, "height": 64, "batch_size": 1, "color": 0}


@pytest.mark.parametrize("asked", PLACES.values(), ids=PLACES.keys())
def test_a_saved_workflow_runs_wherever_a_graph_is_taken(
    api: FlaskClient, sim: Simulator, asked: Callable[[Any], dict[str, Any]]
) -> None:
    assert len(success(api.post("/generate", **asked(picture())))["images"]) == 1
    graph, _ = queued(sim)
    assert graph["1"]["inputs"] == INPUTS
    assert graph["2"]["inputs"]["images"] == ["1", 0]
    assert graph["2"]["_meta"]["title"] == "Save Image"


def test_its_file_is_in_the_picture_that_is_saved(api: FlaskClient, sim: Simulator) -> None:
    success(api.post("/generate", json={"workflow": picture(id="mine")}))
    assert queued(sim)[1]["extra_pnginfo"] == {"workflow": picture(id="mine")}
    own = {"extra_pnginfo": {"workflow": {"id": "other"}}}
    success(api.post("/generate", json={"workflow": picture(), "extra_data": own}))
    assert queued(sim)[1]["extra_pnginfo"] == own["extra_pnginfo"]


def test_of_a_picture_with_both_formats_the_api_format_runs(api: FlaskClient, sim: Simulator) -> None:
    both = encoded(drawn(), pnginfo=texts(prompt=graphs.picture(32, 32), workflow=picture()))
    success(api.post("/generate", data={"workflow": part(both)}))
    assert queued(sim)[0]["1"]["inputs"]["width"] == 32


def test_parameters_are_found_in_it_and_any_input_has_its_id_in_the_prompt(api: FlaskClient, sim: Simulator) -> None:
    body = success(api.post("/generate", json={"workflow": picture(), "width": 32, "params": {"1.height": 16}}))
    assert body["params"] == {"width": 32, "1.height": 16}
    success(api.post("/generate", json={"workflow": in_subgraph()}))
    assert queued(sim)[0]["5:1"]["inputs"] == {**INPUTS, "width": 48}
    success(api.post("/generate", json={"workflow": in_subgraph(), "params": {"5:1.width": 40}}))
    assert queued(sim)[0]["5:1"]["inputs"]["width"] == 40


def speaking(text: str) -> Any:
    """With a text encoder that nothing uses."""
    encoder = node(3, "CLIPTextEncode", [text], [("clip", "CLIP", 2), ("text", "STRING", None, "text")])
    loader = node(4, "CheckpointLoaderSimple", ["demo.safetensors"])
    return file([empty_image(1), save_image(2, 1, "%date:yyyy%"), encoder, loader], [(1, 1, 0, 2), (2, 4, 1, 3)])


def test_choices_dates_and_comments_are_replaced_as_in_the_editor(api: FlaskClient, sim: Simulator) -> None:
    saved = speaking("a {red|blue} \\{ball\\} // not this\n{alone}")
    seen = set()
    for _ in range(20):
        success(api.post("/generate", json={"workflow": saved}))
        graph, _ = queued(sim)
        seen.add(graph["3"]["inputs"]["text"])
        assert graph["2"]["inputs"]["filename_prefix"].rpartition("/")[2].isdecimal()
    assert seen == {"a red {ball} \nalone", "a blue {ball} \nalone"}
    success(api.post("/generate", json={"workflow": saved, "dynamic_texts": False}))
    assert queued(sim)[0]["3"]["inputs"]["text"] == "a {red|blue} \\{ball\\} \nalone"


def test_a_text_that_a_subgraph_s_node_holds_is_sent_as_it_is_unless_the_caller_gives_one(
    api: FlaskClient, sim: Simulator
) -> None:
    encoder = node(3, "CLIPTextEncode", [""], [("clip", "CLIP", 2), ("text", "STRING", 3, "text")])
    loader = node(4, "CheckpointLoaderSimple", ["demo.safetensors"])
    links = [(2, 4, 1, 3), (3, -10, 0, 3)]
    inner = subgraph("words", [encoder, loader], links, inputs=[("text", "STRING", [3])])
    outer = node(9, "words", ["a {red|blue} ball"], [("text", "STRING", None, "text")])
    saved = file([empty_image(1), save_image(2, 1), outer], [(1, 1, 0, 2)], [inner])
    success(api.post("/generate", json={"workflow": saved}))
    assert queued(sim)[0]["9:3"]["inputs"]["text"] == "a {red|blue} ball"
    success(api.post("/generate", json={"workflow": saved, "params": {"9:3.text": "a {green|green} ball"}}))
    assert queued(sim)[0]["9:3"]["inputs"]["text"] == "a green ball"


def test_file_names_mean_nodes_by_their_names_for_search_and_by_title(api: FlaskClient, sim: Simulator) -> None:
    first = empty_image(1, properties={"Node name for S&R": "Base"}, title="Paper")
    second = node(3, "EmptyImage", [32, 32, 1, 0])
    prefix = "%Base.width%-%Paper.height%-%EmptyImage.width%-%Other.x%"
    saved = file([first, second, save_image(2, 1, prefix)], [(1, 1, 0, 2)])
    success(api.post("/generate", json={"workflow": saved, "params": {"1.height": 16}}))
    assert queued(sim)[0]["2"]["inputs"]["filename_prefix"].endswith("/64-16-32-%Other.x%")


def test_the_same_key_gives_the_same_prompt(api: FlaskClient) -> None:
    asked = {"json": {"workflow": speaking("{a|b|c|d}")}, "headers": {"Idempotency-Key": "one"}}
    first, second = (success(api.post("/generate", **asked)) for _ in range(2))
    assert first["prompt_id"] == second["prompt_id"]


# -- what is refused -----------------------------------------------------------------------------------------------


def test_a_class_that_no_server_has_is_named_with_its_pack(api: FlaskClient) -> None:
    error = failure(api.post("/generate", json={"workflow": of_unknown_pack()}), 400, "invalid_workflow")["error"]
    assert error == (
        'Node 7 ("My filter", StrangeNode) is of a type that this ComfyUI does not have; its pack is odd-pack.'
    )


@pytest.mark.parametrize(
    ("saved", "said"),
    [
        ({"nodes": [], "links": []}, "has no node that runs"),
        ({"nodes": [5], "links": []}, "The workflow"),
        ({"nodes": [{"id": 1}], "links": []}, "has no type"),
        ({"nodes": [{"id": 1, "type": "SaveImage"}], "links": 5}, "links is 5; it must be a list"),
        ({"nodes": None, "links": []}, "a file of ComfyUI's editor whose nodes is null; it must be a list."),
        (picture(definitions={"subgraphs": [7]}), "A subgraph is 7"),
    ],
)
def test_a_broken_file_ends_in_a_sentence(api: FlaskClient, saved: Any, said: str) -> None:
    assert said in failure(api.post("/generate", json={"workflow": saved}), 400, "invalid_workflow")["error"]


def test_policies_hold_for_what_it_is_converted_to(api_for: MakeApi, sim: Simulator) -> None:
    for policy, saved in (
        ({"refused_nodes": ["EmptyImage"]}, in_subgraph()),
        ({"max_width": 40}, in_subgraph()),
        ({"graphs": False}, picture()),
    ):
        failure(api_for(**policy).post("/generate", json={"workflow": saved}, headers=SHOP), 403, "forbidden")
    assert sim.history == {}


def test_a_file_has_a_limit_and_so_has_its_prompt(make_app: Callable[..., Flask], sim: Simulator) -> None:
    api = make_app(max_graph_bytes=4000).test_client()
    failure(api.post("/generate", json={"workflow": picture(note="x" * 4000)}), 413, "too_large")
    many = in_subgraph()
    many["nodes"] = [{**many["nodes"][0], "id": number} for number in range(40)]
    error = failure(api.post("/generate", json={"workflow": many}), 413, "too_large")["error"]
    assert "comes to a prompt of more than 4000 bytes" in error
    assert sim.history == {}


# -- what the server knows -----------------------------------------------------------------------------------------


def asked_about(sim: Simulator) -> list[str]:
    return [each.path for each in sim.requests if each.path.startswith("/object_info")]


def test_a_server_is_asked_once_about_each_class_that_is_needed(api: FlaskClient, sim: Simulator) -> None:
    for _ in range(3):
        success(api.post("/generate", json={"workflow": picture()}))
    assert sorted(asked_about(sim)) == ["/object_info/EmptyImage", "/object_info/SaveImage"]


def test_where_very_many_are_needed_all_are_asked_for_at_once_and_not_again_soon(
    api: FlaskClient, sim: Simulator
) -> None:
    strange = [node(number, f"Strange{number}") for number in range(3, 203)]
    saved = file([empty_image(1), save_image(2, 1), *strange], [(1, 1, 0, 2)])
    for _ in range(2):
        error = failure(api.post("/generate", json={"workflow": saved}), 400, "invalid_workflow")["error"]
        assert error.startswith("Node 3 (Strange3) is of a type that this ComfyUI does not have; nor does it have")
    assert asked_about(sim) == ["/object_info"]
    success(api.post("/generate", json={"workflow": in_subgraph()}))  # of which others were not kept


def test_requests_that_come_together_ask_once(api: FlaskClient, sim: Simulator) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: api.post("/convert", json=picture()), range(8)))
    assert {each.status_code for each in answers} == {200}
    assert sorted(asked_about(sim)) == ["/object_info/EmptyImage", "/object_info/SaveImage"]


def test_after_a_restart_a_server_is_asked_anew(api: FlaskClient, sim: Simulator) -> None:
    success(api.post("/generate", json={"workflow": picture()}))
    sim.forget_requests()
    sim.restart()

    def is_asked() -> bool:
        success(api.post("/generate", json={"workflow": picture()}))
        return "/object_info/EmptyImage" in asked_about(sim)

    until_true(is_asked)  # once it shows by the websocket


def test_a_graph_in_api_format_costs_no_call_more(api: FlaskClient, sim: Simulator) -> None:
    success(api.post("/generate", json={"workflow": graphs.picture()}))
    assert asked_about(sim) == ["/object_info/SaveImage"]


def test_a_class_that_comes_with_a_restart_is_known_then(make_app: Callable[..., Flask], sim: Simulator) -> None:
    sim.version = OLDER
    sim.restart()
    api = make_app().test_client()
    error = failure(api.post("/generate", json={"workflow": batch()}), 400, "invalid_workflow")["error"]
    assert 'Node 3 ("Both", BatchImagesNode) is of a type that this ComfyUI does not have' in error
    sim.version = NEWER
    sim.restart()
    success(api.post("/generate", json={"workflow": batch()}))


def test_a_class_that_is_retired_is_left_to_the_server(api: FlaskClient, sim: Simulator) -> None:
    sim.replacements["OldEmptyImage"] = [
        {"new_node_id": "EmptyImage", "old_widget_ids": None, "input_mapping": None, "output_mapping": None}
    ]
    sim.replacements["OldScale"] = [
        {
            "new_node_id": "ImageScaleBy",
            "old_widget_ids": ["times", "method"],
            "input_mapping": [
                {"new_id": "image", "old_id": "picture"},
                {"new_id": "scale_by", "old_id": "times"},
                {"new_id": "upscale_method", "old_id": "method"},
            ],
            "output_mapping": [{"new_idx": 0, "old_idx": 0}],
        }
    ]
    old = node(1, "OldEmptyImage", [64, 32, 1, 0])
    scale = node(3, "OldScale", [0.5, "bilinear"], [("picture", "IMAGE", 1)])
    saved = file([old, scale, save_image(2, 2)], [(1, 1, 0, 3), (2, 3, 0, 2)])
    body = success(api.post("/generate", json={"workflow": saved}))
    assert (body["outputs"][0]["width"], body["outputs"][0]["height"]) == (32, 16)


# -- several servers -----------------------------------------------------------------------------------------------


@pytest.fixture
def older() -> Iterator[Simulator]:
    with Simulator(step_seconds=0, version=OLDER) as simulator:
        yield simulator


@pytest.fixture
def both(make_app: Callable[..., Flask], older: Simulator, sim: Simulator) -> FlaskClient:
    """A bridge in front of two servers, the first of which is an older one."""
    return make_app(comfyui_url=f"{older.url},{sim.url}").test_client()


API_BATCH = {
    "1": {"class_type": "EmptyImage", "inputs": INPUTS},
    "3": {"class_type": "BatchImagesNode", "inputs": {"images.image0": ["1", 0]}},
    "2": {"class_type": "SaveImage", "inputs": {"images": ["3", 0], "filename_prefix": "x"}},
}


@pytest.mark.parametrize("workflow", [batch(), API_BATCH], ids=["as saved", "in API format"])
def test_a_request_goes_to_a_server_that_knows_its_classes(
    both: FlaskClient, older: Simulator, sim: Simulator, workflow: Any
) -> None:
    for _ in range(4):
        success(both.post("/generate", json={"workflow": workflow}))
    assert (len(older.history), len(sim.history)) == (0, 4)
    # what it lacks is remembered for a while
    asked = [(each.method, each.path) for each in older.requests]
    assert asked.count(("GET", "/object_info/BatchImagesNode")) + asked.count(("POST", "/prompt")) <= 2


def test_it_is_refused_where_no_server_knows_them(both: FlaskClient) -> None:
    error = failure(both.post("/generate", json={"workflow": of_unknown_pack()}), 400, "invalid_workflow")["error"]
    assert error.startswith('Node 7 ("My filter", StrangeNode) is of a type')


def test_a_server_out_of_reach_may_know_them(both: FlaskClient, sim: Simulator) -> None:
    sim.kill()
    response = both.post("/generate", json={"workflow": batch()})
    error = failure(response, 503, "comfyui_unreachable")["error"]
    assert "No other ComfyUI can run the workflow: Node 3" in error
    assert "Retry-After" in response.headers


def test_a_template_that_one_server_can_run_runs_there(
    make_app: Callable[..., Flask], older: Simulator, sim: Simulator, tmp_path: Path
) -> None:
    (tmp_path / "batch.json").write_text(json.dumps(batch()))
    api = make_app(comfyui_url=f"{older.url},{sim.url}", workflows_dir=tmp_path).test_client()
    assert [each["name"] for each in api.get("/workflows").get_json()["workflows"]] == ["batch"]
    success(api.post("/generate", json={"workflow": "batch"}))
    assert len(sim.history) == 1

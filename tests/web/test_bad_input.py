"""Bad input: a clear sentence, the right status, and nothing of it reaches ComfyUI's queue."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest
from flask.testing import FlaskClient

from comfybridge.simulator import Simulator
from tests import graphs
from tests.web.answers import failure

LINKED = {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}}


def nested(levels: int) -> str:
    return '{"a":' * levels + "1" + "}" * levels


@pytest.mark.parametrize(
    ("body", "type", "said"),
    [
        (b"", "invalid_request", "empty"),
        (b"   ", "invalid_request", "empty"),
        (
            b"promptacat",
            "invalid_request",
            "not JSON (Expecting value at line 1, column 1); it must be a JSON object",
        ),
        (b"{prompt: a cat}", "invalid_request", "did the shell take its quotes away?"),
        (b'{"prompt": "a cat"', "invalid_request", "not JSON"),
        (b'{"prompt": "\xff"}', "invalid_request", "UTF-8 text (at byte 12)"),
        (b"[]", "invalid_request", "a list"),
        (b'"a cat"', "invalid_request", "a text"),
        (b"7", "invalid_request", "a number"),
        (b"null", "invalid_request", "null"),
        (b'{"prompt": "x", "cfg": NaN}', "invalid_request", "NaN"),
        (b'{"prompt": "x", "cfg": -Infinity}', "invalid_request", "Infinity"),
        (b'{"prompt": "x", "cfg": 1e999}', "invalid_request", "too large"),
        (b'{"prompt": "x", "seed": ' + b"9" * 30 + b"}", "invalid_request", "too large"),
        (b'{"prompt": "x", "seed": ' + b"9" * 5000 + b"}", "invalid_request", "too large"),
        (b'{"prompt": "x\\ud800"}', "invalid_request", "half of a character"),
        (nested(10_000).encode(), "invalid_request", "nested too deeply"),
        (b"[" * 10_000, "invalid_request", "nested too deeply"),
        (('{"prompt": ' + nested(500) + "}").encode(), "invalid_request", "nested too deeply"),
    ],
)
def test_a_body_that_is_no_usable_json_object(
    api: FlaskClient, sim: Simulator, body: bytes, type: str, said: str
) -> None:
    assert said in failure(api.post("/generate", data=body), 400, type)["error"]
    assert sim.requests == []


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"prompt": 5}, "prompt must be a text or an object, not 5"),
        ({"prompt": ["a"]}, "prompt must be"),
        ({"prompt": "x", "steps": "twenty"}, "steps must be an integer, not 'twenty'"),
        ({"prompt": "x", "steps": 2.5}, "steps must be an integer, not 2.5"),
        ({"prompt": "x", "steps": True}, "steps must be an integer, not true"),
        ({"prompt": "x", "cfg": "high"}, "cfg must be a number"),
        ({"prompt": "x", "params": []}, "params must be an object"),
        ({"prompt": "x", "model": 3}, "model must be a text"),
        ({"prompt": "x", "timeout": 0}, "timeout must be greater than 0"),
        ({"prompt": "x", "timeout": 1e9}, "at most 3600 seconds"),
        ({"prompt": "x", "wait": "hope"}, "'websocket' or 'poll'"),
        ({"prompt": "x", "on_timeout": "panic"}, "'cancel' or 'keep'"),
        ({"prompt": "x", "keepalive": 1e-9}, "keepalive must be greater than or equal to 0.1, not 1e-09"),
        ({"prompt": "x", "retries": -1}, "retries must be greater than or equal to 0"),
        ({"prompt": "x", "promt": "y"}, "Unknown field 'promt' (did you mean 'prompt'?)."),
        ({"prompt": "x", "output": {"qualty": 3}}, "Unknown field 'output.qualty' (did you mean 'output.quality'?)."),
        ({"prompt": "x", "output": {"zoom": 3}}, "the fields are output.format, output.quality,"),
        ({"prompt": "x", "output": "webp"}, """output must be an object, such as {"format": "webp"}, not 'webp'."""),
        ({"prompt": "x", "zoom": 3}, "Unknown field 'zoom'; parameters of the workflow go into params, and"),
        ({"prompt": "x", "3.steps": 8}, 'Put 3.steps into params: {"params": {"3.steps": 8}}.'),
        ({"workflow": "img2img", "image": "x.png"}, 'Put image into params: {"params": {"image": "x.png"}}.'),
        ({"workflow": "img2img", "image": "x" * 500}, 'Put image into params: {"params": {"image": ...}}.'),
        ({"workflow": "gone", "zoom": 3}, "Unknown field 'zoom'"),
        ({"prompt": "x", "steps": 0}, "steps"),
        ({"prompt": "x", "steps": 10**9}, "steps"),
        ({"prompt": "x", "width": -8}, "width"),
        ({"prompt": "x", "seed": -2}, "seed"),
        ({"prompt": "x", "params": {"stepz": 3}}, "steps"),
        ({"prompt": "x", "params": {"stepz": None}}, "steps"),
        ({"prompt": "x", "params": {"3.stepz": 3}}, "steps"),
        ({"prompt": "x", "params": {"77.steps": 3}}, "77"),
        ({"prompt": "x", "steps": 3, "params": {"steps": 4}}, "steps is 3, but params gives steps as 4"),
        ({"prompt": "x", "batch_size": 3, "image_count": 4}, "image_count is 4"),
        ({"prompt": "x", "workflow": "a", "workflow_template": "b"}, "name two templates"),
        ({"prompt": graphs.picture(), "workflow": graphs.picture()}, "prompt and workflow both hold a graph"),
        ({"prompt": graphs.picture(), "workflow": "txt2img"}, "give one of them"),
    ],
)
def test_a_field_that_cannot_be_used(api: FlaskClient, sim: Simulator, asked: dict[str, Any], said: str) -> None:
    assert said in failure(api.post("/generate", json=asked), 400, "invalid_request")["error"]
    assert not [each for each in sim.requests if each.method == "POST"]


@pytest.mark.parametrize(
    ("graph", "said"),
    [
        ({}, "empty"),
        ({"1": 5}, "1"),
        ({"1": "SaveImage"}, "1"),
        ({"1": {"inputs": {}}}, "class_type"),
        ({"1": {"class_type": 7, "inputs": {}}}, "class_type"),
        ({"1": {"class_type": "SaveImage", "inputs": []}}, "inputs"),
        ({"2": LINKED}, "1"),
        (
            {
                "1": {"class_type": "ImageInvert", "inputs": {"image": ["2", 0]}},
                "2": {"class_type": "ImageInvert", "inputs": {"image": ["1", 0]}},
                "3": LINKED,
            },
            "circle",
        ),
        ({"1": graphs.picture()["1"]}, "no output node"),
        ({"last_node_id": 9, "nodes": [{"id": 1, "type": "NoSuch"}], "links": []}, "Node 1 (NoSuch) is of a type"),
    ],
)
@pytest.mark.parametrize("field", ["prompt", "workflow"])
def test_a_graph_that_cannot_run(
    api: FlaskClient, sim: Simulator, graph: dict[str, Any], said: str, field: str
) -> None:
    assert said in failure(api.post("/generate", json={field: graph}), 400, "invalid_workflow")["error"]
    assert not [each for each in sim.requests if each.method == "POST"]


def test_a_long_chain_of_nodes_is_no_deep_nesting(api: FlaskClient) -> None:
    graph = {str(n): {"class_type": "ImageInvert", "inputs": {"image": [str(n - 1), 0]}} for n in range(2, 5000)}
    graph["5000"] = {"class_type": "SaveImage", "inputs": {"images": ["4999", 0], "filename_prefix": "x"}}
    body = failure(api.post("/generate", json={"workflow": graph}), 400, "invalid_workflow")
    assert "node 1" in body["error"]


def test_a_body_of_50_mb_is_too_large(api: FlaskClient, sim: Simulator) -> None:
    body = json.dumps({"prompt": "x" * 50_000_000}).encode()
    assert "33554432" in failure(api.post("/generate", data=body), 413, "too_large")["error"]
    assert sim.requests == []


def test_a_refusal_by_comfyui_is_handed_on_with_its_node_errors(api: FlaskClient, sim: Simulator) -> None:
    body = failure(api.post("/generate", json={"workflow": graphs.txt2img("x")}), 400, "invalid_workflow")
    assert f"node 4 (CheckpointLoaderSimple): ckpt_name 'x' is not one of '{sim.checkpoints[0]}'" in body["error"]
    assert body["node_errors"]["4"]["errors"][0]["type"] == "value_not_in_list"


def test_a_refused_choice_names_the_nearest_even_where_comfyui_names_none(api: FlaskClient, sim: Simulator) -> None:
    asked = {"workflow": graphs.txt2img(sim.checkpoints[0]), "sampler_name": "Euler"}
    body = failure(api.post("/generate", json=asked), 400, "invalid_workflow")
    assert "node 3 (KSampler): sampler_name 'Euler' is not one of 'euler', " in body["error"]
    assert " more" in body["error"]


def test_output_nodes_that_have_nothing_to_show_are_told_which_have(api: FlaskClient) -> None:
    asked = {"workflow": graphs.picture(), "output": {"nodes": ["1"]}}
    body = failure(api.post("/generate", json=asked), 400, "invalid_request")
    assert body["error"] == "output.nodes names 1, but the outputs are from 2."
    again = failure(api.get(f"/results/{body['prompt_id']}"), 400, "invalid_request")
    assert again["error"] == body["error"]


@pytest.mark.parametrize(
    ("graph", "asked", "said"),
    [
        (
            graphs.picture(),
            {"params": {"color": 3}},
            'color is not a parameter; accepted are width, height, batch_size, and "NODE.INPUT" for any input of the '
            "graph.",
        ),
        (
            graphs.picture(),
            {"steps": 3},
            "steps was given, but no sampler in the graph takes one; the graph takes width, height, batch_size; any "
            'input can be named in params, as "NODE.INPUT".',
        ),
        (
            graphs.picture(),
            {"images": {"image": "iVBORw0K"}},
            "images: no node of the graph mentions 'image', and none loads a file.",
        ),
    ],
)
def test_what_a_graph_has_no_place_for(
    api: FlaskClient, graph: dict[str, Any], asked: dict[str, Any], said: str
) -> None:
    body = failure(api.post("/generate", json={"workflow": graph, **asked}), 400, "invalid_request")
    assert body["error"] == said


def test_a_file_that_comfyui_does_not_have_is_named(api: FlaskClient) -> None:
    body = failure(
        api.post("/generate", json={"workflow": "img2img", "params": {"image": "x.png"}}), 400, "invalid_workflow"
    )
    assert "(LoadImage): image 'x.png' is not a file in ComfyUI's input folder; send it in images." in body["error"]


@pytest.mark.parametrize("prefix", ["../../x", "/etc/x", "/x"])
def test_a_file_name_that_leads_out_of_the_output_folder_tells_no_path(api: FlaskClient, prefix: str) -> None:
    graph = graphs.picture()
    graph["2"]["inputs"]["filename_prefix"] = prefix
    body = failure(api.post("/generate", json={"workflow": graph}), 400, "invalid_request")
    assert body["error"] == (
        "Node 2 (SaveImage): its filename_prefix leads out of ComfyUI's output folder; files can be saved below "
        "that only."
    )


def test_a_computed_file_name_that_leads_out_of_the_output_folder_tells_no_path(api: FlaskClient) -> None:
    graph = graphs.picture()
    graph["3"] = graphs.node("StringConcatenate", string_a="../", string_b="../x", delimiter="")
    graph["2"]["inputs"]["filename_prefix"] = ["3", 0]
    body = failure(api.post("/generate", json={"workflow": graph}), 500, "execution_failed")
    assert body["error"] == (
        "Node 2 (SaveImage) failed: its filename_prefix leads out of ComfyUI's output folder; files can "
        "be saved only below it."
    )
    assert not re.search(r"/\w", body["node"]["exception_message"])


def test_a_message_of_a_node_tells_no_path(api: FlaskClient, sim: Simulator) -> None:
    sim.fail_node("SaveImage", "no space on /data nor on C:\\data, 1/2 done")
    body = failure(api.post("/generate", json={"workflow": graphs.picture()}), 500, "execution_failed")
    said = "no space on <path> nor on <path>, 1/2 done"
    assert said in body["error"]
    assert said in body["node"]["exception_message"]


def test_an_unknown_node_class_is_named(api: FlaskClient) -> None:
    graph = {"1": {"class_type": "Nope", "inputs": {}}}
    assert "'Nope'" in failure(api.post("/generate", json={"workflow": graph}), 400, "invalid_workflow")["error"]


def test_an_unknown_workflow_names_the_nearest(api: FlaskClient, sim: Simulator) -> None:
    body = failure(api.post("/generate", json={"prompt": "x", "workflow": "txt2im"}), 404, "unknown_workflow")
    assert "txt2img" in body["error"]
    assert sim.requests == []


@pytest.mark.parametrize("name", ["../app", "/etc/passwd", "a/b", "..", ".", "", "txt2img\0", "C:\\x", "x" * 5000])
def test_names_of_workflows_cannot_leave_the_folder(api: FlaskClient, name: str) -> None:
    failure(api.post("/generate", json={"prompt": "x", "workflow": name}), 404, "unknown_workflow")


def test_what_is_not_served_is_said_in_the_same_shape(api: FlaskClient) -> None:
    assert "POST /generate" in failure(api.get("/nothing"), 404, "not_found")["error"]
    response = api.get("/generate")
    assert "it takes POST" in failure(response, 405, "method_not_allowed")["error"]
    assert "POST" in response.headers["Allow"]


def test_a_request_id_is_taken_over_or_made(api: FlaskClient) -> None:
    assert api.get("/health", headers={"X-Request-Id": "abc-1"}).headers["X-Request-Id"] == "abc-1"
    made = api.get("/health", headers={"X-Request-Id": "<script>"}).headers["X-Request-Id"]
    assert made.isalnum()


ELSEWHERE = (
    *("..%2fapp", "%2e%2e%2f%2e%2e%2fetc%2fpasswd", "..%5capp", "etc%2fpasswd", "txt2img%00", "txt2img%2f"),
    *("txt2img.json", "txt2img.", "txt2img%20", "TXT2IMG", "CON", "nul.yaml", "C:txt2img", "txt2img::$DATA"),
    *("%E2%80%AEtxt2img", "%ff%fe", "....//txt2img", "%252e%252e%252fapp", "." * 3000),
)


def test_addresses_of_workflows_and_models_cannot_leave_their_folders(api: FlaskClient) -> None:
    for name in ELSEWHERE:
        failure(api.get(f"/workflows/{name}"), 404, "unknown_workflow")
        failure(api.get(f"/models/{name}"), 404, "not_found")


def test_prompt_ids_cannot_ask_comfyui_for_something_else(api: FlaskClient, sim: Simulator) -> None:
    for prompt_id in ("..%2f..%2fsystem_stats", "..", "%2e", "a%0d%0aX-Evil:1", "%ff", "x" * 5000, "a b"):
        for response in (api.get(f"/results/{prompt_id}"), api.post(f"/cancel/{prompt_id}")):
            assert response.status_code in (404, 405)
            assert "X-Evil" not in response.headers
    assert sim.requests == []


def test_a_header_of_thousands_of_types_is_read_in_no_long_time(api: FlaskClient) -> None:
    began = time.process_time()
    for unit in ("video/a,", "video/a;q=0.1;", "image/*;q=0.5,", ";=,", '"\\",'):
        api.post("/generate", json={"workflow": graphs.picture()}, headers={"Accept": unit * 8000})
    assert time.process_time() - began < 30  # CPU seconds, for work that takes milliseconds


def test_what_is_said_of_a_request_is_one_line_whatever_it_quotes(api: FlaskClient) -> None:
    for response in (
        api.get("/nothing%0d%0aforged%1b[31m%e2%80%ae"),
        api.post("/generate", json={"workflow": "a\nb\u202ec"}),
        api.post("/generate", json={"prompt": "x", "params": {"a\x1bb\u2028c": 1}}),
        api.post("/generate", json={"workflow": {"a\nb": 5}}),
        api.get("/health", headers={"X-Request-Id": "a\tb"}),
    ):
        assert re.search("[\x00-\x1f\x7f-\x9f\u2028-\u202e]", response.get_json().get("error", "")) is None
        assert response.headers["X-Request-Id"].isalnum()

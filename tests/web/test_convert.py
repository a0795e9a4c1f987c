"""`POST /convert`: what the editor saved in, the prompt that it would send out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from comfybridge.simulator import Simulator
from comfybridge.web.dialects.native.bodies import ConvertAnswer
from tests import graphs
from tests.web.answers import failure
from tests.web.policies import SHOP, MakeApi
from tests.web.saved_files import PLACES, in_subgraph, of_unknown_pack, picture
from tests.workflow.editor.drawn import empty_image, file, node, save_image

LOADER = node(4, "CheckpointLoaderSimple", ["demo.safetensors"])


def converted(api: FlaskClient, **asked: Any) -> dict[str, Any]:
    response = api.post("/convert", **asked)
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.get_json()
    assert set(body) == ConvertAnswer.__annotations__.keys()
    return body


@pytest.mark.parametrize("asked", PLACES.values(), ids=PLACES.keys())
def test_a_saved_workflow_is_converted_wherever_it_is(
    api: FlaskClient, sim: Simulator, asked: Callable[[Any], dict[str, Any]]
) -> None:
    body = converted(api, **asked(picture()))
    assert body["prompt"]["2"] == {
        "class_type": "SaveImage",
        "inputs": {"filename_prefix": "out", "images": ["1", 0]},
        "_meta": {"title": "Save Image"},
    }
    assert body["parameters"]["width"]["default"] == 64
    assert (body["parameters"]["width"]["type"], body["parameters"]["width"]["minimum"]) == ("integer", 16)
    assert body["warnings"] == []
    assert sim.history == {}


def test_its_prompt_can_be_queued(api: FlaskClient) -> None:
    prompt = converted(api, json={"workflow": in_subgraph()})["prompt"]
    assert set(prompt) == {"5:1", "5:2"}
    assert api.post("/generate", json={"prompt": prompt}).status_code == 200


def test_texts_are_those_that_the_editor_would_send(api: FlaskClient) -> None:
    encoder = node(
        3, "CLIPTextEncode", ["{red|red} \\{ball\\}"], [("clip", "CLIP", 2), ("text", "STRING", None, "text")]
    )
    saved = file([empty_image(1), save_image(2, 1, "%date:yyyy%"), encoder, LOADER], [(1, 1, 0, 2), (2, 4, 1, 3)])
    prompt = converted(api, json={"workflow": saved})["prompt"]
    assert prompt["3"]["inputs"]["text"] == "red {ball}"
    assert prompt["2"]["inputs"]["filename_prefix"].isdecimal()


def test_what_is_odd_and_passed_over_is_a_warning(api: FlaskClient) -> None:
    saved = file(
        [empty_image(1), save_image(2, 1), node(3, "ImageInvert", None, [("image", "IMAGE", 9)])], [(1, 1, 0, 2)]
    )
    (warning,) = converted(api, json={"workflow": saved})["warnings"]
    assert warning.startswith("Node 3 (ImageInvert): input image has a link that the workflow does not hold")


def test_a_graph_in_api_format_is_answered_as_it_is(api: FlaskClient, sim: Simulator) -> None:
    graph = graphs.picture(32, 16)
    body = converted(api, json=graph)
    assert body["prompt"] == graph
    assert body["parameters"]["height"]["default"] == 16
    sim.kill()
    assert converted(api, json=graph)["parameters"]["height"]["default"] == 16


@pytest.mark.parametrize(
    ("body", "type", "said"),
    [
        ({"workflow": of_unknown_pack()}, "invalid_workflow", "its pack is odd-pack"),
        ({"workflow": {"nodes": [], "links": []}}, "invalid_workflow", "has no node that runs"),
        ({}, "invalid_request", "The request has no workflow"),
        ({"workflow": "txt2img"}, "invalid_request", "workflow"),
        ({"workflow": picture(), "prompt": picture()}, "invalid_request", "both hold a graph"),
        ({"workflow": picture(), "seed": 5}, "invalid_request", "seed"),
        ({"workflow": {"a": 5}}, "invalid_workflow", "Node a is 5"),
    ],
)
def test_what_can_t_be_converted_is_told_why(api: FlaskClient, body: Any, type: str, said: str) -> None:
    assert said in failure(api.post("/convert", json=body), 400, type)["error"]


def test_a_server_must_be_there(api: FlaskClient, sim: Simulator) -> None:
    sim.kill()
    failure(api.post("/convert", json=picture()), 503, "comfyui_unreachable")


def test_a_file_has_a_limit(make_app: Callable[..., Flask]) -> None:
    api = make_app(max_graph_bytes=1000).test_client()
    failure(api.post("/convert", json=picture(note="x" * 1000)), 413, "too_large")


@pytest.mark.parametrize("policy", [{"graphs": False}, {"workflows": ["txt2img"]}, {"refused_nodes": ["EmptyImage"]}])
def test_it_is_for_those_who_may_run_such_a_graph(api_for: MakeApi, policy: dict[str, Any]) -> None:
    failure(api_for(**policy).post("/convert", json=picture(), headers=SHOP), 403, "forbidden")


def test_it_tells_of_the_server_s_models_to_those_only_who_may_know(api_for: MakeApi) -> None:
    sampler = node(
        3,
        "KSampler",
        [1, "fixed", 20, 8, "euler", "normal", 1],
        [
            ("model", "MODEL", 1),
            ("positive", "CONDITIONING", 2),
            ("negative", "CONDITIONING", 2),
            ("latent_image", "LATENT", 4),
        ],
    )
    encoder = node(5, "CLIPTextEncode", ["a cat"], [("clip", "CLIP", 3)])
    latent = node(6, "EmptyLatentImage", [64, 64, 1])
    decode = node(7, "VAEDecode", None, [("samples", "LATENT", 5), ("vae", "VAE", 6)])
    links = [(1, 4, 0, 3), (2, 5, 0, 3), (3, 4, 1, 5), (4, 6, 0, 3), (5, 3, 0, 7), (6, 4, 2, 7), (7, 7, 0, 8)]
    saved = file([sampler, encoder, latent, decode, LOADER, save_image(8, 7)], links)
    for knows in (True, False):
        body = converted(api_for(server_info=knows), json=saved, headers=SHOP)
        assert ("demo.safetensors" in body["parameters"]["model"].get("enum", [])) is knows
        assert body["parameters"]["prompt"]["default"] == "a cat"

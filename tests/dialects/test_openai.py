"""OpenAI's Images API over HTTP: answers, events, errors and headers. `test_openai_client.py` has its own client."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from comfybridge.simulator import Simulator
from tests.dialects.openai_calls import EDITS, GENERATIONS, SMALL, form, pictures, refused
from tests.dialects.pictures import HOLE, RED, as_data_uri, mask
from tests.web.answers import failure, image
from tests.web.policies import KEYS, MakeApi

BEARER = {"Authorization": "Bearer shop-secret"}


def events(text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for block in text.split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if lines:
            yield lines["event"], json.loads(lines["data"])


# -- pictures --------------------------------------------------------------------------------------------------------


def test_a_text_becomes_a_picture(api: FlaskClient) -> None:
    body = pictures(api.post(GENERATIONS, json={**SMALL, "seed": 5}))
    [made] = body["data"]
    assert image(made["b64_json"]).size == (64, 64)
    assert (body["output_format"], body["size"]) == ("png", "64x64")
    assert body["comfybridge"]["seed"] == 5
    assert "was used instead" in body["comfybridge"]["warnings"][0]  # of the model that the simulator has
    assert {"quality", "background", "usage"}.isdisjoint(body)


def test_several_pictures_are_one_batch(api: FlaskClient, sim: Simulator) -> None:
    body = pictures(api.post(GENERATIONS, json={**SMALL, "n": 3, "output_format": "webp", "output_compression": 50}))
    assert [image(each["b64_json"]).format for each in body["data"]] == ["WEBP"] * 3
    assert body["output_format"] == "webp"
    sim.wait_until_idle()  # the answer may come before the history does
    assert len(sim.history) == 1


def test_a_workflow_without_batches_makes_several_pictures_in_several_prompts(
    api: FlaskClient, sim: Simulator
) -> None:
    sent = form(image=RED, n="2", steps="1", seed="7", model="img2img")
    body = pictures(api.post(EDITS, data=sent))
    sim.wait_until_idle()  # the answer may come before the history does
    assert len(body["data"]) == len(sim.history) == 2
    assert body["comfybridge"]["seeds"] == [7, 8]
    assert len(set(body["comfybridge"]["prompt_ids"])) == 2


def test_what_is_asked_is_said_again(api: FlaskClient) -> None:
    body = pictures(api.post(GENERATIONS, json={**SMALL, "quality": "low", "background": "opaque"}))
    assert (body["quality"], body["background"]) == ("low", "opaque")


def test_quality_sets_the_steps_of_a_preset_unless_the_caller_does(api: FlaskClient, sim: Simulator) -> None:
    for extra in ({}, {"steps": 3}):
        api.post(GENERATIONS, json={"prompt": "a cat", "size": "64x64", "quality": "low", **extra})
    sim.wait_until_idle()  # the answer may come before the history does
    steps = [graph["3"]["inputs"]["steps"] for graph in (each["prompt"][2] for each in sim.history.values())]
    assert steps[0] != 3
    assert steps[1] == 3


@pytest.mark.parametrize("model", ["gpt-image-2", "chatgpt-image-latest", "openai/dall-e-2", "", None])
def test_names_of_openais_models_mean_the_default_workflow(api: FlaskClient, model: str | None) -> None:
    body = pictures(api.post(GENERATIONS, json={**SMALL, "model": model, "response_format": "b64_json"}))
    assert "b64_json" in body["data"][0]


def test_a_model_is_a_workflow_or_a_checkpoint(api: FlaskClient, sim: Simulator) -> None:
    sim.checkpoints = ["sd_xl_base_1.0.safetensors", "sd/xl base.safetensors"]
    for model in ("sdxl", "sd/xl base.safetensors"):
        pictures(api.post(GENERATIONS, json={**SMALL, "model": model}))
    sim.wait_until_idle()  # the answer may come before the history does
    first, second = (each["prompt"][2] for each in sim.history.values())
    assert second["4"]["inputs"]["ckpt_name"] == "sd/xl base.safetensors"
    assert first["4"]["inputs"]["ckpt_name"] != "sd/xl base.safetensors"


def test_an_unknown_model_is_not_found(api: FlaskClient, sim: Simulator) -> None:
    said = refused(api.post(GENERATIONS, json={**SMALL, "model": "nothing"}), 404, "model_not_found", "model")
    assert sim.checkpoints[0] in said
    assert "a workflow: " in said
    assert "sdxl" in said


def test_links_are_valid_without_a_key(make_app: Callable[..., Flask]) -> None:
    api = make_app(api_keys=KEYS).test_client()
    for asked in ({"model": "dall-e-3"}, {"response_format": "url"}):
        body = pictures(api.post(GENERATIONS, json={**SMALL, **asked}, headers=BEARER))
        [made] = body["data"]
        assert list(made) == ["url"]
        assert body["output_format"] == "png"
        file = api.get(made["url"])
        assert file.status_code == 200
        assert image(base64.b64encode(file.data).decode()).size == (64, 64)


def test_a_link_to_a_converted_picture_says_its_format(api: FlaskClient) -> None:
    body = pictures(api.post(GENERATIONS, json={**SMALL, "response_format": "url", "output_format": "jpeg"}))
    assert body["output_format"] == "jpeg"
    assert api.get(body["data"][0]["url"]).mimetype == "image/jpeg"


def test_a_workflow_that_makes_no_picture_is_an_error(api: FlaskClient, sim: Simulator) -> None:
    sim.fail_node("KSampler", "out of paint")
    refused(api.post(GENERATIONS, json=SMALL), 500, "execution_failed")


# -- edits -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["image", "image__"])
def test_a_form_brings_a_picture(api: FlaskClient, sim: Simulator, name: str) -> None:
    sent = {"steps": "2", "n": "1", "params[denoise]": "0.25", "size": "", name: RED}
    body = pictures(api.post(EDITS, data=form(**sent)))
    assert image(body["data"][0]["b64_json"]).size == (64, 64)
    sim.wait_until_idle()  # the answer may come before the history does
    [prompt] = (each["prompt"][2] for each in sim.history.values())
    assert [node["inputs"]["denoise"] for node in prompt.values() if "denoise" in node["inputs"]] == [0.25]


@pytest.mark.parametrize(
    "sent",
    [
        {"image": as_data_uri(RED)},
        {"image": base64.b64encode(RED).decode()},
        {"image": [as_data_uri(RED)]},
        {"images": [{"image_url": as_data_uri(RED)}]},
        {"images": [as_data_uri(RED)]},
    ],
)
def test_json_brings_a_picture(api: FlaskClient, sent: dict[str, Any]) -> None:
    body = pictures(api.post(EDITS, json={"prompt": "a cat", "steps": 2, **sent}))
    assert len(body["data"]) == 1


def test_with_a_mask_only_its_transparent_part_changes(api: FlaskClient) -> None:
    for response in (
        api.post(EDITS, data=form(image=RED, mask=mask(), steps="2")),
        api.post(
            EDITS, json={"prompt": "a cat", "image": as_data_uri(RED), "mask": {"image_url": as_data_uri(mask())}}
        ),
    ):
        made = image(pictures(response)["data"][0]["b64_json"]).convert("RGB")
        assert made.getpixel((2, 2)) == (255, 0, 0)
        assert made.getpixel((HOLE[0] + 8, HOLE[1] + 8)) != (255, 0, 0)


@pytest.mark.parametrize(
    ("sent", "param"),
    [
        (form(), "image"),
        (form(image=RED, markup=RED), "markup"),
        (form(image=b"nonsense"), "image"),
        (form(image=RED, mask=RED), "mask"),
        (form(image=RED, output_format="gif"), "output_format"),
        (form(image=RED, n="eleven"), "n"),
        (form(image=RED, stepz="5"), "stepz"),
        ({"prompt": "x", "image": "data:image/png;base64,%%%"}, "image"),
        ({"prompt": "x", "image": {"file_id": "f"}}, "image"),
        ({"prompt": "x", "image": 5}, "image"),
        ({"prompt": "x", "images": [as_data_uri(RED)] * 17}, "image"),
        ({"prompt": "x", "image": as_data_uri(RED), "mask": "nonsense %"}, "mask"),
        ({"image": as_data_uri(RED)}, "prompt"),
    ],
)
def test_a_bad_edit_names_the_field(api: FlaskClient, sim: Simulator, sent: dict[str, Any], param: str) -> None:
    is_form = not any(isinstance(value, (str, int, list, dict)) for name, value in sent.items() if name == "image")
    how = {"data": sent} if is_form and "images" not in sent else {"json": sent}
    if is_form and "images" not in sent:
        how["content_type"] = "multipart/form-data"  # type: ignore[assignment]
    refused(api.post(EDITS, **how), 400, "invalid_request", param)  # type: ignore[arg-type]
    assert not sim.history


# -- bad input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"size": "64x64"}, "prompt"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": "x" * 32_001}, "prompt"),
        ({"size": "wide"}, "size"),
        ({"size": "1x1"}, "size"),
        ({"n": 0}, "n"),
        ({"n": 11}, "n"),
        ({"quality": "best"}, "quality"),
        ({"background": "transparent"}, "background"),
        ({"output_format": "svg"}, "output_format"),
        ({"output_compression": 101}, "output_compression"),
        ({"response_format": "file"}, "response_format"),
        ({"partial_images": 4, "stream": True}, "partial_images"),
        ({"frame_count": 4}, "frame_count"),
        ({"svg": {"model": "x"}}, "svg"),
        ({"logprobs": True}, "logprobs"),
        ({"params": {"nothing": 1}}, "nothing"),
        ({"sampler_name": "nothing"}, "sampler_name"),
        ({"steps": 0}, "steps"),
        ({"prompt": "a cat <lora:nothing:1>"}, "prompt"),
    ],
)
def test_bad_input_names_the_field(api: FlaskClient, sim: Simulator, body: dict[str, Any], param: str) -> None:
    sent = body if "prompt" in body or param == "prompt" else {"prompt": "a cat", **body}
    response = api.post(GENERATIONS, json=sent)
    code = "invalid_workflow" if param == "sampler_name" else "invalid_request"  # ComfyUI knows the samplers
    refused(response, 400, code, param)
    assert response.get_json()["error"]["type"] == "invalid_request_error"
    assert not sim.history


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/x-www-form-urlencoded"])
def test_json_is_read_whatever_it_is_called(api: FlaskClient, content_type: str | None) -> None:
    pictures(api.post(GENERATIONS, data=json.dumps(SMALL), content_type=content_type))


def test_large_bodies_are_read_in_turn(api: FlaskClient) -> None:
    note = "x" * 2_000_000
    pictures(api.post(GENERATIONS, json={**SMALL, "user": note}))
    pictures(api.post(EDITS, json={"prompt": "x", "steps": 2, "image": as_data_uri(RED), "user": note}))
    pictures(api.post(EDITS, data=form(image=RED, steps="2", user=note)))


def test_with_keepalive_the_answer_begins_before_the_picture_is_there(
    make_app: Callable[..., Flask], sim: Simulator
) -> None:
    api = make_app(keepalive=0.1).test_client()
    sim.hold()
    response = api.post(GENERATIONS, json={**SMALL, "response_format": "url"}, buffered=False)
    sim.release()
    text = response.text
    assert text.startswith(" ")
    assert json.loads(text)["data"][0]["url"].startswith("http://")


# -- errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/v1", "/v1/chat/completions", "/v1/responses", "/v1/images/variations"])
def test_other_addresses_are_not_found_in_the_same_shape(api: FlaskClient, path: str) -> None:
    said = refused(api.post(path, json={}), 404, "not_found")
    assert GENERATIONS in said
    assert "/generate" not in said


def test_methods_keys_and_large_bodies_are_refused_in_the_same_shape(make_app: Callable[..., Flask]) -> None:
    api = make_app(api_keys=KEYS, max_json_bytes=200).test_client()
    for path in (GENERATIONS, "/v1/nothing"):
        response = api.post(path, json=SMALL)
        refused(response, 401, "unauthorized")
        assert response.get_json()["error"]["type"] == "authentication_error"
    refused(api.get(GENERATIONS, headers=BEARER), 405, "method_not_allowed")
    refused(api.post(GENERATIONS, json={"prompt": "x" * 300}, headers=BEARER), 413, "too_large")
    assert api.options(GENERATIONS).status_code == 200


def test_policies_hold(api_for: MakeApi) -> None:
    api = api_for(workflows=["txt2img"], max_width=64, rate="1/day", server_info=False)
    refused(api.post(GENERATIONS, json={**SMALL, "model": "sdxl"}, headers=BEARER), 403, "forbidden", "model")
    refused(api.post(EDITS, data=form(image=RED), headers=BEARER), 404, "model_not_found")
    response = api.post(GENERATIONS, json={**SMALL, "size": "128x64"}, headers=BEARER)
    refused(response, 403, "forbidden", "size")
    assert response.get_json()["error"]["type"] == "permission_error"
    pictures(api.post(GENERATIONS, json=SMALL, headers=BEARER))
    response = api.post(GENERATIONS, json=SMALL, headers=BEARER)
    refused(response, 429, "rate_limited")
    assert response.get_json()["error"]["type"] == "rate_limit_error"
    assert response.headers["Retry-After"]
    listed = api.get("/v1/models", headers=BEARER).get_json()["data"]
    assert [each["id"] for each in listed] == ["txt2img"]


def test_a_retry_is_advised_only_where_it_helps(make_app: Callable[..., Flask], sim: Simulator) -> None:
    api = make_app().test_client()
    sim.fail_node("KSampler", "out of paint")
    response = api.post(GENERATIONS, json=SMALL)
    refused(response, 500, "execution_failed")
    assert response.headers["X-Should-Retry"] == "false"
    assert response.get_json()["error"]["type"] == "server_error"
    sim.heal()
    sim.hold()
    response = api.post(GENERATIONS, json={**SMALL, "seed": 1, "timeout": 0.2})
    refused(response, 504, "timeout")
    assert response.headers["X-Should-Retry"] == "false"
    sim.wait_until_idle()
    api = make_app(max_queue=1).test_client()
    waiting = threading.Thread(target=lambda: api.post(GENERATIONS, json={**SMALL, "seed": 2}))
    waiting.start()
    sim.wait_until_queued(1)
    response = api.post(GENERATIONS, json={**SMALL, "seed": 3})
    refused(response, 503, "busy")
    assert "X-Should-Retry" not in response.headers
    sim.release()
    waiting.join()


def test_an_interrupted_prompt_is_not_sent_again(api: FlaskClient, sim: Simulator) -> None:
    sim.hold()
    got: list[TestResponse] = []
    waiting = threading.Thread(target=lambda: got.append(api.post(GENERATIONS, json=SMALL)))
    waiting.start()
    sim.wait_until_running()
    [prompt_id] = sim.running
    assert api.post(f"/cancel/{prompt_id}").status_code == 200
    sim.release()
    waiting.join()
    refused(got[0], 409, "interrupted")
    assert got[0].headers["X-Should-Retry"] == "false"


@pytest.mark.parametrize(
    ("patience", "status"), [("0.3", 504), ("600", 200), ("nonsense", 200), ("-1", 200), ("nan", 200), ("", 200)]
)
def test_the_answer_comes_before_its_client_gives_up(
    make_app: Callable[..., Flask], sim: Simulator, patience: str, status: int
) -> None:
    if status == 504:
        sim.hold()
    response = make_app().test_client().post(GENERATIONS, json=SMALL, headers={"X-Stainless-Read-Timeout": patience})
    assert response.status_code == status
    sim.release()


def test_the_time_of_the_body_wins_and_no_client_exceeds_the_longest(make_app: Callable[..., Flask]) -> None:
    api = make_app(timeout=1, max_timeout=2).test_client()
    pictures(api.post(GENERATIONS, json=SMALL, headers={"X-Stainless-Read-Timeout": "600"}))
    headers = {"X-Stainless-Read-Timeout": "0.0001"}
    pictures(api.post(GENERATIONS, json={**SMALL, "timeout": 2}, headers=headers))


# -- streams ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("path", "kind"), [(GENERATIONS, "image_generation"), (EDITS, "image_edit")])
def test_a_stream_has_previews_and_pictures(api: FlaskClient, path: str, kind: str) -> None:
    body = {"prompt": "a cat", "steps": 8, "stream": True, "partial_images": 2, "n": 2}
    extra = {"size": "64x64"} if path == GENERATIONS else {"image": as_data_uri(RED)}
    response = api.post(path, json={**body, **extra})
    assert response.mimetype == "text/event-stream"
    told = list(events(response.text))
    partial = [each for name, each in told if name == f"{kind}.partial_image"]
    assert [each["partial_image_index"] for each in partial] == list(range(len(partial)))
    assert 1 <= len(partial) <= 2
    assert image(partial[0]["b64_json"]).format == partial[0]["output_format"].upper() == "JPEG"
    completed = [each for name, each in told if name == f"{kind}.completed"]
    assert len(completed) == 2
    assert told[-1][0] == f"{kind}.completed"
    for each in (*partial, *completed):
        assert {"type", "created_at", "size", "quality", "background", "output_format"} <= set(each)
    for each in completed:
        assert image(each["b64_json"]).size == (64, 64)
        assert each["size"] == "64x64"
        assert each["usage"]["total_tokens"] == 0


def test_a_stream_has_no_previews_unless_they_are_asked_for(api: FlaskClient) -> None:
    told = list(events(api.post(GENERATIONS, json={**SMALL, "stream": True}).text))
    assert [name for name, _ in told] == ["image_generation.completed"]


def test_a_stream_ends_with_an_error(api: FlaskClient, sim: Simulator) -> None:
    sim.fail_node("KSampler", "out of paint")
    [(name, said)] = events(api.post(GENERATIONS, json={**SMALL, "stream": True}).text)
    assert name == said["type"] == "error"
    assert (said["error"]["type"], said["error"]["code"]) == ("server_error", "execution_failed")
    assert "out of paint" in said["error"]["message"]


def test_a_bad_request_for_a_stream_has_its_own_status(api: FlaskClient) -> None:
    refused(api.post(GENERATIONS, json={**SMALL, "stream": True, "size": "1x1"}), 400, "invalid_request", "size")


# -- models ----------------------------------------------------------------------------------------------------------


def test_models_are_workflows_and_checkpoints(api: FlaskClient, sim: Simulator) -> None:
    sim.checkpoints = ["sd/xl base.safetensors"]
    body = api.get("/v1/models").get_json()
    assert body["object"] == "list"
    names = [each["id"] for each in body["data"]]
    assert {"txt2img", "inpaint", "sd/xl base.safetensors"} <= set(names)
    for name in ("txt2img", "sd%2Fxl%20base.safetensors"):
        model = api.get(f"/v1/models/{name}").get_json()
        assert (model["object"], model["owned_by"]) == ("model", "comfybridge")
    refused(api.get("/v1/models/nothing"), 404, "model_not_found", "model")
    sim.kill()
    assert "txt2img" in api.get("/v1/models").text


# -- pages -----------------------------------------------------------------------------------------------------------


def test_openais_client_may_run_in_a_page_of_an_allowed_site(make_app: Callable[..., Flask]) -> None:
    api = make_app(cors_origins="https://app.example").test_client()
    headers = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}
    allowed = api.options(GENERATIONS, headers=headers).headers["Access-Control-Allow-Headers"].lower().split(", ")
    # what openai 6.49 for JavaScript sends in a browser
    names = ("lang", "package-version", "os", "arch", "runtime", "runtime-version", "retry-count", "timeout")
    assert {"authorization", "content-type", *(f"x-stainless-{name}" for name in names)} <= set(allowed)


# -- switched off ----------------------------------------------------------------------------------------------------


def test_it_can_be_switched_off(make_app: Callable[..., Flask]) -> None:
    api = make_app(dialects="none").test_client()
    for path in (GENERATIONS, "/v1/nothing"):
        failure(api.post(path, json=SMALL), 404, "not_found")
    assert "/v1/models" not in api.get("/openapi.json").text
    assert "/v1/models" in make_app(dialects="openai").test_client().get("/openapi.json").text

"""AUTOMATIC1111's routes over HTTP: what its clients read, and errors in its manner."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image
from werkzeug.test import TestResponse

from comfybridge.simulator import Simulator
from tests.web.answers import LEAKS, image

ROOT = "/sdapi/v1"
SMALL = {"prompt": "a cat", "width": 64, "height": 64, "steps": 2, "seed": 7}
KEYS = "shop=shop-secret,press=press-secret"


def basic(password: str) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(f'me:{password}'.encode()).decode()}"}


def picture(width: int = 40, height: int = 20, color: str = "red") -> str:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), color).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def fine(response: TestResponse) -> Any:
    assert response.status_code == 200, response.text
    assert response.mimetype == "application/json"
    return response.get_json()


def made(response: TestResponse) -> tuple[dict[str, Any], dict[str, Any]]:
    """An answer with pictures, and what is told of them."""
    body = fine(response)
    assert body.keys() == {"images", "parameters", "info"}
    return body, json.loads(body["info"])


def problems(response: TestResponse) -> dict[str, str]:
    """What is wrong, by field."""
    assert response.status_code == 422, response.text
    assert not LEAKS.search(response.text)
    body = response.get_json()
    assert body.keys() == {"detail"}
    assert all(each.keys() == {"loc", "msg", "type"} and each["loc"][0] == "body" for each in body["detail"])
    return {".".join(map(str, each["loc"][1:])): each["msg"] for each in body["detail"]}


def failed(response: TestResponse, status: int) -> str:
    """The sentence of an error that is not about fields."""
    assert response.status_code == status, response.text
    assert not LEAKS.search(response.text)
    body = response.get_json()
    assert body.keys() == {"error", "detail", "body", "errors"}
    return str(body["detail"])


# -- pictures ------------------------------------------------------------------------------------------------------


def test_a_picture_and_what_is_told_of_it(api: FlaskClient) -> None:
    body, info = made(api.post(f"{ROOT}/txt2img", json={**SMALL, "sampler_name": "DPM++ 2M Karras"}))
    [sent] = body["images"]
    assert image(sent).size == (64, 64)
    assert not sent.startswith("data:")
    text = image(sent).info["parameters"]
    assert info["infotexts"] == [text]
    assert text.startswith("a cat\nNegative prompt: ")
    assert "Steps: 2, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 8, Seed: 7, Size: 64x64, Model: " in text
    assert (info["prompt"], info["seed"], info["all_seeds"], info["sampler_name"]) == ("a cat", 7, [7], "DPM++ 2M")
    assert (info["width"], info["height"], info["steps"]) == (64, 64, 2)
    assert info["index_of_first_image"] == 0
    assert (body["parameters"]["steps"], body["parameters"]["cfg_scale"]) == (2, 8.0)


def test_several_prompts_of_several_pictures(api: FlaskClient, sim: Simulator) -> None:
    body, info = made(api.post(f"{ROOT}/txt2img", json={**SMALL, "n_iter": 2, "batch_size": 2}))
    assert len(body["images"]) == len(info["infotexts"]) == len(info["all_prompts"]) == 4
    assert info["all_seeds"] == [7, 7, 9, 9]
    assert "Seed: 9," in image(body["images"][3]).info["parameters"]
    assert sum(each.method == "POST" and each.path == "/prompt" for each in sim.requests) == 2


def test_large_pictures_are_sent_as_they_come(api: FlaskClient) -> None:
    response = api.post(f"{ROOT}/txt2img", json={**SMALL, "width": 1600, "height": 1600, "batch_size": 3})
    body, info = made(response)
    for sent in body["images"]:
        assert image(sent).size == (1600, 1600)
        assert image(sent).info["parameters"] in info["infotexts"]


def test_pictures_may_be_left_out(api: FlaskClient) -> None:
    body, info = made(api.post(f"{ROOT}/txt2img", json={**SMALL, "send_images": False}))
    assert body["images"] == []
    assert (info["seed"], info["width"]) == (7, 64)


def test_pictures_may_have_another_format(api: FlaskClient) -> None:
    body, _ = made(api.post(f"{ROOT}/txt2img", json={**SMALL, "override_settings": {"samples_format": "jpg"}}))
    assert image(body["images"][0]).format == "JPEG"


def test_json_is_read_whatever_it_is_called(api: FlaskClient) -> None:
    for content_type in (None, "text/plain", "application/x-www-form-urlencoded"):
        made(api.post(f"{ROOT}/txt2img", data=json.dumps(SMALL), content_type=content_type))


def test_fields_of_others_are_never_given_back(api: FlaskClient) -> None:
    response = api.post(f"{ROOT}/txt2img", json={**SMALL, "auth": "me:secret-word", "url": "http://somewhere"})
    made(response)
    assert "secret-word" not in response.text
    assert "somewhere" not in response.text


def test_a_lora_in_the_prompt_is_loaded(api: FlaskClient, sim: Simulator) -> None:
    _, info = made(api.post(f"{ROOT}/txt2img", json={**SMALL, "prompt": "a cat <lora:demo-style:0.5>"}))
    assert info["prompt"] == "a cat <lora:demo-style:0.5>"
    wrong = problems(api.post(f"{ROOT}/txt2img", json={**SMALL, "prompt": "a cat <lora:demo-stile:0.5>"}))
    assert wrong.keys() == {"prompt"}
    assert "demo-style" in wrong["prompt"]


def test_a_picture_of_a_picture(api: FlaskClient) -> None:
    fields = {"init_images": [f"data:image/png;base64,{picture()}"], "prompt": "x", "steps": 2, "seed": 3}
    body, info = made(api.post(f"{ROOT}/img2img", json={**fields, "denoising_strength": 0.5}))
    assert image(body["images"][0]).size == (40, 16)  # a multiple of 8
    assert info["denoising_strength"] == 0.5
    assert "Denoising strength: 0.5" in info["infotexts"][0]
    assert "init_images" not in body["parameters"]
    body, _ = made(api.post(f"{ROOT}/img2img", json={**fields, "width": 64, "height": 64, "resize_mode": 1}))
    assert image(body["images"][0]).size == (64, 64)


def test_a_part_of_a_picture(api: FlaskClient) -> None:
    fields = {"init_images": [picture(64, 64)], "mask": picture(64, 64, "white"), "prompt": "x", "steps": 2}
    body, info = made(api.post(f"{ROOT}/img2img", json={**fields, "inpaint_full_res": True, "mask_blur": 4}))
    assert image(body["images"][0]).size == (64, 64)
    assert "inpaint_full_res has no effect; the whole picture is inpainted." in info["warnings"]


# -- larger pictures -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "size"),
    [
        ({"upscaling_resize": 2, "upscaler_1": "Lanczos"}, (80, 40)),
        ({"upscaling_resize": "1.5"}, (60, 30)),
        ({"upscaling_resize": 2, "upscaler_1": "nearest"}, (80, 40)),
        ({"upscaler_1": "None"}, (160, 80)),
        ({"resize_mode": 1, "upscaling_resize_w": 100, "upscaling_resize_h": 100}, (100, 100)),
        (
            {"resize_mode": 1, "upscaling_resize_w": 100, "upscaling_resize_h": 100, "upscaling_crop": False},
            (200, 100),
        ),
        ({"resize_mode": 1, "upscaling_resize_w": 20, "upscaling_resize_h": 10}, (20, 10)),
    ],
)
def test_a_larger_picture(api: FlaskClient, fields: dict[str, Any], size: tuple[int, int]) -> None:
    body = fine(api.post(f"{ROOT}/extra-single-image", json={"image": picture(), **fields}))
    assert body.keys() == {"image", "html_info"}
    assert image(body["image"]).size == size


def test_a_larger_picture_by_a_model(api: FlaskClient) -> None:
    names = [each["name"] for each in fine(api.get(f"{ROOT}/upscalers"))]
    assert names[:3] == ["None", "Lanczos", "Nearest"]
    fields = {"image": picture(), "upscaler_1": names[3], "upscaling_resize": 2}
    assert image(fine(api.post(f"{ROOT}/extra-single-image", json=fields))["image"]).size == (80, 40)
    said = failed(api.post(f"{ROOT}/extra-single-image", json={**fields, "upscaler_1": "Nearesd"}), 400)
    assert "Nearest" in said


def test_several_larger_pictures(api: FlaskClient) -> None:
    pictures = [{"data": picture(), "name": "a"}, {"data": picture(10, 10), "name": "b"}]
    body = fine(api.post(f"{ROOT}/extra-batch-images", json={"imageList": pictures, "upscaling_resize": 2}))
    assert [image(each).size for each in body["images"]] == [(80, 40), (20, 20)]
    wrong = [*pictures, {"data": "!!!"}]
    assert problems(api.post(f"{ROOT}/extra-batch-images", json={"imageList": wrong})).keys() == {"imageList.2.data"}


def test_what_is_not_done_to_pictures(api: FlaskClient) -> None:
    fields = {
        "image": picture(),
        "gfpgan_visibility": 1,
        "upscaler_2": "Lanczos",
        "extras_upscaler_2_visibility": 0.5,
    }
    assert problems(api.post(f"{ROOT}/extra-single-image", json=fields)).keys() == {"gfpgan_visibility", "upscaler_2"}
    assert problems(api.post(f"{ROOT}/extra-single-image", json={})).keys() == {"image"}


def test_what_a_picture_holds(api: FlaskClient) -> None:
    body, info = made(api.post(f"{ROOT}/txt2img", json=SMALL))
    held = fine(api.post(f"{ROOT}/png-info", json={"image": body["images"][0]}))
    assert held["info"] == info["infotexts"][0]
    assert held["parameters"]["Seed"] == "7"
    assert "KSampler" in held["items"]["prompt"]
    native = api.post("/generate", json={"prompt": "a fox", "steps": 2, "seed": 5}).get_json()["images"][0]
    held = fine(api.post(f"{ROOT}/png-info", json={"image": f"data:image/png;base64,{native}"}))
    assert held["info"].startswith("a fox\nNegative prompt: ")
    assert (held["parameters"]["Steps"], held["parameters"]["Sampler"]) == ("2", "Euler")
    assert fine(api.post(f"{ROOT}/png-info", json={"image": picture()})) == {
        "info": "",
        "items": {},
        "parameters": {},
    }
    assert problems(api.post(f"{ROOT}/png-info", json={"image": "aGVsbG8gd29ybGQ="})).keys() == {"image"}


def test_no_picture_is_described(api: FlaskClient) -> None:
    failed(api.post(f"{ROOT}/interrogate", json={"image": picture(), "model": "clip"}), 404)


# -- errors --------------------------------------------------------------------------------------------------------


def test_what_is_wrong_with_fields(api: FlaskClient) -> None:
    wrong = problems(api.post(f"{ROOT}/txt2img", json={"steps": "many", "width": 4, "styles": {}}))
    assert wrong.keys() == {"steps", "width", "styles"}
    assert problems(api.post(f"{ROOT}/txt2img", json={**SMALL, "enable_hr": True})).keys() == {"enable_hr"}
    wrong = problems(api.post(f"{ROOT}/txt2img", json={**SMALL, "cfg_scale": 1000}))
    assert wrong.keys() == {"cfg_scale"}
    assert "from 0 to 100" in wrong["cfg_scale"]
    assert problems(api.post(f"{ROOT}/txt2img", data=b"no json")).keys() == {""}
    assert problems(api.post(f"{ROOT}/txt2img", data=b"")).keys() == {""}


def test_a_name_that_there_is_none_of(api: FlaskClient) -> None:
    assert "Euler a" in failed(api.post(f"{ROOT}/txt2img", json={**SMALL, "sampler_name": "Eular a"}), 400)
    assert "Karras" in failed(api.post(f"{ROOT}/txt2img", json={**SMALL, "scheduler": "Karas"}), 400)


def test_errors_of_all_kinds_have_its_shape(api: FlaskClient, sim: Simulator) -> None:
    failed(api.get(f"{ROOT}/nothing"), 404)
    failed(api.get("/sdapi/v1"), 404)
    assert api.get(f"{ROOT}/nothing").get_json()["detail"] == "Not Found"  # as programs compare it
    assert "POST" in failed(api.get(f"{ROOT}/txt2img"), 405)
    sim.fail_node("KSampler", "out of paint")
    assert "out of paint" in failed(api.post(f"{ROOT}/txt2img", json=SMALL), 500)


def test_a_body_that_is_too_large(make_app: Callable[..., Flask]) -> None:
    small = make_app(max_json_bytes=1000).test_client()
    failed(small.post(f"{ROOT}/txt2img", json={"prompt": "a" * 2000}), 413)


def test_the_key_is_the_password(make_app: Callable[..., Flask]) -> None:
    locked = make_app(api_keys=KEYS).test_client()
    refusal = locked.get(f"{ROOT}/options")
    failed(refusal, 401)
    assert refusal.headers["WWW-Authenticate"].startswith("Basic ")
    failed(locked.post(f"{ROOT}/txt2img", json=SMALL, headers=basic("wrong")), 401)
    for headers in (basic("shop-secret"), {"Authorization": "Bearer shop-secret"}, {"X-API-Key": "shop-secret"}):
        made(locked.post(f"{ROOT}/txt2img", json=SMALL, headers=headers))


@pytest.mark.parametrize("rubbish", ["", "Basic ", "Bearer ", "Bearer None", "Basic Og=="])
def test_without_keys_any_rubbish_is_taken(api: FlaskClient, rubbish: str) -> None:
    fine(api.get(f"{ROOT}/options", headers={"Authorization": rubbish}))


def test_it_can_be_switched_off(make_app: Callable[..., Flask]) -> None:
    off = make_app(dialects=()).test_client()
    response = off.get(f"{ROOT}/options")
    assert (response.status_code, response.get_json()["type"]) == (404, "not_found")


# -- options -------------------------------------------------------------------------------------------------------


@pytest.fixture
def two_models(sim: Simulator) -> None:
    sim.models["checkpoints"] = ["one.safetensors", "two.safetensors"]


def test_each_caller_chooses_a_model(make_app: Callable[..., Flask], two_models: None) -> None:
    one, other = (make_app(api_keys=KEYS).test_client() for _ in range(2))  # as two processes do
    shop, press = basic("shop-secret"), basic("press-secret")
    own = fine(one.get(f"{ROOT}/options", headers=shop))["sd_model_checkpoint"]
    assert fine(one.post(f"{ROOT}/options", json={"sd_model_checkpoint": "TWO"}, headers=shop)) is None
    assert fine(other.get(f"{ROOT}/options", headers=shop))["sd_model_checkpoint"] == "two.safetensors"
    assert fine(one.get(f"{ROOT}/options", headers=press))["sd_model_checkpoint"] == own
    _, info = made(other.post(f"{ROOT}/txt2img", json=SMALL, headers=shop))
    assert info["sd_model_name"] == "two"
    fields = {**SMALL, "override_settings": {"sd_model_checkpoint": "one.safetensors [0123456789]"}}
    _, info = made(other.post(f"{ROOT}/txt2img", json=fields, headers=shop))
    assert info["sd_model_name"] == "one"
    fine(one.post(f"{ROOT}/options", json={"sd_model_checkpoint": own}, headers=shop))
    assert fine(other.get(f"{ROOT}/options", headers=shop))["sd_model_checkpoint"] == own


def test_all_options_may_be_posted_back(api: FlaskClient) -> None:
    options = fine(api.get(f"{ROOT}/options"))
    assert fine(api.post(f"{ROOT}/options", json={**options, "more": [1], "samples_format": "webp"})) is None
    assert fine(api.get(f"{ROOT}/options")) == options
    assert "forge_preset" not in options


def test_a_model_that_there_is_none_of(api: FlaskClient, two_models: None) -> None:
    assert "two.safetensors" in failed(api.post(f"{ROOT}/options", json={"sd_model_checkpoint": "tow"}), 400)
    assert '{"sd_model_checkpoint": "..."}' in problems(api.post(f"{ROOT}/options", json=[]))[""]
    assert problems(api.post(f"{ROOT}/options", json={"sd_model_checkpoint": 5})).keys() == {"sd_model_checkpoint"}
    assert "two.safetensors" in failed(api.post(f"{ROOT}/txt2img", json={**SMALL, "model": "three"}), 400)


def test_a_workflow_may_be_named_as_the_model(api: FlaskClient) -> None:
    _, info = made(api.post(f"{ROOT}/txt2img", json={"prompt": "a cat", "steps": 1, "model": "sdxl"}))
    assert info["width"] == 1024  # its own size
    assert "No model is called" in failed(api.post(f"{ROOT}/txt2img", json={**SMALL, "model": "img2img"}), 400)


# -- lists ---------------------------------------------------------------------------------------------------------


def test_the_lists_of_models(api: FlaskClient, two_models: None) -> None:
    models = fine(api.get(f"{ROOT}/sd-models"))
    assert [each["title"] for each in models] == ["one.safetensors", "two.safetensors"]
    assert models[0].keys() == {"title", "model_name", "hash", "sha256", "filename", "config"}
    assert fine(api.get(f"{ROOT}/sd-vae"))[0].keys() == {"model_name", "filename"}
    assert fine(api.get(f"{ROOT}/loras"))[0]["name"] == "demo-style"


def test_samplers_and_schedulers_are_those_that_comfyui_has(api: FlaskClient) -> None:
    samplers = {each["name"]: each for each in fine(api.get(f"{ROOT}/samplers"))}
    assert samplers["Euler a"]["aliases"] == ["k_euler_a", "k_euler_ancestral", "euler_ancestral"]
    assert samplers["DPM++ 2M"]["options"] == {"scheduler": "karras"}
    assert "PLMS" not in samplers
    schedulers = fine(api.get(f"{ROOT}/schedulers"))
    assert schedulers[0]["name"] == "automatic"
    assert "Align Your Steps" not in {each["label"] for each in schedulers}


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("scripts", {"txt2img": [], "img2img": []}),
        ("embeddings", {"loaded": {}, "skipped": {}}),
        *((name, []) for name in ("latent-upscale-modes", "face-restorers", "realesrgan-models", "prompt-styles")),
        *((name, []) for name in ("hypernetworks", "script-info", "extensions")),
    ],
)
def test_what_there_is_none_of_is_an_empty_list(api: FlaskClient, name: str, answer: Any) -> None:
    assert fine(api.get(f"{ROOT}/{name}")) == answer


def test_flags_and_memory(api: FlaskClient) -> None:
    assert isinstance(fine(api.get(f"{ROOT}/cmd-flags")), dict)
    memory = fine(api.get(f"{ROOT}/memory"))
    assert memory["ram"]["total"] > 0
    assert memory["cuda"]["system"].keys() == {"free", "used", "total"}


def test_who_may_not_see_the_servers_sees_no_models(make_app: Callable[..., Flask], tmp_path: Path) -> None:
    policies = tmp_path / "policies.yaml"
    policies.write_text(yaml.safe_dump({"shop": {"server_info": False}}))
    shop = make_app(api_keys=KEYS, policy_file=str(policies)).test_client()
    headers = basic("shop-secret")
    for name in ("sd-models", "sd-vae", "loras", "upscalers", "memory", "embeddings"):
        failed(shop.get(f"{ROOT}/{name}", headers=headers), 403)
    failed(shop.post(f"{ROOT}/unload-checkpoint", headers=headers), 403)
    for name in ("options", "samplers", "schedulers", "scripts", "progress"):
        fine(shop.get(f"{ROOT}/{name}", headers=headers))
    made(shop.post(f"{ROOT}/txt2img", json=SMALL, headers=headers))


def test_a_query_that_makes_no_sense(api: FlaskClient) -> None:
    response = api.get(f"{ROOT}/progress?skip_current_image=maybe")
    assert response.status_code == 422
    assert response.get_json()["detail"][0]["loc"] == ["query", "skip_current_image"]


# -- the rest ------------------------------------------------------------------------------------------------------


def test_nothing_is_under_way(api: FlaskClient) -> None:
    progress = fine(api.get(f"{ROOT}/progress?skip_current_image=false"))
    assert (progress["progress"], progress["state"]["job_count"], progress["current_image"]) == (0.0, 0, None)


@pytest.mark.parametrize("body", [b"", b'""', b"{}"])
@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("interrupt", {}),
        ("skip", None),
        ("refresh-checkpoints", None),
        ("refresh-vae", None),
        ("refresh-loras", None),
        ("unload-checkpoint", {}),
        ("reload-checkpoint", {}),
    ],
)
def test_calls_without_a_body_answer_with_json(api: FlaskClient, name: str, answer: Any, body: bytes) -> None:
    assert fine(api.post(f"{ROOT}/{name}", data=body)) == answer


def test_models_are_unloaded(api: FlaskClient, sim: Simulator) -> None:
    fine(api.post(f"{ROOT}/unload-checkpoint"))
    assert any(each.method == "POST" and each.path == "/free" for each in sim.requests)


def test_new_models_are_seen_after_a_refresh(api: FlaskClient, sim: Simulator) -> None:
    before = fine(api.get(f"{ROOT}/sd-models"))
    sim.models["checkpoints"].append("new.safetensors")
    fine(api.post(f"{ROOT}/refresh-checkpoints"))
    assert len(fine(api.get(f"{ROOT}/sd-models"))) == len(before) + 1

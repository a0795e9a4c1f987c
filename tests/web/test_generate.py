"""`POST /generate`: what is asked for comes back, in the contract's shape."""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from comfybridge.simulator import Simulator
from tests import graphs
from tests.web.answers import failure, image, success


def test_a_text_is_enough_for_a_picture(api: FlaskClient) -> None:
    body = success(api.post("/generate", json={"prompt": "a lighthouse at dusk", "steps": 2}))
    assert image(body["images"][0]).size == (512, 512)
    (output,) = body["outputs"]
    assert (output["kind"], output["media_type"], output["type"], output["index"]) == (
        "image",
        "image/png",
        "output",
        0,
    )
    assert (output["width"], output["height"]) == (512, 512)
    assert output["bytes"] == len(__import__("base64").b64decode(body["images"][0]))
    assert body["params"]["prompt"] == "a lighthouse at dusk"
    assert body["params"]["seed"] == body["seed"]
    assert set(body["timings"]) == {"queued", "executing", "total"}
    assert body["timings"]["total"] >= body["timings"]["executing"] >= 0
    assert "image" not in body


def test_published_body_a_graph_in_prompt_is_answered_with_image(api: FlaskClient, sim: Simulator) -> None:
    body = success(api.post("/generate", json={"prompt": graphs.txt2img(sim.checkpoints[0])}))
    assert image(body["image"]).size == (64, 64)
    assert body["image"] == body["images"][0]


def test_published_body_with_image_count(api: FlaskClient) -> None:
    asked = {"prompt": "a cat", "image_count": 1, "width": 450, "height": 450}
    body = success(api.post("/generate", json=asked))
    assert image(body["images"][0]).size == (448, 448)


def test_published_body_with_workflow_template(api: FlaskClient, sim: Simulator) -> None:
    asked = {
        "prompt": "a cat",
        "negative_prompt": "dogs",
        "workflow_template": "txt2img",
        "model": sim.checkpoints[0],
        "steps": 3,
        "cfg": 6.5,
        "width": 128,
        "height": 192,
        "seed": 7,
        "batch_size": 2,
    }
    body = success(api.post("/generate", json=asked))
    assert [image(each).size for each in body["images"]] == [(128, 192)] * 2
    assert body["seed"] == 7
    sent = next(each.body for each in sim.requests if each.path.endswith("/prompt") and each.method == "POST")
    sampler = next(node for node in sent["prompt"].values() if node["class_type"] == "KSampler")
    assert (sampler["inputs"]["steps"], sampler["inputs"]["cfg"], sampler["inputs"]["seed"]) == (3, 6.5, 7)
    texts = [node["inputs"]["text"] for node in sent["prompt"].values() if node["class_type"] == "CLIPTextEncode"]
    assert sorted(texts) == ["a cat", "dogs"]


@pytest.mark.parametrize(
    "content_type", ["application/json", "application/x-www-form-urlencoded", "text/plain", None]
)
def test_the_body_is_json_whatever_its_content_type_says(api: FlaskClient, content_type: str | None) -> None:
    data = json.dumps({"workflow": graphs.picture()})
    assert success(api.post("/generate", data=data, content_type=content_type))["images"]


def test_a_byte_order_mark_before_the_body_is_forgiven(api: FlaskClient) -> None:
    assert success(api.post("/generate", data=b"\xef\xbb\xbf" + json.dumps({"workflow": graphs.picture()}).encode()))


@pytest.mark.parametrize("wait", ["websocket", "poll"])
def test_each_way_to_wait_can_be_asked_for(api: FlaskClient, sim: Simulator, wait: str) -> None:
    body = success(api.post("/generate", json={"workflow": graphs.picture(), "wait": wait}))
    assert image(body["images"][0]).size == (64, 48)
    assert any(each.path.endswith("/ws") for each in sim.requests) is (wait == "websocket")


def test_the_same_seed_gives_the_same_picture_and_another_seed_another(api: FlaskClient) -> None:
    def picture(seed: int) -> str:
        body = success(api.post("/generate", json={"prompt": "a cat", "seed": seed, "width": 64, "height": 64}))
        return image(body["images"][0]).tobytes().hex()

    assert picture(1) == picture(1)
    assert picture(1) != picture(2)


@pytest.mark.parametrize("seed", [-1, None])
def test_a_seed_of_minus_one_or_null_is_drawn_and_reported(
    api: FlaskClient, sim: Simulator, seed: int | None
) -> None:
    for workflow in ("txt2img", graphs.txt2img(sim.checkpoints[0], seed=5)):
        asked = {"workflow": workflow, "seed": seed, "width": 64, "height": 64}
        drawn = {success(api.post("/generate", json=asked))["seed"] for _ in range(2)}
        assert len(drawn - {-1, None, 5}) == 2


def test_a_full_graph_keeps_its_own_seed(api: FlaskClient, sim: Simulator) -> None:
    body = success(api.post("/generate", json={"workflow": graphs.txt2img(sim.checkpoints[0], seed=5)}))
    assert body["seed"] == 5


def test_short_names_reach_into_a_full_graph(api: FlaskClient, sim: Simulator) -> None:
    asked = {"prompt": "a whale", "workflow": graphs.txt2img(sim.checkpoints[0]), "width": 128, "steps": 1}
    body = success(api.post("/generate", json=asked))
    assert image(body["images"][0]).size == (128, 64)
    assert body["params"]["prompt"] == "a whale"


def test_a_short_name_that_reaches_nothing_is_an_error(api: FlaskClient) -> None:
    body = failure(api.post("/generate", json={"workflow": graphs.picture(), "steps": 3}), 400, "invalid_request")
    assert "steps" in body["error"]


def test_any_input_can_be_set_by_node_and_name(api: FlaskClient) -> None:
    asked = {"workflow": graphs.picture(), "params": {"1.width": 32, "1.height": 16}}
    assert image(success(api.post("/generate", json=asked))["images"][0]).size == (32, 16)
    asked = {"workflow": "txt2img", "params": {"5.width": 64, "5.height": 72}}
    assert image(success(api.post("/generate", json=asked))["images"][0]).size == (64, 72)


def test_images_sent_over_the_websocket_come_back_too(api: FlaskClient) -> None:
    body = success(api.post("/generate", json={"workflow": graphs.picture(batch=2, save="SaveImageWebsocket")}))
    assert [image(each).size for each in body["images"]] == [(64, 48)] * 2
    assert [(each["type"], each["index"]) for each in body["outputs"]] == [("websocket", 0), ("websocket", 1)]


def test_a_preview_comes_back_where_nothing_is_saved(api: FlaskClient) -> None:
    body = success(api.post("/generate", json={"workflow": graphs.picture(save="PreviewImage")}))
    assert [each["type"] for each in body["outputs"]] == ["temp"]
    graph = graphs.picture()
    graph["0"] = {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}}
    body = success(api.post("/generate", json={"workflow": graph}))
    assert [(each["node_id"], each["type"]) for each in body["outputs"]] == [("2", "output")]


def test_a_text_beside_a_preview_does_not_drive_it_out(api: FlaskClient) -> None:
    graph = graphs.picture(save="PreviewImage")
    graph["3"] = {"class_type": "PreviewAny", "inputs": {"source": "hello"}}
    body = success(api.post("/generate", json={"workflow": graph}))
    assert [each["kind"] for each in body["outputs"]] == ["image", "text"]


def test_a_text_comes_back_as_text(api: FlaskClient) -> None:
    graph = {
        "1": {"class_type": "PrimitiveString", "inputs": {"value": f"hello {graphs.fresh_color()}"}},
        "2": {"class_type": "PreviewAny", "inputs": {"source": ["1", 0]}},
    }
    body = success(api.post("/generate", json={"workflow": graph}))
    assert body["images"] == []
    assert [(each["kind"], each["text"]) for each in body["outputs"]] == [("text", graph["1"]["inputs"]["value"])]


def test_a_graph_accepted_in_part_is_answered_with_a_warning(api: FlaskClient) -> None:
    graph = graphs.picture()
    graph["3"] = {"class_type": "EmptyImage", "inputs": {"width": 0, "height": 8, "batch_size": 1, "color": 0}}
    graph["4"] = {"class_type": "SaveImage", "inputs": {"images": ["3", 0], "filename_prefix": "x"}}
    body = success(api.post("/generate", json={"workflow": graph}))
    assert len(body["images"]) == 1
    assert "node 3 (EmptyImage)" in body["warnings"][0]


def test_fields_of_comfyui_s_own_are_handed_on(api: FlaskClient, sim: Simulator) -> None:
    graph = graphs.picture()
    graph["3"] = {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}}
    asked = {
        "prompt": graph,
        "client_id": "mine",
        "extra_data": {"extra_pnginfo": {"workflow": {"nodes": []}}},
        "front": True,
        "partial_execution_targets": ["3"],
    }
    body = success(api.post("/generate", json=asked))
    assert [each["node_id"] for each in body["outputs"]] == ["3"]
    sent = next(each.body for each in sim.requests if each.path.endswith("/prompt") and each.method == "POST")
    assert sent["extra_data"]["extra_pnginfo"] == {"workflow": {"nodes": []}}
    assert sent["front"] is True
    assert sent["client_id"] != "mine"


def test_the_only_installed_model_stands_in_for_a_default_that_is_not_there(api: FlaskClient, sim: Simulator) -> None:
    body = success(api.post("/generate", json={"prompt": "a cat", "width": 64, "height": 64}))
    assert sim.checkpoints[0] in body["warnings"][0]
    assert body["params"]["model"] == sim.checkpoints[0]


def test_of_several_models_the_caller_must_name_one() -> None:
    with Simulator(step_seconds=0, checkpoints=["a.safetensors", "b.safetensors"]) as sim:
        from comfybridge.settings import load_settings
        from comfybridge.web import create_app

        api = create_app(load_settings(comfyui_url=sim.url)).test_client()
        body = failure(api.post("/generate", json={"prompt": "a cat"}), 500, "model_missing")
        assert "a.safetensors" in body["error"]
        assert "b.safetensors" in body["error"]
        asked = {"prompt": "a cat", "model": "b.safetensors", "width": 64, "height": 64}
        assert success(api.post("/generate", json=asked))["warnings"] == []


def test_a_model_that_was_just_copied_in_can_be_asked_for(api: FlaskClient, sim: Simulator) -> None:
    asked = {"prompt": "a cat", "width": 64, "height": 64}
    success(api.post("/generate", json=asked))
    sim.checkpoints = [*sim.checkpoints, "new.safetensors"]
    success(api.post("/generate", json={**asked, "model": "new.safetensors"}))


class SlowBody(io.BytesIO):
    """A body that takes longer to arrive than its request may take."""

    def readinto(self, buffer: Any) -> int:
        time.sleep(0.3)
        return super().readinto(buffer)


def test_the_deadline_counts_from_the_request_s_arrival(api: FlaskClient, sim: Simulator) -> None:
    body = json.dumps({"workflow": graphs.picture(), "timeout": 0.2}).encode()
    response = api.post("/generate", input_stream=SlowBody(body), content_length=len(body))
    failure(response, 504, "timeout")
    assert not [each for each in sim.requests if each.method == "POST"]


def test_a_caller_whose_time_is_up_learns_the_prompt_s_id_and_it_is_cancelled(
    api: FlaskClient, sim: Simulator
) -> None:
    sim.hold()
    running = threading.Thread(target=api.post, args=["/generate"], kwargs={"json": {"workflow": graphs.picture()}})
    running.start()
    sim.wait_until_running()
    body = failure(api.post("/generate", json={"workflow": graphs.picture(), "timeout": 0.2}), 504, "timeout")
    assert "cancelled while it waited" in body["error"]
    assert body["prompt_id"] not in [*sim.pending, *sim.running]
    assert len(sim.running) == 1  # nobody else's prompt was touched
    sim.release()
    running.join()
    assert len(sim.history) == 1


def test_a_prompt_that_runs_when_time_is_up_is_interrupted_by_its_id(api: FlaskClient, sim: Simulator) -> None:
    sim.step_seconds = 0.02
    asked = {"workflow": graphs.txt2img(sim.checkpoints[0], steps=5000), "timeout": 0.3}
    body = failure(api.post("/generate", json=asked), 504, "timeout")
    assert "told to stop while it ran" in body["error"]
    (interrupt,) = [each for each in sim.requests if each.path.endswith("/interrupt")]
    assert interrupt.body == {"prompt_id": body["prompt_id"]}


def test_a_prompt_is_kept_beyond_the_timeout_if_asked(api: FlaskClient, sim: Simulator) -> None:
    sim.hold()
    asked = {"workflow": graphs.picture(), "timeout": 0.2, "on_timeout": "keep"}
    body = failure(api.post("/generate", json=asked), 504, "timeout")
    assert body["prompt_id"] in [*sim.pending, *sim.running]
    assert "kept" in body["error"]


def test_an_older_comfyui_is_never_sent_an_interrupt() -> None:
    with Simulator(step_seconds=0.02, version="0.3.50") as sim:
        from comfybridge.settings import load_settings
        from comfybridge.web import create_app

        api = create_app(load_settings(comfyui_url=sim.url)).test_client()
        asked = {"workflow": graphs.txt2img(sim.checkpoints[0], steps=200), "timeout": 0.3}
        body = failure(api.post("/generate", json=asked), 504, "timeout")
        assert "runs on" in body["error"]
        assert not [each for each in sim.requests if each.path.endswith("/interrupt")]


def test_the_deadline_counts_the_time_in_comfyui_s_queue(api: FlaskClient, sim: Simulator) -> None:
    sim.hold()
    started = time.monotonic()
    failure(api.post("/generate", json={"workflow": graphs.picture(), "timeout": 0.5}), 504, "timeout")
    assert time.monotonic() - started >= 0.5


def test_a_lost_prompt_is_queued_again_if_asked(api: FlaskClient, sim: Simulator, impatient: None) -> None:
    sim.hold()
    answers = []
    asked = {"workflow": graphs.picture(), "retries": 1}
    caller = threading.Thread(target=lambda: answers.append(api.post("/generate", json=asked)))
    caller.start()
    sim.wait_until_running()
    sim.restart()
    sim.release()
    caller.join(20)
    assert success(answers[0])["images"]


def test_an_interrupted_prompt_is_a_conflict(api: FlaskClient, sim: Simulator) -> None:
    sim.step_seconds = 0.02
    answers = []
    asked = {"workflow": graphs.txt2img(sim.checkpoints[0], steps=5000)}
    caller = threading.Thread(target=lambda: answers.append(api.post("/generate", json=asked)))
    caller.start()
    sim.wait_until_running()
    import requests

    requests.post(f"{sim.url}/interrupt", json={}, timeout=5)
    caller.join(20)
    failure(answers[0], 409, "interrupted")


def test_a_failed_node_is_told_without_a_traceback(api: FlaskClient, sim: Simulator) -> None:
    sim.fail_node("SaveImage", "no space left on '/home/me/ComfyUI/output/x.png'")
    body = failure(api.post("/generate", json={"workflow": graphs.picture()}), 500, "execution_failed")
    assert body["node"]["id"] == "2"
    assert body["node"]["class_type"] == "SaveImage"
    assert "no space left on 'x.png'" in body["error"]


def test_a_file_that_is_gone_is_an_error_and_no_broken_answer(api: FlaskClient, sim: Simulator) -> None:
    sim.fail_route("/view", status=404, body=b"")
    body = failure(api.post("/generate", json={"workflow": graphs.picture()}), 502, "comfyui_error")
    assert body["prompt_id"]


def test_a_file_cut_in_the_middle_is_an_error(api: FlaskClient, sim: Simulator) -> None:
    sim.fail_route("/view", close=True, times=5)
    failure(api.post("/generate", json={"workflow": graphs.picture()}), 503, "comfyui_unreachable")


def test_a_prompt_whose_acceptance_was_lost_is_waited_for_and_not_queued_twice(
    api: FlaskClient, sim: Simulator
) -> None:
    sim.fail_route("/prompt", method="POST", close=True, handled=True)
    assert success(api.post("/generate", json={"workflow": graphs.picture()}))["images"]
    assert len(sim.history) == 1


def test_an_error_after_queueing_bears_the_prompt_s_id(api: FlaskClient, sim: Simulator) -> None:
    sim.fail_route("/history", body=b"<html>", status=418, times=None)
    body = failure(api.post("/generate", json={"workflow": graphs.picture(), "wait": "poll"}), 502, "comfyui_error")
    assert body["prompt_id"]


def test_a_proxy_that_fails_for_a_moment_does_not_end_the_request(api: FlaskClient, sim: Simulator) -> None:
    sim.fail_route("/history", status=502, times=3)
    assert success(api.post("/generate", json={"workflow": graphs.picture(), "wait": "poll"}))["images"]


@pytest.mark.parametrize("targets", [["77"], [], ["1"]])
def test_targets_that_are_no_output_nodes_are_refused(api: FlaskClient, sim: Simulator, targets: list[str]) -> None:
    asked = {"workflow": graphs.picture(), "partial_execution_targets": targets}
    body = failure(api.post("/generate", json=asked), 400, "invalid_request")
    assert "partial_execution_targets" in body["error"]
    assert not [each for each in sim.requests if each.method == "POST"]


def test_a_comfyui_that_is_not_there_is_said_so(make_app: Callable[..., Flask], sim: Simulator) -> None:
    sim.stop()
    response = make_app().test_client().post("/generate", json={"workflow": graphs.picture()})
    body = failure(response, 503, "comfyui_unreachable")
    assert int(response.headers["Retry-After"]) > 0
    assert "running?" in body["error"]


def test_past_the_slots_the_bridge_is_busy_at_once(make_app: Callable[..., Flask], sim: Simulator) -> None:
    api = make_app(max_concurrent=1).test_client()
    sim.hold()
    blocked = threading.Thread(target=api.post, args=["/generate"], kwargs={"json": {"workflow": graphs.picture()}})
    blocked.start()
    sim.wait_until_running()
    response = api.post("/generate", json={"workflow": graphs.picture()})
    failure(response, 503, "busy")
    assert int(response.headers["Retry-After"]) > 0
    failure(api.get("/ready"), 503, "busy")
    assert api.get("/health").status_code == 200
    sim.release()
    blocked.join()
    assert api.get("/ready").status_code == 200
    assert success(api.post("/generate", json={"workflow": graphs.picture()}))


def test_comfyui_behind_a_prefix_and_a_token_is_reached() -> None:
    from comfybridge.settings import load_settings
    from comfybridge.web import create_app

    with Simulator(step_seconds=0, prefix="/comfy", authorization="Bearer secret") as sim:
        settings = load_settings(comfyui_url=sim.url, comfyui_headers={"Authorization": "Bearer secret"})
        api = create_app(settings).test_client()
        assert success(api.post("/generate", json={"workflow": graphs.picture()}))["images"]
        wrong = create_app(load_settings(comfyui_url=sim.url)).test_client()
        body = failure(wrong.post("/generate", json={"workflow": graphs.picture()}), 502, "comfyui_error")
        assert "credentials" in body["error"]


def test_poll_refuses_images_that_only_a_websocket_carries(api: FlaskClient, sim: Simulator) -> None:
    asked = {"workflow": graphs.picture(save="SaveImageWebsocket"), "wait": "poll"}
    body = failure(api.post("/generate", json=asked), 400, "invalid_request")
    assert "node 2 (SaveImageWebsocket)" in body["error"]
    assert not [each for each in sim.requests if each.method == "POST"]

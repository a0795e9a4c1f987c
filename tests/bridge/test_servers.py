"""Several ComfyUI servers behind one bridge, and how many prompts they get."""

from __future__ import annotations

import base64
import io
import socket
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from comfybridge.address import ServerAddress
from comfybridge.comfyui import servers as servers_module
from comfybridge.comfyui.client import ComfyUIClient
from comfybridge.comfyui.outcome import Prompt
from comfybridge.settings import SettingsError, load_settings
from comfybridge.simulator import Simulator
from comfybridge.web import create_app
from comfybridge.workflow.folders import save_into_folder
from tests import graphs
from tests.waiting import SECONDS, until_true
from tests.web.answers import failure, success
from tests.web.input_files import b64, loading, png

LONG = 20.0


@pytest.fixture
def other() -> Iterator[Simulator]:
    """A second server."""
    with Simulator(step_seconds=0) as simulator:
        yield simulator


@pytest.fixture
def make(sim: Simulator, other: Simulator) -> Iterator[Callable[..., Flask]]:
    """Makes an application in front of both."""
    made: list[Flask] = []

    def make_app(**settings: Any) -> Flask:
        made.append(create_app(load_settings(**{"comfyui_url": f"{sim.url}, {other.url}", **settings})))
        return made[-1]

    yield make_app
    for each in made:
        each.extensions["comfybridge"].close()


@pytest.fixture
def api(make: Callable[..., Flask]) -> FlaskClient:
    return make().test_client()


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask servers that are down very often whether they are back."""
    monkeypatch.setattr(servers_module, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(servers_module, "LONGEST_PAUSE", 0.02)


def generate(api: FlaskClient, **fields: Any) -> Any:
    return api.post("/generate", json={"workflow": graphs.picture(), **fields})


def figures(api: FlaskClient, sim: Simulator) -> dict[str, Any]:
    (found,) = [each for each in api.get("/stats").get_json()["servers"] if each["server"] == sim.url]
    return dict(found)


def test_requests_are_shared_out(api: FlaskClient, sim: Simulator, other: Simulator) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: generate(api), range(40)))
    assert Counter(answer.status_code for answer in answers) == {200: 40}
    assert len(sim.history) + len(other.history) == 40
    assert min(len(sim.history), len(other.history)) >= 5


def test_a_server_that_is_busy_gets_less(api: FlaskClient, sim: Simulator, other: Simulator) -> None:
    sim.hold()  # as if it had a long prompt
    with ThreadPoolExecutor(8) as pool:
        blocked = []
        while not sim.running:
            request = pool.submit(generate, api)
            until_true(lambda: sim.running or request.done())  # noqa: B023  # called right here
            blocked += [] if request.done() else [request]
        answers = []
        for _ in range(6):  # no request waits behind it
            # ComfyUI tells of its empty queue a moment after a prompt's end
            until_true(lambda: figures(api, other)["queue_remaining"] == 0)
            answers.append(generate(api))
        sim.release()
        assert [each.result(LONG).status_code for each in blocked] == [200]
    assert [answer.status_code for answer in answers] == [200] * 6
    assert len(sim.history) == 1


def test_a_request_stays_on_its_server_from_upload_to_view(
    api: FlaskClient, sim: Simulator, other: Simulator
) -> None:
    for _ in range(6):
        asked = {"workflow": loading("cat.png"), "images": {"cat.png": b64(png())}}
        success(api.post("/generate", json=asked))
    assert sim.history
    assert other.history


@pytest.mark.usefixtures("hasty")
def test_a_server_that_is_gone_costs_no_request(api: FlaskClient, sim: Simulator, other: Simulator) -> None:
    for _ in range(4):
        success(generate(api))
    other.stop()
    answers = [generate(api) for _ in range(10)]
    assert [answer.status_code for answer in answers] == [200] * 10
    assert figures(api, other)["reachable"] is False
    other.start()
    before = len(other.history)
    until_true(lambda: success(generate(api)) and len(other.history) > before)
    assert figures(api, other)["reachable"] is True


def test_without_any_server_the_reason_is_told(api: FlaskClient, sim: Simulator, other: Simulator) -> None:
    sim.stop()
    other.stop()
    for _ in range(3):
        failure(generate(api), 503, "comfyui_unreachable")
    failure(api.get("/ready"), 503, "comfyui_unreachable")
    failure(api.get("/stats"), 503, "comfyui_unreachable")
    failure(api.get("/queue"), 503, "comfyui_unreachable")
    failure(api.get("/results/nope"), 503, "comfyui_unreachable")
    sim.start()
    success(generate(api))


def test_ready_while_one_of_them_is(api: FlaskClient, other: Simulator) -> None:
    other.stop()
    assert api.get("/ready").get_json() == {"status": "ready", "queue_remaining": 0}
    assert [each["reachable"] for each in api.get("/stats").get_json()["servers"]] == [True, False]


def test_prompts_are_found_and_cancelled_wherever_they_are(
    api: FlaskClient, sim: Simulator, other: Simulator
) -> None:
    sim.hold()
    other.hold()
    with ThreadPoolExecutor(6) as pool:
        waiting = [pool.submit(generate, api) for _ in range(6)]
        for each in (sim, other):
            until_true(lambda: len(each.running) + len(each.pending) == 3)  # noqa: B023  # called right here
        queue = api.get("/queue").get_json()
        assert {each["server"] for each in queue["running"]} == {sim.url, other.url}
        assert Counter(each["server"] for each in queue["pending"]) == {sim.url: 2, other.url: 2}
        for each in queue["pending"]:
            assert api.get(f"/results/{each['prompt_id']}").status_code == 202
            cancelled = api.post(f"/cancel/{each['prompt_id']}")
            assert cancelled.get_json() == {"prompt_id": each["prompt_id"], "was": "pending"}
        sim.release()
        other.release()
        statuses = Counter(each.result(LONG).status_code for each in waiting)
    assert statuses == {200: 2, 409: 4}
    for each in queue["running"]:
        assert api.get(f"/results/{each['prompt_id']}").status_code == 200
    failure(api.get("/results/nobody"), 404, "unknown_prompt")
    failure(api.post("/cancel/nobody"), 404, "unknown_prompt")


def test_a_prompt_may_be_on_the_server_that_does_not_answer(api: FlaskClient, other: Simulator) -> None:
    other.stop()
    failure(api.get("/results/nobody"), 503, "comfyui_unreachable")


def test_past_the_longest_queue_the_answer_is_busy_at_once(
    make: Callable[..., Flask], sim: Simulator, other: Simulator
) -> None:
    api = make(max_queue=1).test_client()
    for _ in range(4):
        success(generate(api))  # the time of a prompt is measured
    sim.hold()
    other.hold()
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(generate, api) for _ in range(2)]
        for each in (sim, other):
            until_true(lambda: each.running)  # noqa: B023  # called right here
        refused = generate(api)
        said = failure(refused, 503, "busy")["error"]
        assert "COMFYBRIDGE_MAX_QUEUE" in said
        assert 1 <= int(refused.headers["Retry-After"]) <= 300
        sim.release()
        other.release()
        for each in waiting:
            success(each.result(LONG))
    success(generate(api))


def test_one_slow_prompt_does_not_keep_a_server_from_the_next(
    api: FlaskClient, sim: Simulator, other: Simulator
) -> None:
    servers = {each.url: each for each in api.application.extensions["comfybridge"].servers.all}
    servers[sim.url].begin()
    servers[sim.url].end(60.0)  # as if it had loaded a model
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: generate(api), range(60)))
    assert {answer.status_code for answer in answers} == {200}
    assert len(sim.history) >= 3


def test_a_server_that_is_asleep_is_left_out_and_nobody_waits_for_it(
    api: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, seconds in {"HEARD": 0.0, "FRESH": 0.0, "PROBE": 0.1, "ASK": 0.1}.items():
        monkeypatch.setattr(servers_module, f"{name}_SECONDS", seconds)
    for _ in range(2):
        success(generate(api))
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts connections, and sends nothing
        elsewhere = ServerAddress.parse(f"http://127.0.0.1:{silent.getsockname()[1]}")
        asleep = api.application.extensions["comfybridge"].servers.all[0]
        monkeypatch.setattr(asleep.client, "_transport", ComfyUIClient(elsewhere)._transport)
        monkeypatch.setattr(asleep.client, "read_timeout", 600)
        began = time.monotonic()
        for _ in range(4):
            success(generate(api))
        for path in ("/queue", "/stats", "/models", "/ready"):
            assert api.get(path).status_code == 200
        failure(api.get("/results/nobody"), 503, "comfyui_unreachable")
        assert time.monotonic() - began < SECONDS  # one call to it would take 600


def test_somebody_else_s_prompts_count_too(make: Callable[..., Flask], sim: Simulator) -> None:
    api = make(comfyui_url=sim.url, max_queue=2).test_client()
    sim.hold()
    client = api.application.extensions["comfybridge"].servers.all[0].client
    for _ in range(2):
        client.queue_prompt(Prompt(str(uuid.uuid4()), graphs.picture()), "somebody")
    failure(generate(api), 503, "busy")
    sim.release()


@pytest.mark.parametrize("urls", ["", " , ", "http://a:8188,http://a:8188", "http://a:8188,ftp://b"])
def test_lists_of_servers_that_make_no_sense(urls: str) -> None:
    with pytest.raises(SettingsError, match="COMFYUI_URL"):
        load_settings(comfyui_url=urls)


def test_each_request_saves_into_a_folder_of_its_own(api: FlaskClient, make: Callable[..., Flask]) -> None:
    bodies = [success(generate(api)) for _ in range(2)]
    folders = [body["outputs"][0]["subfolder"] for body in bodies]
    for body, folder in zip(bodies, folders, strict=True):
        assert folder == f"comfybridge/{time.strftime('%Y-%m-%d')}/{body['prompt_id']}"
    plain = make(request_folders=False).test_client()
    assert success(generate(plain))["outputs"][0]["subfolder"] == ""


def test_a_cached_graph_whose_file_was_deleted_still_works(api: FlaskClient, sim: Simulator) -> None:
    graph = graphs.picture()
    first = success(api.post("/generate", json={"workflow": graph}))
    again = success(api.post("/generate", json={"workflow": graph}))
    assert first["outputs"][0]["subfolder"] != again["outputs"][0]["subfolder"]


@pytest.mark.parametrize("prefix", ["../out", "/etc/out", "a/../../b", "C:/out", "\\\\host\\share"])
def test_a_prefix_that_leaves_the_folder_is_left_to_comfyui(prefix: str) -> None:
    graph = graphs.picture()
    graph["2"]["inputs"]["filename_prefix"] = prefix
    save_into_folder(graph, "2026-11-21", "a")
    assert graph["2"]["inputs"]["filename_prefix"] == prefix
    graph["2"]["inputs"]["filename_prefix"] = "cats/%date%/cat"
    save_into_folder(graph, "2026-11-21", "a")
    assert graph["2"]["inputs"]["filename_prefix"] == "comfybridge/2026-11-21/a/cats/%date%/cat"


@pytest.mark.parametrize("prefix", ["", ".", "./"])
def test_a_prefix_without_a_name_gets_one(prefix: str) -> None:
    graph = graphs.picture()
    graph["2"]["inputs"]["filename_prefix"] = prefix
    save_into_folder(graph, "2026-11-21", "a")
    assert graph["2"]["inputs"]["filename_prefix"] == "comfybridge/2026-11-21/a/ComfyUI"


def test_a_picture_that_is_run_again_does_not_go_deeper_each_time(api: FlaskClient, sim: Simulator) -> None:
    body = success(generate(api))
    for _ in range(2):
        picture = base64.b64decode(body["images"][0])
        body = success(api.post("/generate", data={"workflow": (io.BytesIO(picture), "picture.png")}))
    assert body["outputs"][0]["subfolder"] == f"comfybridge/{time.strftime('%Y-%m-%d')}/{body['prompt_id']}"

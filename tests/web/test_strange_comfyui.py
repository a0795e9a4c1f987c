"""What is at COMFYUI_URL may answer anything: a strange node, a proxy's page, somebody who means harm."""

from __future__ import annotations

import io
import json
import threading
import time
import zipfile
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from comfybridge.saving import safe_name
from comfybridge.settings import load_settings
from comfybridge.simulator import Simulator
from comfybridge.web import create_app
from tests import graphs
from tests.comfyui.exchange import Exchange
from tests.known_ids import queued_as
from tests.media.pictures import drawn, encoded
from tests.web.answers import failure, success
from tests.web.history import GRAPH, OUTPUT_NODE, entry

PNG = encoded(drawn())


def app_for(server: Exchange) -> Flask:
    return create_app(load_settings(comfyui_url=server.url, wait="poll"))


def answered(output: Any, *, accept: str = "application/json", view: bytes | None = PNG, **more: Any) -> Any:
    """The bridge's answer where ComfyUI tells that history entry."""
    with Exchange() as server, queued_as("p1"):
        server.get("/object_info/SaveImage", json_body=OUTPUT_NODE)
        server.post("/prompt", json_body={"prompt_id": "p1", "number": 0, "node_errors": {}})
        server.get("/history/p1", json_body={"p1": entry(output, **more)})
        if view is not None:
            server.get("/view", view)
        headers = {"Accept": accept}
        return app_for(server).test_client().post("/generate", json={"workflow": GRAPH}, headers=headers)


def image(filename: str, **more: str) -> dict[str, Any]:
    return {"images": [{"filename": filename, "subfolder": "", "type": "output", **more}]}


STRANGE_NAMES = [
    'a"; filename="b.png',
    "a;b=c.png",
    "\u202egnp.exe.png",
    "\u65e5\u672c.png",
    "con.png",
    "x" * 5000 + ".png",
    "\u2028.png",
    "a.png.",
    " .png",
    "~root.png",
    "%2e%2e%2fx.png",
    "a\u0085b.png",
]


@pytest.mark.parametrize("name", STRANGE_NAMES)
def test_a_strange_file_name_breaks_no_header_and_no_zip(name: str) -> None:
    response = answered(image(name), accept="*/*;q=0.1, image/png" if name.endswith("png") else "image/*, */*;q=0.1")
    assert response.status_code == 200
    disposition = response.headers.get("Content-Disposition", "")
    if disposition:
        assert disposition.isascii()
        assert len(disposition) < 1200
        assert disposition.count('"') == 2
        assert response.headers["X-Content-Type-Options"] == "nosniff"
    zipped = answered(image(name), accept="application/zip")
    with zipfile.ZipFile(io.BytesIO(zipped.data)) as archive:
        (inside,) = archive.namelist()
    assert inside == safe_name(name)


@pytest.mark.parametrize("name", ["../../etc/passwd.png", "..\\..\\x.png", "a\0.png", "..", ".", "", "\ud800.png"])
def test_a_file_name_that_leads_elsewhere_is_never_handed_on(name: str) -> None:
    for accept in ("application/json", "application/zip", "image/*, */*;q=0.1"):
        response = answered(image(name), accept=accept, view=None)
        said = failure(response, 502, "comfyui_error")["error"]
        assert said == "Node 2 names an output file that lies in none of ComfyUI's folders."


@pytest.mark.parametrize(
    "more",
    [
        *({"subfolder": each} for each in ("..", "a/../..", "\\\\host\\share", "//host/share", "..\\..", "a\0")),
        *({"type": each} for each in ("../models", "custom_nodes", "output\r\n", "/")),
    ],
)
def test_a_folder_that_leads_elsewhere_is_never_asked_for(more: dict[str, str]) -> None:
    failure(answered(image("x.png", **more), view=None), 502, "comfyui_error")


def test_folders_of_windows_are_fine() -> None:
    body = success(answered(image("x.png", subfolder="2026\\07")))
    assert body["outputs"][0]["subfolder"] == "2026\\07"


@pytest.mark.parametrize(
    "output",
    [
        {"text": [None, []]},
        {"images": 7, "gifs": {"filename": "x"}, "x": [[], 5, None]},
        {"result": [5, "../x.glb", "/x.glb", "C:/x.glb"]},
        {"images": [{"filename": 5}, {"subfolder": "x"}]},
        [],
        "x",
        5,
    ],
)
def test_an_output_of_no_known_shape_is_nothing_to_show(output: Any) -> None:
    failure(answered(output, view=None), 500, "no_output")


def test_half_a_character_in_a_text_is_replaced() -> None:
    assert success(answered({"text": ["a\ud800b"]}, view=None))["outputs"][0]["text"] == "a?b"


@pytest.mark.parametrize(
    "more",
    [
        {"status": "success"},
        {"status": {"messages": 5}},
        {"outputs": []},
        {"outputs": 5},
        {"prompt": []},
        {"prompt": [0, "p1", GRAPH, {}, 5]},
        # of a node that was added while the prompt ran
        {"outputs": {"2.0": image("x.png")}, "meta": {"2.0": 5}},
        {"outputs": {"2.0": image("x.png")}, "meta": {"2.0": [1]}},
        {"outputs": {"2.0": image("x.png")}, "meta": 5},
    ],
)
def test_a_history_entry_of_no_known_shape_is_comfyuis_error(more: dict[str, Any]) -> None:
    failure(answered(image("x.png"), view=None, **more), 502, "comfyui_error")


@pytest.mark.parametrize(
    "stamps",
    [(10**400, 1), (1, 10**400), ("a", None), (1e308, 5), (-5, 10**14), (True, 5)],
)
def test_a_clock_that_makes_no_sense_is_no_clock(stamps: tuple[Any, Any]) -> None:
    messages = [
        ["execution_start", {"prompt_id": "p1", "timestamp": stamps[0]}],
        ["execution_success", {"prompt_id": "p1", "timestamp": stamps[1]}],
    ]
    status = {"status_str": "success", "completed": True, "messages": messages}
    response = answered(image("x.png"), status=status)
    json.loads(response.text, parse_constant=lambda name: pytest.fail(name))
    assert success(response)["timings"]["executing"] is None or stamps == (True, 5)


@pytest.mark.parametrize(
    "prompt_id", ["a\r\nX-Evil: 1", "\u65e5", "..", ".", "", "a/b", "a b", "x" * 200, "a\0", 5, None]
)
def test_a_prompt_id_that_no_header_and_no_address_can_hold_is_comfyuis_error(
    api: FlaskClient, sim: Simulator, prompt_id: Any
) -> None:
    said = {"prompt_id": prompt_id, "number": 0, "node_errors": {}}
    sim.fail_route("/prompt", 200, json.dumps(said).encode(), method="POST")
    response = api.post("/generate", json={"workflow": graphs.picture()})
    why = "is about another prompt" if isinstance(prompt_id, str) else "has no prompt_id"
    assert why in failure(response, 502, "comfyui_error")["error"]


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"type": "x", "message": "a\r\nb\x1b[31m", "details": 5}, "node_errors": {}},
        {"error": ["x"], "node_errors": []},
        {"error": None, "node_errors": {"2": 5, "3": {"errors": 7}, "4": {"errors": [5]}}},
        {"error": {"message": "no"}, "node_errors": {"2": {"class_type": 5, "errors": [{"extra_info": 5}]}}},
        {"node_errors": {"2": {"errors": [{"type": "value_not_in_list", "extra_info": {"input_config": []}}]}}},
        {"node_errors": {"2": {"errors": [{"type": "invalid_input_type", "extra_info": {"input_config": []}}]}}},
    ],
)
def test_a_refusal_of_no_known_shape_is_still_a_refusal(body: dict[str, Any]) -> None:
    with Exchange() as server:
        server.get("/object_info/SaveImage", json_body=OUTPUT_NODE)
        server.post("/prompt", json_body=body, status=400)
        response = app_for(server).test_client().post("/generate", json={"workflow": GRAPH})
    failure(response, 400, "invalid_workflow")


@pytest.mark.parametrize(
    ("path", "address", "body"),
    [
        ("/queue", "/queue", {"queue_running": [[0, ["x"]]], "queue_pending": []}),
        ("/queue", "/queue", {"queue_running": [[0, {}]], "queue_pending": 5}),
        ("/ready", "/prompt", {"exec_info": {"queue_remaining": 1e999}}),
        ("/models", "/models", [5]),
        ("/models", "/models", {"a": 1}),
    ],
)
def test_other_answers_of_no_known_shape(path: str, address: str, body: Any) -> None:
    with Exchange() as server:
        if path == "/queue":
            server.get("/api/jobs", status=404)
        server.get(address, json_body=body)
        response = app_for(server).test_client().get(path)
    assert response.status_code in (502, 503)
    assert response.get_json()["status"] == "error"


def test_devices_of_no_known_shape_are_left_out() -> None:
    with Exchange() as server:
        server.get("/system_stats", json_body={"system": 5, "devices": 7})
        body = app_for(server).test_client().get("/stats").get_json()
    assert body["servers"][0]["devices"] == []


def test_a_drawing_that_holds_scripts_cannot_run_them() -> None:
    drawing = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"
    response = answered(image("x.svg"), accept="image/*", view=drawing)
    assert response.headers["Content-Type"] == "image/svg+xml"
    assert "sandbox" in response.headers["Content-Security-Policy"]
    assert response.headers["X-Content-Type-Options"] == "nosniff"


def test_a_zip_can_be_made_on_a_machine_whose_clock_begins_in_1970(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "localtime", lambda *_: time.struct_time((1970, 1, 1, 0, 0, 0, 3, 1, 0)))
    assert answered(image("x.png"), accept="application/zip").status_code == 200


def test_a_node_class_that_is_a_dot_asks_for_nothing_else(api: FlaskClient, sim: Simulator) -> None:
    for name in (".", ".."):
        failure(api.post("/generate", json={"workflow": {"1": {"class_type": name}}}), 400, "invalid_workflow")
    assert all("/object_info/." not in each.path for each in sim.requests)


def test_a_frame_of_the_shared_socket_that_makes_no_sense_takes_nobody_along(
    api: FlaskClient, sim: Simulator
) -> None:
    """Any node can send to all sockets."""
    sim.hold()
    answers: list[Any] = []
    asking = threading.Thread(
        target=lambda: answers.append(api.post("/generate", json={"workflow": graphs.picture()}))
    )
    asking.start()
    sim.wait_until_running()
    sockets = sim.sockets
    metadata = json.dumps({"image_type": ["x"], "prompt_id": [1], "node_id": {}}).encode()
    for frame in (
        json.dumps({"type": "progress", "data": {"prompt_id": "x", "node": [1], "value": 10**400, "max": 1}}),
        json.dumps({"type": "status", "data": {"status": {"exec_info": {"queue_remaining": 1e999}}}}),
        (4).to_bytes(4, "big") + len(metadata).to_bytes(4, "big") + metadata + b"x",
    ):
        sim.say(frame)
    sim.release()
    asking.join(10)
    success(answers[0])
    assert sim.sockets == sockets
    assert sum(each.path.endswith("/ws") for each in sim.requests) == 1

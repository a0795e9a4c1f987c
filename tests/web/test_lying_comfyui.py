"""A ComfyUI, or a proxy before it, that is wrong about where its answers end: callers hear of it, at once."""

from __future__ import annotations

import pytest

from comfybridge.settings import load_settings
from comfybridge.web import create_app
from tests import graphs
from tests.comfyui.exchange import Exchange, message, raw
from tests.known_ids import queued_as
from tests.media.pictures import drawn, encoded
from tests.web.answers import failure

PNG = encoded(drawn())
NODE = {"SaveImage": {"output_node": True, "input": {"required": {"images": ["IMAGE"]}}}}
ENTRY = {
    "prompt": [0, "p1", graphs.picture(), {}, ["2"]],
    "outputs": {"2": {"images": [{"filename": "a.png", "subfolder": "", "type": "output"}]}},
    "status": {"status_str": "success", "completed": True, "messages": []},
}
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n"


@pytest.mark.parametrize("accept", ["application/json", "image/*", "application/zip"])
@pytest.mark.parametrize(
    ("view", "why"),
    [
        (message(PNG, length=len(PNG) - 20), "more bytes than it announces"),
        (HEAD + b"Content-Length: 5\r\nContent-Length: %d\r\n\r\n" % len(PNG) + PNG, "malformed HTTP"),
        (HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n", "other than chunked"),
    ],
    ids=["too short a length", "two lengths", "gzip, chunked"],
)
def test_a_picture_whose_end_is_a_lie_is_an_error(view: bytes, why: str, accept: str) -> None:
    with Exchange() as comfyui, queued_as("p1"):
        comfyui.get("/object_info/SaveImage", json_body=NODE)
        comfyui.post("/prompt", json_body={"prompt_id": "p1", "number": 0, "node_errors": {}})
        comfyui.get("/history/p1", json_body={"p1": ENTRY})
        comfyui.on("GET", "/view", raw(view))
        api = create_app(load_settings(comfyui_url=comfyui.url, wait="poll")).test_client()
        response = api.post("/generate", json={"workflow": graphs.picture()}, headers={"Accept": accept})
        assert why in failure(response, 502, "comfyui_error")["error"]


def test_an_answer_of_millions_of_values_is_an_error() -> None:
    with Exchange() as comfyui:
        comfyui.get("/object_info/SaveImage", json_body=NODE)
        comfyui.post("/prompt", b'{"x": [' + b"[]," * 600_000 + b"[]]}")
        comfyui.get("/history/p1", json_body={})
        comfyui.get("/api/jobs/p1", status=404, json_body={"error": "Job not found"})
        api = create_app(load_settings(comfyui_url=comfyui.url, wait="poll")).test_client()
        with queued_as("p1"):
            response = api.post("/generate", json={"workflow": graphs.picture()})
        assert "more than 1000000 values" in failure(response, 502, "comfyui_error")["error"]

"""How large a graph may be: ComfyUI sends each that waits, whole, to everybody who asks for its queue."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from comfybridge.simulator import Simulator
from tests import graphs

MOST = 10_000
LONG = "a" * MOST


@pytest.mark.parametrize(
    "body",
    [
        {"prompt": LONG},
        {"workflow": {**graphs.picture(), "9": graphs.node("Note", text=LONG)}},
        {"prompt": {**graphs.picture(), "9": graphs.node("Load", image="data:image/png;base64," + LONG)}},
        {"workflow": graphs.picture(), "params": {"1.text": LONG}},
        {"workflow": graphs.picture(), "extra_data": {"a": [LONG]}},
    ],
    ids=["a text", "a graph", "base64 in a graph", "a parameter", "extra data"],
)
def test_a_graph_that_is_too_large_is_refused(
    make_app: Callable[..., Flask], sim: Simulator, body: dict[str, Any]
) -> None:
    response = make_app(max_graph_bytes=MOST).test_client().post("/generate", data=json.dumps(body))
    assert (response.status_code, response.get_json()["type"]) == (413, "too_large")
    assert "COMFYBRIDGE_MAX_GRAPH_BYTES" in response.get_json()["error"]
    assert not sim.history


def test_files_beside_it_do_not_count(make_app: Callable[..., Flask]) -> None:
    body = {"workflow": graphs.picture(), "images": {"a.png": "A" * 2 * MOST}}
    response = make_app(max_graph_bytes=MOST).test_client().post("/generate", data=json.dumps(body))
    assert response.get_json()["type"] != "too_large"

"""Prompts that callers and other clients have queued."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import requests
from flask.testing import FlaskClient

from comfybridge.comfyui.client import ComfyUIClient
from comfybridge.simulator import Simulator
from tests import graphs
from tests.web.answers import failure


def kept(api: FlaskClient, **asked: Any) -> str:
    """Leave a prompt in the queue of a held simulator; returns its id."""
    asked = {"workflow": graphs.picture(), **asked, "timeout": 0.2, "on_timeout": "keep"}
    prompt_id: str = failure(api.post("/generate", json=asked), 504, "timeout")["prompt_id"]
    return prompt_id


def queued_by_a_stranger(sim: Simulator, graph: dict[str, Any], **fields: Any) -> str:
    answer = requests.post(f"{sim.url}/prompt", json={"prompt": graph, **fields}, timeout=5)
    prompt_id: str = answer.json()["prompt_id"]
    return prompt_id


def finished_by_a_stranger(sim: Simulator, graph: dict[str, Any], **fields: Any) -> str:
    prompt_id = queued_by_a_stranger(sim, graph, **fields)
    sim.wait_until_idle()
    return prompt_id


def before(monkeypatch: pytest.MonkeyPatch, call: str, happens: Callable[[], None], of: type = ComfyUIClient) -> None:
    """Call a function just before a call of the bridge reaches ComfyUI."""
    original = getattr(of, call)

    def late(*args: Any, **options: Any) -> Any:
        happens()
        return original(*args, **options)

    monkeypatch.setattr(of, call, late)

"""Callers on whom a policy holds, and how they are refused."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

from flask.testing import FlaskClient
from PIL import Image

from comfybridge.simulator import Simulator
from tests.web.answers import failure

KEYS = "shop=shop-secret,press=press-secret"
SHOP = {"X-API-Key": "shop-secret"}
PRESS = {"X-API-Key": "press-secret"}
SMALL = {"prompt": "a cat", "width": 64, "height": 64, "steps": 1}
TWICE = {"json": SMALL, "headers": {**SHOP, "Idempotency-Key": "one"}}

MakeApi = Callable[..., FlaskClient]


def png(width: int, height: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height)).save(file, "PNG")
    return file.getvalue()


def refused(api: FlaskClient, sim: Simulator, body: dict[str, Any], headers: dict[str, str] = SHOP) -> str:
    """The sentence with which a request is refused, of which nothing reaches ComfyUI."""
    before = _posted(sim)
    said: str = failure(api.post("/generate", json=body, headers=headers), 403, "forbidden")["error"]
    assert _posted(sim) == before
    return said


def _posted(sim: Simulator) -> int:
    return sum(each.method == "POST" for each in sim.requests)

"""Uploads assets as an HTTP client does."""

from __future__ import annotations

import io
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from comfybridge.assets.digest import Digest
from comfybridge.simulator import Simulator

ASSETS = "/api/v2/assets"
FORM = {"content_type": "image/png", "file_path": "x.png"}


def hash_of(data: bytes) -> str:
    made = Digest()
    made.update(data)
    assert made.hash is not None
    return made.hash


def upload(
    api: FlaskClient, data: bytes = b"some bytes", headers: dict[str, str] | None = None, **fields: Any
) -> TestResponse:
    form = {**FORM, **fields, "file": (io.BytesIO(data), "sent.png")}
    return api.post(ASSETS, data={name: value for name, value in form.items() if value is not None}, headers=headers)


def refusal(response: TestResponse) -> tuple[int, str]:
    """The status and the code of an error."""
    return response.status_code, response.get_json()["error"]["code"]


def stored(sim: Simulator) -> list[str]:
    """What the bridge has put into ComfyUI's input folder."""
    folder = sim.input_directory / "comfybridge"
    return sorted(each.name for each in folder.iterdir()) if folder.exists() else []

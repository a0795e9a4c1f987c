"""The demo, as the README says to try it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from comfybridge.serving.demo import create_demo, end_demo
from tests.web.answers import success

README = Path(__file__).parent.parent.parent / "README.md"


@pytest.fixture
def demo() -> Iterator[FlaskClient]:
    app = create_demo()
    yield app.test_client()
    end_demo(app)


def test_the_readme_s_first_request_raises_no_warning(demo: FlaskClient) -> None:
    (body, *_) = re.findall(r"8189/generate -d '(\{.*?\})'", README.read_text("utf-8"))
    said = success(demo.post("/generate", json=json.loads(body)))
    assert said["warnings"] == []
    assert said["params"]["prompt"] == "a lighthouse at dusk"


@pytest.mark.parametrize("asked", [{"workflow": "sdxl"}, {"workflow": "flux"}])
def test_nor_do_the_other_templates(demo: FlaskClient, asked: dict[str, Any]) -> None:
    small = {"prompt": "a cat", "steps": 1, "width": 64, "height": 64}
    assert success(demo.post("/generate", json={**asked, **small}))["warnings"] == []

"""Credentials in URLs that callers send: in no log and in nobody's sentence."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from flask.testing import FlaskClient

from comfybridge.comfyui.paths import without_paths
from comfybridge.credentials import without_secrets, without_users
from comfybridge.settings import load_settings
from comfybridge.simulator import Simulator
from comfybridge.web import create_app
from tests import graphs
from tests.growth import grows_evenly

URL = "https://me:s3cret@files.example/a.png?X-Amz-Signature=s3cret&token=s3cret#x"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("get http://me:pw@host/a?b=c now", "get http://host/a?b=c now"),
        ("'https://token@host'", "'https://host'"),
        ("ws://a:b:c@d@host:80/x", "ws://host:80/x"),
        ("http://host/a@b and mail me@host", "http://host/a@b and mail me@host"),
        ("http://user:pa%20ss@[::1]:8188/?q", "http://[::1]:8188/?q"),
        ("no url at all", "no url at all"),
    ],
)
def test_users_are_taken_out_of_urls(text: str, left: str) -> None:
    assert without_users(text) == left
    assert without_paths(text) == left


def test_queries_are_taken_out_for_logs() -> None:
    assert without_secrets(f"can't get {URL}") == "can't get https://files.example/a.png?..."
    assert without_secrets("http://host/?a=b, http://host/x") == "http://host/?... http://host/x"


@pytest.mark.parametrize("unit", ["://", "://a", "http://a@", "a://b?", "?", "@"])
def test_a_long_text_takes_no_long_time(unit: str) -> None:
    grows_evenly(lambda count: unit * count, without_secrets, 2500)


@pytest.mark.parametrize("quotes", [True, False])
@pytest.mark.parametrize(
    "asked",
    [
        {"workflow": "img2img", "images": {"image": URL}},
        {"workflow": "img2img", "params": {"image": URL}},
        {"workflow": "img2img", "params": {"10.image": URL}},
        {"workflow": "img2img", "params": {"prompt": URL, "image": "x.png"}},
        {"workflow": graphs.picture(), "params": {"2.filename_prefix": URL}},
        {"workflow": graphs.picture(), "images": {"x": URL}},
        {"workflow": URL},
        {"prompt": URL, "nonsense": URL},
    ],
)
def test_no_url_s_secrets_are_logged(
    sim: Simulator, caplog: pytest.LogCaptureFixture, asked: dict[str, Any], quotes: bool
) -> None:
    caplog.set_level(logging.DEBUG)
    sim.fail_node("SaveImage", f"can't get {URL}")
    app = create_app(load_settings(comfyui_url=sim.url, log_prompts=quotes, fetch_timeout=1))
    client: FlaskClient = app.test_client()
    with client.post("/generate", json=asked) as response:
        assert response.status_code >= 400
    records = [record.getMessage() for record in caplog.records if record.name.startswith("comfybridge")]
    assert records
    assert not [each for each in records if "s3cret" in each]
    app.extensions["comfybridge"].close()

"""Pictures as AUTOMATIC1111 and its clients write them."""

from __future__ import annotations

import base64
import io
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from flask import Flask
from flask.testing import FlaskClient
from PIL import ExifTags, Image

from tests import ROOT

MakeApp = Callable[..., Flask]

PNG_INFO = "/sdapi/v1/png-info"
LARGER = "/sdapi/v1/extra-single-image"
TEXT = "a cat, \u6f22\nNegative prompt: bad\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 5, Size: 512x768"
PLAIN = TEXT.replace("\u6f22", "a dog")


def with_comment(format: str, comment: bytes | str) -> str:
    """A picture with a comment in its EXIF."""
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment] = comment
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, format, exif=exif.tobytes())
    return base64.b64encode(buffer.getvalue()).decode()


@pytest.mark.parametrize("format", ["JPEG", "WEBP"])
@pytest.mark.parametrize(
    ("comment", "text"),
    [
        (b"UNICODE\0" + TEXT.encode("utf-16-be"), TEXT),
        (b"UNICODE\0" + TEXT.encode("utf-16-le"), TEXT),
        (b"UNICODE\0" + TEXT.encode("utf-16"), TEXT),
        (b"ASCII\0\0\0" + PLAIN.encode(), PLAIN),
        (b"\0" * 8 + TEXT.encode(), TEXT),
        (b"UNICODE\0", ""),
        (b"UNI", ""),
        (b"", ""),
    ],
)
def test_the_comment_of_a_jpeg_or_webp_is_its_text(api: FlaskClient, format: str, comment: bytes, text: str) -> None:
    answer = api.post(PNG_INFO, json={"image": with_comment(format, comment)})
    assert answer.status_code == 200, answer.text
    held: dict[str, Any] = answer.get_json()
    assert held["info"] == text
    assert held["parameters"].get("Seed") == ("5" if text else None)


@pytest.mark.parametrize(
    ("fields", "field"),
    [({"upscaling_resize": 16}, "upscaling_resize"), ({"resize_mode": 1}, "upscaling_resize_w")],
)
def test_a_size_that_is_too_large_is_refused_by_its_field(
    api: FlaskClient, fields: dict[str, Any], field: str
) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "PNG")
    image = base64.b64encode(buffer.getvalue()).decode()
    answer = api.post(LARGER, json={"image": image, "upscaler_1": "Lanczos", **fields})
    assert answer.status_code == 422, answer.text
    [wrong] = answer.get_json()["detail"]
    assert wrong["loc"] == ["body", field]
    assert field in wrong["msg"]


def test_a_value_is_refused_by_the_field_that_sets_its_parameter(make_app: MakeApp, tmp_path: Path) -> None:
    shutil.copy(ROOT / "workflows/txt2img.json", tmp_path)
    declared = {
        "parameters": {
            "prompt": {"node": "6", "input": "text"},
            "guidance": {"node": "3", "input": "cfg", "max": 9},
            "iterations": {"node": "3", "input": "steps", "type": "integer", "max": 50},
        },
        "dialects": {"automatic1111": {"rename": {"cfg_scale": "guidance", "steps": "iterations"}}},
    }
    (tmp_path / "txt2img.yaml").write_text(yaml.safe_dump(declared))
    api = make_app(workflows_dir=tmp_path).test_client()
    for fields, field in (({"cfg_scale": 30}, "cfg_scale"), ({"steps": 60}, "steps")):
        answer = api.post("/sdapi/v1/txt2img", json={"prompt": "a cat", **fields})
        assert answer.status_code == 422, answer.text
        [wrong] = answer.get_json()["detail"]
        assert wrong["loc"] == ["body", field]
        assert wrong["msg"].startswith(f"{field} is ")

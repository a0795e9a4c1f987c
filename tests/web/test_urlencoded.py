"""Bodies as `curl -d` and HTML forms send them: fields, or JSON under the same Content-Type."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from flask.testing import FlaskClient

from comfybridge.simulator import Simulator
from tests import graphs
from tests.web.answers import failure, image, success
from tests.web.input_files import b64, png, sent_graph

MEDIA_TYPE = "application/x-www-form-urlencoded"
SMALL = {"steps": "1", "width": "64", "height": "64"}


def send(api: FlaskClient, body: str | bytes | dict[str, Any]) -> Any:
    text = urlencode(body) if isinstance(body, dict) else body
    return api.post("/generate", data=text, content_type=MEDIA_TYPE)


def test_the_fields_are_those_of_a_form(api: FlaskClient, sim: Simulator) -> None:
    fields = {"prompt": "{a} = b & ü + c", **SMALL, "3.cfg": "6.5", "output.format": "webp", "params.denoise": "0.5"}
    body = success(send(api, {**fields, "seed": "7", "negative_prompt": "", "timeout": "60"}))
    assert (body["params"]["prompt"], body["seed"]) == (fields["prompt"], 7)
    assert image(body["images"][0]).format == "WEBP"
    inputs = sent_graph(sim)["3"]["inputs"]
    assert (inputs["cfg"], inputs["denoise"], inputs["steps"]) == (6.5, 0.5, 1)


def test_a_field_may_begin_with_what_json_does(api: FlaskClient) -> None:
    assert success(send(api, {"prompt": "{a b}", **SMALL}))["params"]["prompt"] == "{a b}"


def test_brackets_lead_into_an_object_as_dots_do(api: FlaskClient, sim: Simulator) -> None:
    """As PHP and jQuery write them."""
    graph = {"params[1.width]": "32", "output[format]": "jpeg", "workflow": json.dumps(graphs.picture())}
    body = success(send(api, graph))
    assert image(body["images"][0]).format == "JPEG"
    assert sent_graph(sim)["1"]["inputs"]["width"] == 32


def test_an_image_comes_as_base64(api: FlaskClient) -> None:
    for name in ("image", "images.image", "images[image]", "params.image"):
        data = f"data:image/png;base64,{b64(png())}"
        success(send(api, {"workflow": "img2img", "prompt": "x", "steps": "1", name: data}))


def test_the_whole_request_stands_in_one_field(api: FlaskClient) -> None:
    assert success(send(api, {"request": json.dumps({"prompt": "a fox"}), **SMALL}))["params"]["prompt"] == "a fox"


@pytest.mark.parametrize("write", [str, lambda text: "\n " + text, quote, lambda text: quote(text) + "="])
def test_json_is_read_as_json(api: FlaskClient, write: Any) -> None:
    body = write(json.dumps({"prompt": "a = b & c", "steps": 1, "width": 64, "height": 64}))
    assert success(send(api, body))["params"]["prompt"] == "a = b & c"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("", "The body is empty"),
        ("hello", "The body is not JSON (Expecting value"),
        ("{prompt: a=b}", "did the shell take its quotes away?"),
        ('{"prompt": "a=b"', "The body is not JSON"),
        ("prompt=a&prompt=b", "The form gives prompt twice."),
        ("=a", "a field without a name"),
        ("prompt=a&steps=many", "steps must be an integer, not 'many'"),
        ("prompt=a&sttps=3", "sttps is not a parameter"),
        ("prompt=%FF", "The form holds an escape such as %FC that is not UTF-8"),
        (b"prompt=\xff", "The form is not UTF-8 text (at byte 7)"),
        ("&".join(f"a{number}=1" for number in range(201)), "The form has more than 200 fields."),
        ("request=5", "The form's part request must be a JSON object."),
        ("params=5&params.steps=5", "params must be an object"),
    ],
)
def test_what_cannot_be_used_is_told_why(api: FlaskClient, sim: Simulator, body: str | bytes, said: str) -> None:
    assert said in failure(send(api, body), 400, "invalid_request")["error"]
    assert not [each for each in sim.requests if each.method == "POST"]

"""Which form an answer has, by `Accept`: what RFC 9110 says of it, and what people send."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from comfybridge.simulator import Simulator
from tests import graphs
from tests.web.answers import failure

CHROME_IMG = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"
ADDRESS_BAR = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
TEXT = {"1": graphs.node("PreviewAny", source="hello")}
JSON = "application/json"


def ask(api: FlaskClient, accept: str, graph: dict[str, Any], **fields: Any) -> TestResponse:
    return api.post("/generate", json={"workflow": graph, **fields}, headers={"Accept": accept})


@pytest.mark.parametrize(
    ("accept", "of_a_picture", "of_a_text"),
    [
        (CHROME_IMG, "image/png", JSON),
        (ADDRESS_BAR, "image/webp", JSON),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", JSON, JSON),
        # by quality first, whatever the specificity and order
        ("image/*;q=0.9, text/event-stream;q=0.1", "image/png", None),
        ("text/event-stream;q=0.1, image/*;q=0.9, application/json;q=0.2", "image/png", JSON),
        ("*/*, image/png;q=0.1", JSON, JSON),
        ("image/*, application/json;q=0.1", "image/png", JSON),
        ("application/json;q=0.1, image/*", "image/png", JSON),
        ("*/*;q=0.1, image/jpeg", "image/jpeg", JSON),
        # of the same quality, the more specific one, then the first
        ("*/*, image/jpeg", "image/jpeg", JSON),
        ("application/json, image/png", JSON, JSON),
        ("image/png, application/json", "image/png", JSON),
        ("image/webp, image/jpeg", "image/webp", None),
        # unconverted, if that is preferred as much
        ("image/webp, image/*", "image/png", None),
        ("image/webp;q=0.9, image/*;q=0.1", "image/webp", None),
        ("image/gif, image/png", "image/png", None),
        ("image/gif, image/jpeg;q=0.1", "image/jpeg", None),
        # a quality of 0 excludes
        ("application/json;q=0, */*", "image/png", "application/zip"),
        ("application/json;q=0, */*, image/jpeg;q=0.1", "image/png", "application/zip"),
        ("image/*, image/png;q=0", "image/webp", None),
        ("*/*, application/json;q=0, image/*;q=0", "application/zip", "application/zip"),
        # a form that was not made gives way to the next
        ("video/*, application/json;q=0.5", JSON, JSON),
        ("video/*, image/jpeg;q=0.5, application/json;q=0.1", "image/jpeg", JSON),
        ("audio/*, video/*;q=0.5, application/zip;q=0.1", "application/zip", "application/zip"),
        ("image/avif, image/gif, application/json;q=0.5", JSON, JSON),
        # unusual headers
        ("*", JSON, JSON),
        ("application/*", JSON, JSON),
        ("IMAGE/PNG ; Q=1.0 , application/json;q=0.9", "image/png", JSON),
        ("image/png;q=many, application/json", JSON, JSON),
        ('text/plain;x="a,b", application/json;version=1;q=0.3', JSON, JSON),
    ],
)
def test_the_form_that_is_liked_best_of_those_that_there_are(
    api: FlaskClient, accept: str, of_a_picture: str, of_a_text: str | None
) -> None:
    response = ask(api, accept, graphs.picture())
    assert (response.status_code, response.content_type) == (200, of_a_picture), response.text
    if of_a_text is None:
        body = failure(ask(api, accept, TEXT), 406, "not_acceptable")
        assert "The workflow made no image, but text" in body["error"]
        assert f"GET /results/{body['prompt_id']} still has it" in body["error"]
    else:
        response = ask(api, accept, TEXT)
        assert (response.status_code, response.content_type) == (200, of_a_text), response.text


@pytest.mark.parametrize(
    ("accept", "answered"),
    [
        ("image/jpg", "image/jpeg"),
        ("IMAGE/JPG", "image/jpeg"),
        ("image/pjpeg", "image/jpeg"),
        ("image/x-png", "image/png"),
        ("image/x-webp;q=0.9, image/jpg;q=0.1", "image/webp"),
        ("image/jpg;q=0, image/*", "image/png"),
        ("image/jpg, image/png;q=0.5", "image/jpeg"),
        ("application/x-zip-compressed", "application/zip"),
        ("text/json", JSON),
    ],
)
def test_a_type_may_be_named_as_some_programs_do(api: FlaskClient, accept: str, answered: str) -> None:
    response = ask(api, accept, graphs.picture())
    assert (response.status_code, response.content_type) == (200, answered), response.text


@pytest.mark.parametrize("format", ["jpg", "JPEG", "image/jpg", "Png", "x-png", " webp "])
def test_a_format_may_be_named_as_some_programs_do(api: FlaskClient, format: str) -> None:
    response = ask(api, "image/*", graphs.picture(), output={"format": format})
    usual = {"jpg": "jpeg", "image/jpg": "jpeg", "x-png": "png"}.get(format, format.strip().lower())
    assert response.content_type == f"image/{usual}"


@pytest.mark.parametrize(
    "accept", ["image/avif", "image/avif, image/x-exr;q=0.5", "text/html", "image/*;q=0", "image", "video", ";q=1"]
)
def test_what_cannot_come_is_refused_before_anything_runs(api: FlaskClient, sim: Simulator, accept: str) -> None:
    said = failure(ask(api, accept, graphs.picture()), 406, "not_acceptable")["error"]
    assert "image/* (image/png, image/jpeg and image/webp by conversion)" in said
    assert sim.requests == []


@pytest.mark.parametrize(("accept", "kind"), [("image/gif", "image/png"), ("image/svg+xml", "image/png")])
def test_what_could_have_come_and_did_not_is_not_lost(api: FlaskClient, accept: str, kind: str) -> None:
    """Some nodes make it; so it is known only after they have run."""
    body = failure(ask(api, accept, graphs.picture()), 406, "not_acceptable")
    assert f"is {kind}" in body["error"]
    assert f"GET /results/{body['prompt_id']} still has it" in body["error"]
    kept = api.get(f"/results/{body['prompt_id']}", headers={"Accept": CHROME_IMG})
    assert kept.content_type == kind


@pytest.mark.parametrize(
    ("accept", "format", "answered"),
    [
        ("image/png, image/webp", "webp", "image/webp"),
        ("image/png, image/webp;q=0.1", "webp", "image/webp"),
        ("image/*", "jpeg", "image/jpeg"),
        (CHROME_IMG, "jpeg", "image/jpeg"),
        ("image/png, application/json;q=0.1", "jpeg", JSON),
        ("image/png", "jpeg", None),
        ("image/gif", "png", None),
    ],
)
def test_a_format_that_is_asked_for_is_kept_where_it_is_accepted(
    api: FlaskClient, sim: Simulator, accept: str, format: str, answered: str | None
) -> None:
    response = ask(api, accept, graphs.picture(), output={"format": format})
    if answered is None:
        said = failure(response, 406, "not_acceptable")["error"]
        assert said == f"output.format is {format}, and Accept ({accept!r}) does not allow it."
        assert sim.requests == []
    else:
        assert response.content_type == answered


def test_results_are_negotiated_alike(api: FlaskClient) -> None:
    made = ask(api, JSON, graphs.picture(), output={"format": "webp"}).get_json()
    address = f"/results/{made['prompt_id']}"
    wanted = {
        CHROME_IMG: "image/webp",
        "image/*": "image/webp",
        "image/png": "image/png",
        "image/png, image/webp": "image/webp",
        ADDRESS_BAR: "image/webp",
        "video/*, application/json;q=0.5": JSON,
        "application/json;q=0, */*": "image/webp",
    }
    answered = {accept: api.get(address, headers={"Accept": accept}).content_type for accept in wanted}
    assert answered == wanted


def test_caches_are_told_what_the_answer_depends_on(api: FlaskClient) -> None:
    response = ask(api, "image/*", graphs.picture())
    assert response.headers["Vary"] == "Accept"

"""Answers that begin before their workflow has run: no silence, no slot lost, no memory for who reads slowly."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import EnvironBuilder, TestResponse

from comfybridge.bridge import Bridge
from comfybridge.files import delivery
from comfybridge.simulator import Simulator
from comfybridge.web.answers import streaming
from comfybridge.web.current import EXTENSION
from tests import graphs
from tests.served import served
from tests.waiting import until_true
from tests.web.answers import failure
from tests.web.slow_site import SlowSite, loading

SECONDS = 10
FORMS = ["keepalive", "events"]


@pytest.fixture
def app(make_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch) -> Flask:
    monkeypatch.setattr(streaming, "HEARTBEAT_SECONDS", 0.05)
    return make_app(max_concurrent=1, fetch_allow_hosts="127.0.0.1")


@pytest.fixture
def streamed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every result keep its slot until it has been sent, as large ones do."""
    monkeypatch.setattr(delivery, "ROOM", 1)
    monkeypatch.setattr(delivery, "BEGINNING", 1)


def asked(form: str, body: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a request for that form of answer."""
    if form == "events":
        return {"json": body, "headers": {"Accept": "text/event-stream"}}
    return {"json": {"keepalive": 0.1, **body}}


def ask(app: Flask, form: str, body: dict[str, Any]) -> TestResponse:
    return app.test_client().post("/generate", **asked(form, body))


def result(form: str, answer: bytes) -> dict[str, Any]:
    """The JSON in which an answer ends."""
    text = answer.decode()
    if form == "events":
        text = text.rstrip("\n").rpartition("\ndata: ")[2]
    body: dict[str, Any] = json.loads(text)
    return body


def is_over(app: Flask) -> bool:
    """Whether no slot is taken, and no thread waits for a prompt."""
    bridge: Bridge = app.extensions[EXTENSION]
    return bridge.slots.taken == 0 and not any(each.name == "streamed answer" for each in threading.enumerate())


# -- no silence


@pytest.mark.parametrize(("form", "sign"), [("keepalive", b" "), ("events", b": waiting\n\n")])
def test_an_answer_begins_while_its_input_files_are_still_fetched(
    app: Flask, site: SlowSite, form: str, sign: bytes
) -> None:
    response = ask(app, form, loading(site))
    pieces = iter(response.iter_encoded())
    assert response.status_code == 200
    assert [next(pieces), next(pieces)] == [sign, sign]
    assert not site.go_on.is_set()
    site.go_on.set()
    rest = b"".join(pieces)
    assert result(form, rest)["status"] == "success"
    if form == "events":
        assert re.findall("^event: (\\w+)", rest.decode(), re.MULTILINE)[0] == "queued"


@pytest.mark.parametrize("form", FORMS)
def test_what_goes_wrong_after_the_answer_began_is_in_it(app: Flask, site: SlowSite, form: str) -> None:
    site.status = 404
    response = ask(app, form, loading(site))
    pieces = iter(response.iter_encoded())
    next(pieces)
    site.go_on.set()
    rest = b"".join(pieces)
    body = result(form, rest)
    assert (response.status_code, body["status"], body["type"]) == (200, "error", "invalid_request")
    assert "images: cat:" in body["error"]
    assert body["request_id"] == response.headers["X-Request-Id"]
    assert form == "keepalive" or b"event: error\n" in rest
    until_true(lambda: is_over(app))


@pytest.mark.parametrize("form", FORMS)
def test_a_file_that_can_t_be_had_in_time_for_a_status_has_one(
    make_app: Callable[..., Flask], site: SlowSite, form: str
) -> None:
    app = make_app(max_concurrent=1, fetch_allow_hosts="127.0.0.1")
    site.status = 404
    site.go_on.set()
    failure(ask(app, form, {**loading(site), "keepalive": 15}), 400, "invalid_request")
    until_true(lambda: is_over(app))


@pytest.mark.parametrize("form", FORMS)
def test_a_bug_in_the_bridge_is_an_error_like_others(
    app: Flask, monkeypatch: pytest.MonkeyPatch, form: str, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Bridge, "submit", lambda *_: 1 / 0)
    failure(ask(app, form, {"prompt": "x"}), 500, "internal_error")
    assert "ZeroDivisionError" in caplog.text
    monkeypatch.undo()
    monkeypatch.setattr(Bridge, "collect", lambda *_: 1 / 0)
    assert result(form, ask(app, form, {"workflow": graphs.picture()}).data)["type"] == "internal_error"
    until_true(lambda: is_over(app))


# -- no slot lost


@pytest.fixture
def address(app: Flask) -> Iterator[tuple[str, int]]:
    """Where the application is served on a socket."""
    with served(app) as url:
        host, _, port = url.removeprefix("http://").partition(":")
        yield host, int(port)


@contextlib.contextmanager
def caller(address: tuple[str, int], form: str, body: dict[str, Any]) -> Iterator[socket.socket]:
    """The socket of somebody who asked, and who goes away at the end without a word."""
    given = asked(form, body)
    data = json.dumps(given["json"]).encode()
    head = f"POST /generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(data)}\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in given.get("headers", {}).items())
    with socket.create_connection(address, SECONDS) as connection:
        connection.sendall(head.encode() + b"\r\n" + data)
        yield connection
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@pytest.mark.usefixtures("streamed")
@pytest.mark.parametrize("form", FORMS)
def test_who_leaves_before_the_first_byte_leaves_nothing_behind(
    app: Flask, address: tuple[str, int], sim: Simulator, site: SlowSite, form: str
) -> None:
    with caller(address, form, loading(site)):
        assert site.asked.wait(SECONDS)
    site.go_on.set()
    until_true(lambda: is_over(app))


@pytest.mark.usefixtures("streamed")
@pytest.mark.parametrize("form", FORMS)
def test_who_leaves_in_the_middle_leaves_nothing_behind(
    app: Flask, address: tuple[str, int], sim: Simulator, form: str
) -> None:
    sim.hold()
    with caller(address, form, {"workflow": graphs.picture()}) as connection:
        assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")
        sim.wait_until_running()
    sim.release()
    until_true(lambda: is_over(app))


@pytest.mark.usefixtures("streamed")
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("has_ended", [False, True])
def test_an_answer_that_nobody_asks_for_leaves_nothing_behind(
    app: Flask, sim: Simulator, form: str, has_ended: bool
) -> None:
    sim.hold()
    request = EnvironBuilder("/generate", method="POST", **asked(form, {"workflow": graphs.picture()}))
    body: Any = app.wsgi_app(request.get_environ(), lambda *_: print)
    sim.wait_until_running()
    if has_ended:
        sim.release()
        until_true(lambda: not any(each.name == "streamed answer" for each in threading.enumerate()))
        assert not is_over(app)  # the result waits to be sent
    body.close()
    sim.release()
    until_true(lambda: is_over(app))


# -- no memory for who reads slowly


def test_who_reads_events_slowly_gets_the_newest_previews_only(app: Flask, sim: Simulator) -> None:
    steps = 300
    graph = graphs.txt2img(sim.checkpoints[0], steps=steps)
    response = ask(app, "events", {"workflow": graph})  # reads one event
    until_true(lambda: is_over(app))
    text = response.text
    names = re.findall("^event: (\\w+)", text, re.MULTILINE)
    assert (names[0], names[-1], names.count("queued"), names.count("result")) == ("queued", "result", 1, 1)
    assert 0 < names.count("preview") <= streaming.MOST_UNREAD[streaming.Preview]
    assert 0 < names.count("progress") <= streaming.MOST_UNREAD[streaming.Progress]
    steps_told = [each["value"] for each in progress(text) if each["class_type"] == "KSampler"]
    assert steps_told[-1] == steps
    assert steps_told == sorted(steps_told)


def progress(text: str) -> list[dict[str, Any]]:
    return [json.loads(data) for data in re.findall("^event: progress\ndata: (.*)", text, re.MULTILINE)]

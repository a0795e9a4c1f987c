"""The log: one line for each request, and nothing in it that is nobody's business."""

from __future__ import annotations

import io
import json
import logging
import re
import socket
import struct
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient

from comfybridge import logs
from comfybridge.bridge import Bridge
from comfybridge.files import delivery
from comfybridge.simulator import Simulator
from comfybridge.web.answers import streaming
from tests import graphs
from tests.served import served
from tests.serving.servers import EVERY_SERVER, Server, free_port
from tests.waiting import SECONDS, until_true
from tests.web.answers import failure, success

FIELDS = [
    *("time", "level", "request_id", "method", "path", "status", "outcome", "dialect"),
    *("prompt_id", "server", "workflow", "key"),
    *("queued", "executing", "total", "bytes"),
]
PROMPT = "a very private lighthouse"


class Log:
    """What the bridge logs."""

    def __init__(self, formatter: logging.Formatter) -> None:
        self._stream = io.StringIO()
        self.handler = logging.StreamHandler(self._stream)
        self.handler.setFormatter(formatter)
        # a prompt that an earlier test has cancelled may still be watched
        self.handler.addFilter(lambda record: not record.name.endswith(".interrupting"))

    @property
    def text(self) -> str:
        return self._stream.getvalue()

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]

    @property
    def only(self) -> dict[str, Any]:
        """The line of the only request."""
        (line,) = self.lines
        return line


def wait_for_line(text: Callable[[], str]) -> str:
    """The first line of a log, which another thread or process may not have written yet."""
    until_true(lambda: "\n" in text())
    return text().partition("\n")[0]


@pytest.fixture
def listen() -> Iterator[Callable[[logging.Formatter], Log]]:
    """Makes logs."""
    logger = logging.getLogger("comfybridge")
    before = logger.level
    logger.setLevel(logging.DEBUG)
    made = []

    def make(formatter: logging.Formatter) -> Log:
        log = Log(formatter)
        logger.addHandler(log.handler)
        made.append(log)
        return log

    yield make
    logger.setLevel(before)
    for log in made:
        logger.removeHandler(log.handler)


@pytest.fixture
def log(listen: Callable[[logging.Formatter], Log]) -> Log:
    return listen(logs.JsonFormatter(quotes=False))


# -- what a line says


def test_a_request_has_one_line(api: FlaskClient, sim: Simulator, log: Log) -> None:
    response = api.post("/generate", json={"prompt": PROMPT, "steps": 2}, headers={"X-Request-Id": "mine-1"})
    body, line = success(response), log.only
    assert list(line) == FIELDS
    assert datetime.fromisoformat(line["time"]).tzinfo is not None
    assert (line["level"], line["request_id"], line["key"]) == ("info", "mine-1", None)
    assert (line["method"], line["path"], line["status"], line["outcome"]) == ("POST", "/generate", 200, "success")
    assert (line["prompt_id"], line["server"], line["workflow"]) == (body["prompt_id"], sim.url, "txt2img")
    assert line["bytes"] == len(response.data)
    assert (line["queued"], line["executing"]) == (body["timings"]["queued"], body["timings"]["executing"])
    assert line["total"] >= body["timings"]["total"] > 0


@pytest.mark.parametrize("accept", ["application/json", "image/*", "application/zip", "text/event-stream"])
@pytest.mark.parametrize("is_large", [False, True])
def test_it_counts_what_was_sent_in_every_form(
    api: FlaskClient, log: Log, monkeypatch: pytest.MonkeyPatch, accept: str, is_large: bool
) -> None:
    if is_large:  # so large that it is produced while it is sent
        for name in ("ROOM", "BEGINNING"):
            monkeypatch.setattr(delivery, name, 1)
    asked = {"workflow": graphs.picture(batch=2)}
    response = api.post("/generate", json=asked, headers={"Accept": accept})
    if is_large:
        assert log.lines == []  # nothing is logged before all of it has been sent
    data, line = response.data, log.only
    assert (line["outcome"], line["bytes"], line["workflow"]) == ("success", len(data), "graph")
    assert line["prompt_id"]
    assert line["executing"] is not None


def test_an_answer_that_is_kept_alive_has_a_line_too(api: FlaskClient, log: Log) -> None:
    data = api.post("/generate", json={"workflow": graphs.picture(), "keepalive": 5}).data
    assert (log.only["outcome"], log.only["bytes"]) == ("success", len(data))


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "outcome"),
    [
        ("POST", "/generate", {"prompt": PROMPT, "steps": "many"}, 400, "invalid_request"),
        ("POST", "/generate", {"workflow": {"1": PROMPT}}, 400, "invalid_workflow"),
        ("POST", "/generate", {"workflow": "nothing"}, 404, "unknown_workflow"),
        ("GET", "/results/0", None, 404, "unknown_prompt"),
        ("GET", "/nowhere", None, 404, "not_found"),
        ("GET", "/generate", None, 405, "method_not_allowed"),
    ],
)
def test_an_error_is_the_outcome_and_its_sentence_is_the_caller_s(
    api: FlaskClient, log: Log, method: str, path: str, body: Any, status: int, outcome: str
) -> None:
    failure(api.open(path, method=method, json=body), status, outcome)
    line = log.only
    assert (line["status"], line["outcome"], line["level"]) == (status, outcome, "info")
    assert line["error"] is None
    assert line["workflow"] is None  # the request names no workflow


def test_what_went_wrong_behind_the_bridge_is_told(api: FlaskClient, sim: Simulator, log: Log) -> None:
    sim.stop()
    said = failure(api.post("/generate", json={"prompt": PROMPT}), 503, "comfyui_unreachable")["error"]
    line = log.lines[-1]
    assert (line["error"], line["level"], line["server"]) == (said, "warning", sim.url)
    assert PROMPT not in log.text


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
def test_a_node_that_failed_is_named_without_its_words(
    api: FlaskClient, sim: Simulator, log: Log, accept: str
) -> None:
    sim.fail_node("SaveImage", f"can't encode {PROMPT!r}")
    response = api.post("/generate", json={"prompt": PROMPT, "steps": 1}, headers={"Accept": accept})
    assert PROMPT in response.text
    line = log.only
    assert (line["outcome"], line["workflow"], line["server"]) == ("execution_failed", "txt2img", sim.url)
    assert re.fullmatch(r"Node 9 \(SaveImage\) raised \w+\.", line["error"])
    assert line["prompt_id"] in response.text
    assert PROMPT not in log.text


def test_prompts_that_are_asked_for_by_id(api: FlaskClient, sim: Simulator, log: Log) -> None:
    prompt_id = success(api.post("/generate", json={"workflow": graphs.picture()}))["prompt_id"]
    success(api.get(f"/results/{prompt_id}"))
    failure(api.post(f"/cancel/{prompt_id}"), 404, "unknown_prompt")
    _, result, cancelled = log.lines
    assert (result["prompt_id"], result["server"], result["outcome"]) == (prompt_id, sim.url, "success")
    assert (cancelled["prompt_id"], cancelled["outcome"]) == (prompt_id, "unknown_prompt")


def test_probes_are_silent_as_long_as_they_go_well(api: FlaskClient, sim: Simulator, log: Log) -> None:
    for path in ("/health", "/ready", "/metrics"):
        response = api.get(path)
        assert response.data
        assert response.status_code == 200
    assert log.lines == []
    sim.stop()
    failure(api.get("/ready"), 503, "comfyui_unreachable")
    assert (log.lines[-1]["path"], log.lines[-1]["outcome"]) == ("/ready", "comfyui_unreachable")


# -- answers that did not get there


def test_an_answer_that_is_cut_off(
    api: FlaskClient, sim: Simulator, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ROOM", "BEGINNING"):
        monkeypatch.setattr(delivery, name, 100_000)
    picture = b"\x89PNG\r\n\x1a\n" + bytes(1_000_000)
    sim.fail_route("/view", 200, picture, times=None, cut=900_000)
    response = api.post("/generate", json={"workflow": graphs.picture()}, headers={"Accept": "image/*"})
    with pytest.raises(ConnectionResetError):
        response.data  # noqa: B018  # never comes to its end
    line = log.only
    assert (line["status"], line["outcome"], line["level"]) == (200, "cut", "warning")
    assert 0 < line["bytes"] < 1_000_000
    assert "ComfyUI" in line["error"]


def test_a_caller_who_hung_up(
    make_app: Callable[..., Flask], sim: Simulator, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "HEARTBEAT_SECONDS", 0.05)
    body = json.dumps({"workflow": graphs.picture()}).encode()
    head = "POST /generate HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n"
    head += f"Content-Length: {len(body)}\r\n\r\n"
    sim.hold()
    with served(make_app()) as url:
        with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), SECONDS) as caller:
            caller.sendall(head.encode() + body)
            assert caller.recv(4096).startswith(b"HTTP/1.1 200 ")
            sim.wait_until_running()
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        line = json.loads(wait_for_line(lambda: log.text))
        sim.release()
    assert (line["outcome"], line["server"], line["workflow"]) == ("hung_up", sim.url, "graph")
    assert line["prompt_id"]


# -- what is in no line


def test_nothing_private_is_logged(
    make_app: Callable[..., Flask], sim: Simulator, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = sim.url.replace("://", "://me:cret1@")
    api = make_app(comfyui_url=url, comfyui_headers={"X-Token": "cret2"}, fetch_allow_hosts="127.0.0.1").test_client()
    ask = {"path": "/generate?token=cret3", "headers": {"X-API-Key": "cret4", "Authorization": "Bearer cret5"}}
    private = {"prompt": PROMPT, "negative_prompt": "cret6", "extra_data": {"api_key_comfy_org": "cret7"}}
    success(api.post(**ask, json={**private, "steps": 1}))
    failure(api.post(**ask, json={**private, "cret8": 1}), 400, "invalid_request")
    failure(api.post(**ask, json={**private, "model": "cret9"}), 400, "invalid_request")
    image = {"workflow": "img2img", "images": {"image": "http://me:cret10@127.0.0.1:1/cat.png?x=cret11"}}
    failure(api.post(**ask, json={**private, **image}), 400, "invalid_request")
    graph = graphs.picture()
    graph["2"]["inputs"]["filename_prefix"] = "cret12 isn't"
    sim.fail_route("/view", 404)
    failure(api.post(**ask, json={"workflow": graph}), 502, "comfyui_error")
    assert log.lines[-1]["error"] == "ComfyUI no longer has the output file ...."
    monkeypatch.setattr(Bridge, "collect", lambda self, submission, _: {}[submission.filled.params["prompt"]])
    failure(api.post(**ask, json={**private, "steps": 1}), 500, "internal_error")
    sim.stop()
    failure(api.post(**ask, json=private), 503, "comfyui_unreachable")
    assert len([line for line in log.lines if "outcome" in line]) == 7
    assert "cret" not in log.text
    assert PROMPT not in log.text
    (bug,) = [line for line in log.lines if "traceback" in line]
    assert bug["traceback"].splitlines()[0] == "Traceback (most recent call last):"
    assert bug["traceback"].splitlines()[-1] == "KeyError"


def test_prompts_are_logged_if_asked_for_and_no_more_than_makes_sense(
    make_app: Callable[..., Flask], sim: Simulator, listen: Callable[[logging.Formatter], Log]
) -> None:
    log = listen(logs.JsonFormatter(quotes=True))
    api = make_app(log_prompts=True).test_client()
    asked = {"prompt": PROMPT + "!" * 10_000, "steps": 1, "seed": 5}
    success(api.post("/generate", json=asked))
    params = log.only["params"]
    assert (params["prompt"][:30], params["seed"], params["steps"]) == (asked["prompt"][:30], 5, 1)
    assert len(log.text) < 2000
    said = failure(api.post("/generate", json={"prompt": PROMPT, "steps": "many"}), 400, "invalid_request")["error"]
    assert log.lines[-1]["error"] == said


@pytest.mark.parametrize("formatter", [logs.JsonFormatter(quotes=False), logs.TextFormatter(quotes=False)])
def test_no_caller_can_break_a_line(
    api: FlaskClient, listen: Callable[[logging.Formatter], Log], formatter: logging.Formatter
) -> None:
    log = listen(formatter)
    evil = "%0d%0a2026-01-01%20ERROR%20%1b[31m%e2%80%a8%c2%85x"
    failure(api.get(f"/nowhere/{evil}", headers={"X-Request-Id": "a b {}"}), 404, "not_found")
    failure(api.open("/nowhere", method="FOO"), 404, "not_found")
    assert len(log.text.splitlines()) == 2
    assert log.text.count("\n") == 2
    assert log.text.replace("\n", "").isprintable()
    assert "a b {}" not in log.text


# -- how it is written


def test_what_else_is_logged_is_json_too(api: FlaskClient, log: Log) -> None:
    logging.getLogger("comfybridge.cli.elsewhere").warning("The websocket to %s was lost.", "x")
    line = log.only
    assert datetime.fromisoformat(line.pop("time"))
    assert line == {
        "level": "warning",
        "logger": "comfybridge.cli.elsewhere",
        "message": "The websocket to x was lost.",
    }


def test_a_line_of_text_is_for_people(api: FlaskClient, listen: Callable[[logging.Formatter], Log]) -> None:
    log = listen(logs.TextFormatter(quotes=False))
    success(api.post("/generate", json={"workflow": graphs.picture()}))
    assert re.fullmatch(
        r"\S+ \S+ INFO POST /generate 200 success: request_id \S+, dialect native, prompt_id \S+, server \S+, "
        r"workflow graph, queued [\d.]+, executing [\d.]+, total [\d.]+, bytes \d+\n",
        log.text,
    )


@pytest.mark.parametrize(
    ("is_terminal", "format", "kind"),
    [
        (True, None, logs.TextFormatter),
        (False, None, logs.JsonFormatter),
        (True, "json", logs.JsonFormatter),
        (False, "text", logs.TextFormatter),
    ],
)
def test_a_terminal_gets_text_and_a_file_json_unless_something_else_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, is_terminal: bool, format: Any, kind: type
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: is_terminal)
    assert type(logs.configure(format, quotes=False)) is kind


@pytest.mark.parametrize("arguments", EVERY_SERVER[1:])
def test_every_server_logs_so(sim: Simulator, tmp_path: Path, arguments: list[str]) -> None:
    server = Server(arguments, COMFYUI_URL=sim.url, COMFYBRIDGE_PORT=free_port())
    try:
        answer = requests.post(f"{server.url}/generate", json={"workflow": graphs.picture()}, timeout=SECONDS)
        until_true(lambda: '"prompt_id"' in server.said.rpartition("\n")[0])
    finally:
        server.end()
    [line] = [json.loads(each) for each in server.said.splitlines() if '"prompt_id"' in each]
    assert (line["prompt_id"], line["outcome"]) == (answer.json()["prompt_id"], "success")
    assert line["bytes"] == len(answer.content)

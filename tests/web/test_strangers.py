"""What stands at COMFYUI_URL is not ComfyUI: a web page, a login, a tunnel without an end, another service."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient

from comfybridge.cli.main import main
from comfybridge.settings import load_settings
from comfybridge.simulator import Simulator
from comfybridge.web import create_app
from tests import graphs
from tests.comfyui.exchange import Exchange, reply
from tests.web.answers import failure

HTML = {"Content-Type": "text/html; charset=utf-8"}
JSON = {"Content-Type": "application/json"}
ITSELF = "; COMFYUI_URL must name ComfyUI itself, with the path that it is served under."
CREDENTIALS = "; COMFYUI_URL or COMFYUI_HEADERS must hold credentials that it accepts."
PAGE = "<!-- x --><!DOCTYPE html>\n<html><head><title>\n Welcome to &quot;nginx&quot;! </title></head></html>"
LOGIN = "<html><form><input name=x type='password'></form></html>"
NGROK = "<!DOCTYPE html><html><body>The endpoint x.ngrok.app is offline. ERR_NGROK_3200</body></html>"

UNREACHABLE = "comfyui_unreachable"

Answered = tuple[int, dict[str, str], str]

STRANGERS: dict[str, tuple[Answered, str]] = {
    "a page": ((200, HTML, PAGE), "a web page titled 'Welcome to \"nginx\"!' (HTTP 200 to {asked})" + ITSELF),
    "a page that says nothing of its type": (
        (200, {}, "<html><body>Hello</body></html>"),
        "a web page (HTTP 200 to {asked})" + ITSELF,
    ),
    "a page of another application": (
        (404, HTML, "<title>404 Not Found</title>"),
        "a web page titled '404 Not Found' (HTTP 404 to {asked})" + ITSELF,
    ),
    "a login": ((200, HTML, LOGIN), "a login page (HTTP 200 to {asked})" + CREDENTIALS),
    "a login by its title": (
        (200, HTML, "<title>Sign in to GPU cloud</title>"),
        "a login page titled 'Sign in to GPU cloud' (HTTP 200 to {asked})" + CREDENTIALS,
    ),
    "a redirect to a login": (
        (302, {"Location": "https://me:secret@sso.example:8443/login?token=secret"}, ""),
        "a redirect to a login at https://sso.example:8443 (HTTP 302 to {asked})" + CREDENTIALS,
    ),
    "a redirect to a login of its own": (
        (302, {"Location": "/login?next=%2Fprompt"}, ""),
        "a redirect to a login (HTTP 302 to {asked})" + CREDENTIALS,
    ),
    "a redirect": (
        (301, {"Location": "https://gpu.example/prompt"}, ""),
        "a redirect to https://gpu.example (HTTP 301 to {asked}); COMFYUI_URL must name the place that it leads to.",
    ),
    "another service": ((404, JSON, '{"detail": "Not Found"}'), "another service (HTTP 404 to {asked})" + ITSELF),
    "another service's text": ((404, {}, "404 page not found"), "another service (HTTP 404 to {asked})" + ITSELF),
    "another method": (
        (405, JSON, '{"detail": "Method Not Allowed"}'),
        "another service (HTTP 405 to {asked})" + ITSELF,
    ),
    "another bridge": (
        (404, JSON, json.dumps({"status": "error", "type": "not_found", "error": "x", "request_id": "y"})),
        "another ComfyBridge (HTTP 404 to {asked})" + ITSELF,
    ),
}

REFUSALS: dict[str, tuple[Answered, str]] = {
    "credentials that are missing": ((401, {}, ""), "ComfyUI answered 401 to {asked}: it requires credentials in"),
    "a challenge": (
        (403, HTML, "<title>Just a moment...</title>"),
        "ComfyUI answered 403 to {asked} with a web page titled 'Just a moment...': it requires credentials",
    ),
    "a failure with a page": (
        (500, HTML, "<title>Oops</title>"),
        "ComfyUI answered 500 to {asked} with a web page titled 'Oops'.",
    ),
    "a text": ((200, {}, "OK"), "ComfyUI's answer to {asked} is not a JSON"),
}

UNREACHED: dict[str, tuple[Answered, str]] = {
    "a proxy": ((502, HTML, "<title>502 Bad Gateway</title>"), "by the proxy in front of it (HTTP 502)"),
    "Cloudflare": (
        (530, HTML, "<title>x | 530: Argo Tunnel error</title>"),
        "by the proxy in front of it (HTTP 530)",
    ),
    "ngrok": ((404, HTML, NGROK), "cannot be reached by the tunnel in front of it (ERR_NGROK_3200, HTTP 404)"),
    "ngrok's header": (
        (404, {"Ngrok-Error-Code": "ERR_NGROK_3200"}, "gone"),
        "cannot be reached by the tunnel in front of it (ERR_NGROK_3200, HTTP 404)",
    ),
}


@pytest.fixture
def server() -> Iterator[Exchange]:
    with Exchange() as exchange:
        yield exchange


def api_of(server: Exchange, **settings: Any) -> FlaskClient:
    return create_app(load_settings(comfyui_url=f"{server.url}/comfy", **settings)).test_client()


def say(server: Exchange, answered: Answered, asked: str) -> None:
    """Answer one call so, whatever the bridge asks after it."""
    status, headers, body = answered
    method, _, path = asked.partition(" ")
    if path == "/queue":  # a newer ComfyUI has a job list, which is read first
        server.on(method, "/comfy/api/jobs", reply(body, status=status, headers=headers))
    server.on(method, f"/comfy{path}", reply(body, status=status, headers=headers))


def said_of(server: Exchange, answered: Answered, method: str, path: str, asked: str, status: int, type: str) -> str:
    """The sentence where that is what answers; it has nothing of the credentials."""
    say(server, answered, asked)
    body = {"workflow": graphs.picture()} if method == "POST" else None
    said: str = failure(api_of(server).open(path, method=method, json=body), status, type)["error"]
    assert "secret" not in said
    return said


@pytest.mark.parametrize("kind", STRANGERS)
@pytest.mark.parametrize(
    ("method", "path", "asked", "status", "type"),
    [
        ("POST", "/generate", "GET /object_info/SaveImage", 502, "comfyui_error"),
        ("GET", "/ready", "GET /prompt", 503, UNREACHABLE),
        ("GET", "/queue", "GET /queue", 502, "comfyui_error"),
    ],
)
def test_a_stranger_is_named_with_the_setting(
    server: Exchange, kind: str, method: str, path: str, asked: str, status: int, type: str
) -> None:
    answered, what = STRANGERS[kind]
    said = said_of(server, answered, method, path, asked, status, type)
    expected = what.format(asked=asked)
    assert said == f"What answers at COMFYUI_URL ({server.url}/comfy) is not ComfyUI but {expected}"


@pytest.mark.parametrize("path", ["/models", "/models/loras"])
@pytest.mark.parametrize("kind", ["a page", "a page of another application", "a redirect to a login"])
def test_models_are_no_models_of_a_stranger(server: Exchange, kind: str, path: str) -> None:
    answered, what = STRANGERS[kind]
    said = said_of(server, answered, "GET", path, f"GET {path}", 502, "comfyui_error")
    assert said.endswith(what.format(asked=f"GET {path}"))


@pytest.mark.parametrize("kind", REFUSALS)
def test_who_does_not_let_the_bridge_in_is_told_by_what_it_says(server: Exchange, kind: str) -> None:
    answered, what = REFUSALS[kind]
    said = said_of(server, answered, "GET", "/models", "GET /models", 502, "comfyui_error")
    assert said.startswith(what.format(asked="GET /models"))


def test_credentials_that_are_given_are_the_wrong_ones(server: Exchange) -> None:
    say(server, (401, {}, ""), "GET /models")
    api = api_of(server, comfyui_headers="Authorization: Bearer secret")
    said = failure(api.get("/models"), 502, "comfyui_error")["error"]
    assert "it does not accept the credentials in COMFYUI_URL or COMFYUI_HEADERS." in said
    assert "secret" not in said


@pytest.mark.parametrize("kind", UNREACHED)
@pytest.mark.parametrize(
    ("method", "path", "asked"),
    [
        ("POST", "/generate", "GET /object_info/SaveImage"),
        ("GET", "/ready", "GET /prompt"),
        ("GET", "/models", "GET /models"),
    ],
)
def test_a_tunnel_without_an_end_is_nobody(server: Exchange, kind: str, method: str, path: str, asked: str) -> None:
    answered, what = UNREACHED[kind]
    said = said_of(server, answered, method, path, asked, 503, UNREACHABLE)
    assert said.startswith(f"ComfyUI at {server.url}/comfy ")
    assert what in said


@pytest.mark.parametrize("kind", ["a page", "a redirect to a login", "another service"])
def test_the_command_line_says_so_too(server: Exchange, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    answered, what = STRANGERS[kind]
    asked = "GET /object_info/CheckpointLoaderSimple"
    say(server, answered, asked)
    assert main(["generate", "x", "--comfyui-url", f"{server.url}/comfy"]) > 0
    assert f"({server.url}/comfy) is not ComfyUI but {what.format(asked=asked)}" in capsys.readouterr().err


def test_a_page_is_no_picture(api: FlaskClient, sim: Simulator) -> None:
    """The login of a proxy that has run out while the prompt ran."""
    for status in (200, 404):
        sim.fail_route("/view", status, LOGIN.encode(), headers=HTML)
        response = api.post("/generate", json={"workflow": graphs.picture()}, headers={"Accept": "image/*"})
        said = failure(response, 502, "comfyui_error")["error"]
        assert f"is not ComfyUI but a login page (HTTP {status} to GET /view)" in said


def test_a_page_that_refuses_a_graph_is_no_refusal_of_comfyui(api: FlaskClient, sim: Simulator) -> None:
    sim.fail_route("/prompt", 400, b"<html><title>plain HTTP was sent</title>", headers=HTML, method="POST")
    response = api.post("/generate", json={"workflow": graphs.picture()})
    assert "a web page titled 'plain HTTP was sent'" in failure(response, 502, "comfyui_error")["error"]
    sim.fail_route("/prompt", 400, b'{"detail": "no"}', headers=JSON, method="POST")
    response = api.post("/generate", json={"workflow": graphs.picture()})
    assert failure(response, 502, "comfyui_error")["error"].endswith(ITSELF)


def test_a_page_without_an_end_is_read_no_further_than_its_beginning(server: Exchange) -> None:
    said = said_of(server, (200, HTML, "<title>" * 1_000_000), "GET", "/ready", "GET /prompt", 503, UNREACHABLE)
    assert "a web page (HTTP 200 to GET /prompt)" in said


def test_http_is_not_taken_for_https() -> None:
    """The other way round is the client's to tell."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

        answering = threading.Thread(target=answer)
        answering.start()
        response = create_app(load_settings(comfyui_url=url)).test_client().get("/ready")
        answering.join()
    assert failure(response, 503, UNREACHABLE)["error"] == (
        f"ComfyUI at {url} does not speak TLS (if it has no https, COMFYUI_URL must begin with http://)."
    )

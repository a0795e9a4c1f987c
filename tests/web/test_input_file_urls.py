"""Input files that are fetched from URLs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from comfybridge.simulator import Simulator
from tests.web.answers import success
from tests.web.input_files import b64, loading, png, refused, same_color, sent_graph


@pytest.fixture
def files() -> Iterator[str]:
    """A web server with a picture, `http://127.0.0.1:PORT`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            data = png("green")
            self.send_response(200)
            self.send_header("Content-Type", "image/png")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_a_url_is_fetched_where_the_settings_allow_its_host(
    make_app: Callable[..., Flask], sim: Simulator, files: str
) -> None:
    api = make_app(fetch_allow_hosts="127.0.0.1").test_client()
    asked = {"workflow": loading("a"), "images": {"a": f"{files}/cat.png"}}
    assert same_color(success(api.post("/generate", json=asked))["images"][0], png("green"))


@pytest.mark.parametrize("way", ["url", "data uri", "base64"])
def test_an_image_parameter_takes_a_text_in_a_form(
    make_app: Callable[..., Flask], sim: Simulator, files: str, way: str
) -> None:
    api = make_app(fetch_allow_hosts="127.0.0.1").test_client()
    long = b64(png(size=(300, 300)))
    text = {"url": f"{files}/cat.png", "data uri": f"data:image/png;base64,{b64(png())}", "base64": long}[way]
    form = {"workflow": "img2img", "image": text, "steps": "1"}
    success(api.post("/generate", data=form, content_type="multipart/form-data"))
    assert sent_graph(sim)["10"]["inputs"]["image"].startswith("comfybridge/")


def test_a_url_into_the_own_network_is_refused(api: FlaskClient, sim: Simulator, files: str) -> None:
    asked = {"workflow": loading("a"), "images": {"a": f"{files}/cat.png?token=secret"}}
    response = api.post("/generate", json=asked)
    refused(response, sim, "images: a: 127.0.0.1 is not a public host")
    assert "secret" not in response.text


def test_fetched_files_count_against_the_limit(make_app: Callable[..., Flask], sim: Simulator, files: str) -> None:
    most = len(png("green")) + 10
    api = make_app(fetch_allow_hosts="127.0.0.1", max_upload_bytes=most).test_client()
    success(api.post("/generate", json={"workflow": loading("a"), "images": {"a": files}}))
    sim.forget_requests()
    asked = {"workflow": loading("a", "b"), "images": {"a": files, "b": files}}
    said = f"The input files have more than {most} bytes, the most that a request may have."
    refused(api.post("/generate", json=asked), sim, said, "too_large", 413)


class SlowSite:
    """A web server that holds its answers back until as many were asked for at the same time as a test wants.

    Attributes:
        wanted: that many.
        most: how many were ever held back at the same time.
    """

    def __init__(self, wanted: int) -> None:
        self.wanted = wanted
        self.most = 0
        self._held = 0
        self._changed = threading.Condition()
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site._hold()
                status = 404 if "gone" in self.path else 200
                self.send_response(status)
                self.send_header("Content-Type", "image/png")
                self.end_headers()
                self.wfile.write(png("green"))

            def log_message(self, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def _hold(self) -> None:
        with self._changed:
            self._held += 1
            self.most = max(self.most, self._held)
            self._changed.notify_all()
            self._changed.wait_for(lambda: self.most >= self.wanted, timeout=5)
            self._held -= 1


@pytest.fixture
def four_at_once() -> Iterator[SlowSite]:
    site = SlowSite(4)
    yield site
    site.server.shutdown()
    site.server.server_close()


def test_urls_are_fetched_four_at_a_time(make_app: Callable[..., Flask], four_at_once: SlowSite) -> None:
    api = make_app(fetch_allow_hosts="127.0.0.1", fetch_timeout=2).test_client()
    names = [f"file{number}" for number in range(6)]
    asked = {"workflow": loading(*names), "images": {name: f"{four_at_once.url}/{name}" for name in names}}
    assert len(success(api.post("/generate", json=asked))["images"]) == 6
    assert four_at_once.most == 4


def test_of_several_urls_that_fail_the_first_is_named(
    make_app: Callable[..., Flask], sim: Simulator, four_at_once: SlowSite
) -> None:
    api = make_app(fetch_allow_hosts="127.0.0.1").test_client()
    urls = {"a": "/a.png", "b": "/gone", "c": "/c.png", "d": "/gone"}
    images = {name: four_at_once.url + path for name, path in urls.items()}
    response = api.post("/generate", json={"workflow": loading(*urls), "images": images})
    refused(response, sim, "images: b: 127.0.0.1 answered 404 instead of the file.")

"""Callers that block on a bridge while something goes wrong, and a look at what they leave behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from werkzeug.test import TestResponse

from comfybridge.bridge import Bridge
from comfybridge.settings import load_settings
from comfybridge.simulator import Simulator
from comfybridge.web import create_app
from tests import graphs
from tests.waiting import until_true
from tests.web.answers import image, success

LONG = 30.0
WAITERS = ("hub", "websocket", "poll")


class Asked:
    """One caller's request, made in a thread of its own.

    Attributes:
        ended: when the answer had come, on `time.monotonic()`'s clock.
    """

    def __init__(self, post: Callable[[], TestResponse]) -> None:
        self._post = post
        self._response: TestResponse | None = None
        self.began = time.monotonic()
        self.ended = 0.0
        self._thread = threading.Thread(target=self._run, name="caller")
        self._thread.start()

    def _run(self) -> None:
        self._response = self._post()
        self.ended = time.monotonic()

    @property
    def is_over(self) -> bool:
        return not self._thread.is_alive()

    @property
    def response(self) -> TestResponse:
        self._thread.join(LONG)
        assert self._response is not None, "no answer"
        return self._response

    @property
    def took(self) -> float:
        assert self.ended
        return self.ended - self.began

    def picture(self, size: tuple[int, int] = (64, 48)) -> dict[str, Any]:
        """The body of an answer that has its picture."""
        body = success(self.response)
        assert [image(each).size for each in body["images"]] == [size] * len(body["images"])
        assert body["images"]
        return body

    def error(self) -> tuple[int, str]:
        """Status and type of an answer that is an error."""
        body = self.response.get_json()
        assert body["status"] == "error", body
        return self.response.status_code, body["type"]


class Front:
    """A bridge with its web face and callers."""

    def __init__(self, sim: Simulator, **settings: Any) -> None:
        self.sim = sim
        self.app = create_app(load_settings(**{"comfyui_url": sim.url, **settings}))
        self.bridge: Bridge = self.app.extensions["comfybridge"]
        self.asked: list[Asked] = []

    def ask(
        self, graph: dict[str, Any] | None = None, *, headers: dict[str, str] | None = None, **fields: Any
    ) -> Asked:
        """Ask for a picture in another thread."""
        body = {"workflow": graph or graphs.picture(), "timeout": LONG, **fields}
        asked = Asked(lambda: self.app.test_client().post("/generate", json=body, headers=headers))
        self.asked.append(asked)
        return asked

    def ask_each(self, *waiters: str, **fields: Any) -> dict[str, Asked]:
        """Ask once in each way to wait, and wait until all of them are queued."""
        there = len(self.sim.running) + len(self.sim.pending)
        asked = {waiter: self.ask(wait=waiter, **fields) for waiter in waiters or WAITERS}
        self.sim.wait_until_queued(there + len(asked))
        # until they are waiting, not just queued on ComfyUI
        until_true(lambda: len(self.bridge.under_way) >= len(asked))
        return asked

    def check_left_behind(self, hubs: int = 1) -> None:
        """Nobody is blocked any more, and nothing is held for those who were."""
        for each in self.asked:
            each.response  # noqa: B018  # waits for it
        until_true(lambda: self.bridge.slots.taken == 0)
        until_true(lambda: self.sim.sockets <= hubs)
        until_true(lambda: all(server.in_flight == 0 for server in self.bridge.servers.all))
        until_true(lambda: not len(self.bridge.under_way))

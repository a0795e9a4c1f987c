"""Callers of a bridge of a fleet in this process, and what is behind it."""

from __future__ import annotations

import threading
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from comfybridge.bridge import Bridge
from comfybridge.jobs.fleet import Fleet
from comfybridge.jobs.jobs import Jobs
from comfybridge.prompts.admitted import Admitted
from comfybridge.request import GenerationRequest
from comfybridge.web.current import EXTENSION, JOBS, RUNNER
from tests import graphs
from tests.waiting import SECONDS


class Calling:
    """A request in a thread of its own."""

    def __init__(self, client: FlaskClient, body: dict[str, Any], **options: Any) -> None:
        self._answer: TestResponse | None = None

        def call() -> None:
            self._answer = client.post("/generate", json=body, **options)

        self._thread = threading.Thread(target=call)
        self._thread.start()

    @property
    def answer(self) -> TestResponse:
        self._thread.join(SECONDS)
        assert self._answer is not None
        return self._answer


def runner_of(client: FlaskClient) -> Fleet:
    runner = client.application.extensions[RUNNER]
    assert isinstance(runner, Fleet)
    return runner


def jobs_of(client: FlaskClient) -> Jobs:
    jobs = client.application.extensions[JOBS]
    assert isinstance(jobs, Jobs)
    return jobs


def bridge_of(client: FlaskClient) -> Bridge:
    bridge = client.application.extensions[EXTENSION]
    assert isinstance(bridge, Bridge)
    return bridge


def admitted(client: FlaskClient, **fields: Any) -> Admitted:
    return bridge_of(client).admit(GenerationRequest(graph=graphs.picture(), **fields))

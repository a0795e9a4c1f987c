"""Callers that only connect, against a server that runs as a user starts it; and a stop under load."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Callable

import pytest
import requests

from comfybridge.simulator import Simulator
from tests import graphs
from tests.test_serving import EVERY_SERVER, SECONDS, WAITRESS, Server, start

__all__ = ["start"]  # a fixture

CALLERS = 20


@pytest.mark.skipif(os.name == "nt", reason="Windows ends processes without a word")
@pytest.mark.parametrize("arguments", [EVERY_SERVER[0], EVERY_SERVER[2]])
def test_a_stop_under_load_loses_nobody(
    start: Callable[..., Server],
    sim: Simulator,
    arguments: list[str],
) -> None:
    server = start(arguments)
    sim.hold()
    answers: list[int] = []

    def ask() -> None:
        body = {"workflow": graphs.picture()}
        answers.append(requests.post(f"{server.url}/generate", json=body, timeout=SECONDS).status_code)

    callers = [threading.Thread(target=ask) for _ in range(CALLERS)]
    for caller in callers:
        caller.start()
    sim.wait_until_queued(CALLERS)
    server.stop(signal.SIGTERM)
    if arguments is WAITRESS:  # gunicorn's arbiter keeps the port: new callers hang until its worker has ended
        with pytest.raises(requests.ConnectionError):
            requests.post(f"{server.url}/generate", json={"workflow": graphs.picture()}, timeout=SECONDS)
    sim.release()
    for caller in callers:
        caller.join(SECONDS)
    assert answers == [200] * CALLERS
    assert server.process.wait(SECONDS) == 0


@pytest.mark.parametrize("arguments", [EVERY_SERVER[2]])  # gunicorn does not pass yet
def test_connections_left_idle_keep_nobody_out(
    start: Callable[..., Server],
    sim: Simulator,
    arguments: list[str],
) -> None:
    server = start(arguments)
    place = ("127.0.0.1", int(server.url.rpartition(":")[2]))
    with contextlib.ExitStack() as held:
        for _ in range(1_000):
            held.enter_context(socket.create_connection(place, SECONDS))
        answer = requests.post(f"{server.url}/generate", json={"workflow": graphs.picture()}, timeout=5)
        assert answer.status_code == 200

"""The parts of the suite itself: what can be cut is cut, and what runs is counted."""

from __future__ import annotations

import socket

import pytest
import requests

from tests.fleet import comfyui
from tests.fleet.fleet import Fleet
from tests.fleet.proxy import Proxy
from tests.waiting import until_true


def test_runs_are_counted_although_the_comfyui_is_killed(fleet: Fleet) -> None:
    server = fleet.comfyui(step_seconds=60)
    requests.post(f"{server.url}/prompt", json={"prompt": comfyui.job("a")}, timeout=10).raise_for_status()
    fleet.wait_until_began("a")
    server.kill_and_start()
    assert server.queue_length() == 0
    requests.post(f"{server.url}/prompt", json={"prompt": comfyui.job("a")}, timeout=10).raise_for_status()
    fleet.wait_until_began("a", 2)
    runs = fleet.runs()
    assert (runs.again(), runs.ended) == ({"a": 1}, {})


def test_an_engine_keeps_its_address(fleet: Fleet) -> None:
    engine = fleet.engine()
    engine.kill_and_start()
    with socket.create_connection(("127.0.0.1", engine.port), 10) as connection:
        assert connection.recv(5) == b"INFO "


def test_nothing_passes_a_network_that_is_cut(fleet: Fleet) -> None:
    engine = fleet.engine()
    proxy = Proxy(engine.port)
    fleet.keep(proxy.close)
    with socket.create_connection(("127.0.0.1", proxy.port), 10) as connection:
        connection.recv(1000)
        proxy.cut()
        connection.sendall(b"PING\r\n")
        connection.settimeout(0.1)
        with pytest.raises(TimeoutError):
            connection.recv(1000)
        proxy.heal()
        connection.settimeout(10)
        assert b"PONG" in connection.recv(1000) or connection.recv(1000)
        proxy.reset()
        until_true(lambda: connection.recv(1000) == b"", 10)


def test_what_a_receiver_refuses_is_not_accepted(fleet: Fleet) -> None:
    receiver = fleet.receiver
    receiver.down()
    body = {"data": {"id": "a", "status": "succeeded"}}
    assert requests.post(receiver.url, json=body, headers={"webhook-id": "1"}, timeout=10).status_code == 503
    receiver.up()
    assert requests.post(receiver.url, json=body, headers={"webhook-id": "1"}, timeout=10).status_code == 200
    assert (len(receiver.accepted["a"]), receiver.hook_ids["a"], receiver.refused) == (1, {"1"}, 1)


def test_a_process_that_is_left_over_is_noticed(fleet: Fleet) -> None:
    fleet.comfyui()
    with pytest.raises(AssertionError, match="comfyui"):
        fleet.check_nothing_left(0.1)

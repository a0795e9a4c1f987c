"""Several processes of one bridge, which know of each other's requests where a caller asks without an id."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from comfybridge.simulator import Simulator
from tests.serving.servers import Server, free_port
from tests.waiting import SECONDS, until_true

SHOP, PRESS = ("me", "shop-secret"), ("me", "press-secret")


@pytest.fixture
def pair(sim: Simulator) -> Iterator[list[Server]]:
    """Two processes with the same settings: what `gunicorn -w 2` starts, but each on an address of its own."""
    settings = {
        "COMFYUI_URL": sim.url,
        "COMFYBRIDGE_PORT": free_port(),
        "COMFYBRIDGE_API_KEYS": "shop=shop-secret,press=press-secret",
    }
    servers = []
    for _ in range(2):
        address = f"127.0.0.1:{free_port()}"
        server = Server(["-m", "gunicorn", "-b", address, "tests.web.shapes_app:app"], **settings)
        server.url = f"http://{address}/shapes/v1"
        servers.append(server)
    yield servers
    for server in servers:
        server.end()


def how_far(server: Server, caller: tuple[str, str]) -> dict[str, Any] | None:
    answer = requests.get(f"{server.url}/how-far", auth=caller, timeout=SECONDS)
    told: dict[str, Any] | None = answer.json()["progress"]
    return told


def end(server: Server, caller: tuple[str, str]) -> int:
    count: int = requests.post(f"{server.url}/end", auth=caller, timeout=SECONDS).json()["ended"]
    return count


def test_a_caller_is_shown_and_stopped_whichever_process_it_asks(pair: list[Server], sim: Simulator) -> None:
    one, other = pair
    statuses: list[int] = []

    def draw() -> None:
        body = {"text": "a ring", "count": 3}
        statuses.append(requests.post(f"{one.url}/draw", json=body, auth=SHOP, timeout=SECONDS).status_code)

    sim.hold_steps(1)
    caller = threading.Thread(target=draw)
    caller.start()
    until_true(lambda: (how_far(other, SHOP) or {}).get("step") == 1)
    told = how_far(other, SHOP)
    assert told is not None
    assert told["preview"]
    assert told["job_count"] == 3
    assert how_far(other, PRESS) is how_far(one, PRESS) is None
    assert end(other, PRESS) == end(one, PRESS) == 0
    sim.wait_until_queued(3)
    assert end(other, SHOP) == 3
    caller.join(SECONDS)
    assert statuses == [409]
    sim.wait_until_idle()
    assert how_far(one, SHOP) is how_far(other, SHOP) is None


def test_what_a_killed_process_had_is_not_shown(pair: list[Server], sim: Simulator) -> None:
    one, other = pair
    sim.hold_steps(1)

    def draw() -> None:
        with pytest.raises(requests.RequestException):
            requests.post(f"{one.url}/draw", json={"text": "a ring"}, auth=SHOP, timeout=SECONDS)

    caller = threading.Thread(target=draw)
    caller.start()
    until_true(lambda: how_far(other, SHOP) is not None)
    one.end()
    caller.join(SECONDS)
    assert how_far(other, SHOP) is None
    assert end(other, SHOP) == 0
    sim.release()

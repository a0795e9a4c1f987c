"""`GET /metrics`: what Prometheus is told, by one process and by several."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from comfybridge.comfyui import servers
from comfybridge.simulator import Simulator
from tests import graphs
from tests.serving.servers import GUNICORN, Server, free_port
from tests.web.answers import failure, success

SECONDS = 30
PHASES = {"queued", "executing", "delivering", "total"}

Figures = Mapping[tuple[str, frozenset[tuple[str, str]]], float]


def parsed(text: str) -> Figures:
    return {
        (sample.name.removeprefix("comfybridge_"), frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def figures(api: FlaskClient) -> Figures:
    response = api.get("/metrics")
    assert response.status_code == 200
    assert response.content_type.startswith("text/plain; version=")
    return parsed(response.text)


def figure(found: Figures, name: str, **labels: str) -> float | None:
    return found.get((name, frozenset(labels.items())))


def wait_for(told: Callable[[], Figures], is_so: Callable[[Figures], bool]) -> Figures:
    """The figures, once they are as they should be."""
    until = time.monotonic() + SECONDS
    while not is_so(found := told()):
        assert time.monotonic() < until, found
        time.sleep(0.05)
    return found


def counted(found: Figures) -> dict[tuple[str, str, str], float]:
    """How many requests there were, by operation, workflow and outcome."""
    return {
        tuple(dict(labels)[each] for each in ("operation", "workflow", "outcome")): value  # type: ignore[misc]
        for (name, labels), value in found.items()
        if name == "requests_total"
    }


def test_requests_are_counted_by_what_came_of_them(api: FlaskClient) -> None:
    sent = 0
    for _ in range(2):
        sent += len(api.post("/generate", json={"workflow": graphs.picture()}).data)
    sent += len(api.post("/generate", json={"prompt": "a cat", "steps": 1}).data)
    for name in ("one", "two"):
        sent += len(api.post("/generate", json={"workflow": name}).data)
    sent += len(api.get("/results/0").data)
    sent += len(api.get("/nowhere").data)
    for path in ("/health", "/ready", "/metrics"):
        api.get(path)
    found = figures(api)
    assert counted(found) == {
        ("native.generate", "graph", "success"): 2,
        ("native.generate", "txt2img", "success"): 1,
        ("native.generate", "", "unknown_workflow"): 2,
        ("native.get_result", "", "unknown_prompt"): 1,
        ("none", "", "not_found"): 1,
    }
    assert figure(found, "sent_bytes_total") == sent


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
def test_the_time_of_a_prompt_is_told_by_phases(api: FlaskClient, accept: str) -> None:
    failure(api.post("/generate", json={"steps": "many"}), 400, "invalid_request")  # it would look very fast
    assert api.post("/generate", json={"workflow": graphs.picture()}, headers={"Accept": accept}).data
    found = figures(api)
    assert {phase: figure(found, "generate_seconds_count", phase=phase) for phase in PHASES} == dict.fromkeys(
        PHASES, 1
    )
    spent = {phase: figure(found, "generate_seconds_sum", phase=phase) or 0.0 for phase in PHASES}
    assert spent["total"] >= sum(spent.values()) - spent["total"]
    assert spent["delivering"] > 0
    assert figure(found, "generate_seconds_bucket", phase="total", le="3600.0") == 1


def test_a_prompt_that_failed_counts_as_time_too(api: FlaskClient, sim: Simulator) -> None:
    sim.fail_node("SaveImage", "no space left")
    failure(api.post("/generate", json={"workflow": graphs.picture()}), 500, "execution_failed")
    found = figures(api)
    assert figure(found, "generate_seconds_count", phase="total") == 1
    assert figure(found, "generate_seconds_count", phase="delivering") == 0
    assert counted(found) == {("native.generate", "graph", "execution_failed"): 1}


def test_slots_and_servers_are_told_as_they_are(make_app: Callable[..., Flask], sim: Simulator) -> None:
    api = make_app(max_concurrent=5).test_client()
    sim.hold()
    callers = [
        threading.Thread(target=api.application.test_client().post, args=["/generate"], kwargs={"json": body})
        for body in ({"workflow": graphs.picture()}, {"workflow": graphs.picture()})
    ]
    for caller in callers:
        caller.start()
    sim.wait_until_queued(2)
    # the hub receives it a moment later
    found = wait_for(lambda: figures(api), lambda found: figure(found, "server_queue_remaining", server=sim.url) == 2)
    assert (figure(found, "slots"), figure(found, "slots_taken")) == (5, 2)
    assert figure(found, "server_in_flight", server=sim.url) == 2
    assert figure(found, "server_up", server=sim.url) == 1
    sim.release()
    for caller in callers:
        caller.join(SECONDS)
    found = figures(api)
    assert (figure(found, "slots"), figure(found, "slots_taken")) == (5, 0)
    assert figure(found, "server_in_flight", server=sim.url) == 0


def test_a_server_that_is_gone_is_down_and_its_queue_unknown(
    make_app: Callable[..., Flask], sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servers, "FRESH_SECONDS", 0.1)
    with Simulator(step_seconds=0) as other:
        alone = make_app().test_client()
        both = make_app(comfyui_url=f"{sim.url},{other.url}").test_client()
        assert figure(figures(alone), "server_up", server=sim.url) == 1
        assert figure(figures(both), "server_queue_remaining", server=sim.url) == 0
        sim.stop()
        for api in (alone, both):
            found = wait_for(partial(figures, api), lambda found: figure(found, "server_up", server=sim.url) == 0)
            assert figure(found, "server_queue_remaining", server=sim.url) is None
            assert figure(found, "slots_taken") == 0
        assert figure(found, "server_up", server=other.url) == 1
        both.application.extensions["comfybridge"].close()


def test_credentials_are_in_no_label(make_app: Callable[..., Flask], sim: Simulator) -> None:
    api = make_app(comfyui_url=sim.url.replace("://", "://me:secret@")).test_client()
    success(api.post("/generate", json={"workflow": graphs.picture()}))
    text = api.get("/metrics").text
    assert f'server="{sim.url}"' in text
    assert "secret" not in text


def test_openmetrics_for_who_asks_for_it(api: FlaskClient) -> None:
    response = api.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert response.content_type.startswith("application/openmetrics-text")
    assert response.text.endswith("# EOF\n")


@pytest.mark.parametrize("kind", ["text/plain", "application/openmetrics-text"])
@pytest.mark.parametrize("version", ["0", "x", "1.0.0;escaping=y", "", "99.1"])
def test_a_version_that_nobody_knows_gets_the_usual_one(api: FlaskClient, kind: str, version: str) -> None:
    response = api.get("/metrics", headers={"Accept": f"{kind};version={version}"})
    assert response.status_code == 200
    assert response.content_type.startswith(kind)


def test_applications_in_one_process_count_apart(make_app: Callable[..., Flask]) -> None:
    one, two = make_app().test_client(), make_app().test_client()
    assert one.get("/queue").json
    assert counted(figures(one)) == {("native.get_queue", "", "success"): 1}
    assert counted(figures(two)) == {}


def test_they_can_be_switched_off(make_app: Callable[..., Flask]) -> None:
    api = make_app(metrics=False).test_client()
    success(api.post("/generate", json={"workflow": graphs.picture()}))
    assert "/metrics" not in failure(api.get("/metrics"), 404, "not_found")["error"].partition(";")[2]
    assert "/metrics" not in api.get("/openapi.json").get_json()["paths"]


# -- several worker processes


@pytest.fixture
def pair(sim: Simulator, tmp_path: Path) -> Iterator[Server]:
    """Two worker processes with three slots each."""
    environment = {"COMFYUI_URL": sim.url, "COMFYBRIDGE_PORT": free_port(), "COMFYBRIDGE_MAX_CONCURRENT": "3"}
    server = Server([*GUNICORN, "-w", "2"], TMPDIR=str(tmp_path), **environment)
    yield server
    server.end()


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="only Linux tells a process's children so")
def test_several_processes_are_told_of_as_one(pair: Server, sim: Simulator, tmp_path: Path) -> None:
    session = requests.Session()  # its connection is kept alive, so it reaches only one of the processes

    def told_by_one() -> Figures:
        return parsed(session.get(f"{pair.url}/metrics", timeout=SECONDS).text)

    def told_by_any() -> Figures:
        return parsed(requests.get(f"{pair.url}/metrics", timeout=SECONDS).text)

    def ask(_: Any = None) -> None:
        answer = requests.post(f"{pair.url}/generate", json={"workflow": graphs.picture()}, timeout=SECONDS)
        assert answer.json()["status"] == "success"

    wait_for(told_by_one, lambda found: figure(found, "slots") == 6)
    sim.hold()
    callers = [threading.Thread(target=ask) for _ in range(3)]
    for caller in callers:
        caller.start()
    sim.wait_until_queued(3)
    wait_for(told_by_one, lambda found: figure(found, "slots_taken") == 3)
    wait_for(told_by_one, lambda found: figure(found, "server_queue_remaining", server=sim.url) == 3)
    sim.release()
    for caller in callers:
        caller.join(SECONDS)
    for _ in range(7):
        ask()

    def all_is_told(found: Figures) -> bool:
        return counted(found) == {("native.generate", "graph", "success"): 10}

    wait_for(told_by_one, all_is_told)
    for _ in range(10):  # whichever process answers
        found = told_by_any()
        assert all_is_told(found)
        assert figure(found, "generate_seconds_count", phase="total") == 10
    wait_for(told_by_any, lambda found: figure(found, "server_in_flight", server=sim.url) == 0)

    session.close()
    master = pair.process.pid
    workers = Path(f"/proc/{master}/task/{master}/children").read_text().split()
    os.kill(int(workers[0]), signal.SIGKILL)  # its counters stay, and its gauges are left out

    def is_replaced(_: Figures) -> bool:
        now = Path(f"/proc/{master}/task/{master}/children").read_text().split()
        return len(now) == 2 and workers[0] not in now

    wait_for(told_by_any, is_replaced)
    assert all_is_told(wait_for(told_by_any, lambda found: figure(found, "slots") == 6))

    (folder,) = tmp_path.glob("comfybridge-metrics-*")
    (folder / "counter_1.db").touch()  # as on a full disk
    (folder / "gauge_livesum_1.db").write_bytes(b"@" * 64)
    for _ in range(6):
        assert all_is_told(told_by_any())
    for name in ("counter_1.db", "gauge_livesum_1.db"):  # each process reports it once
        assert 1 <= pair.said.count(f"{name} cannot be read") <= 2

    assert [each.name.startswith("comfybridge-metrics-") for each in tmp_path.iterdir()].count(True) == 1
    os.kill(master, signal.SIGTERM)
    pair.process.wait(SECONDS)
    assert not list(tmp_path.glob("comfybridge-metrics-*"))

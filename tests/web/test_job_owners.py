"""Jobs belong to keys, which have limits and take turns."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask

from comfybridge.simulator import Simulator
from tests import graphs
from tests.web.answers import failure, success
from tests.web.jobs import accepted, ended, jobs_of, make_jobs_app, queue, queued_at
from tests.web.keys import KEYS, PRESS, SHOP

__all__ = ["make_jobs_app"]

PICTURE = {"prompt": "a cat", "width": 64, "height": 64, "steps": 1}


@pytest.fixture
def make(make_jobs_app: Callable[..., Flask], policy_file: Callable[..., str]) -> Callable[..., Flask]:
    return lambda **policies: make_jobs_app(api_keys=KEYS, policy_file=policy_file(**policies) if policies else None)


def test_a_key_knows_its_own_jobs_only(make: Callable[..., Flask]) -> None:
    app = make(press={"server_info": True})
    api = app.test_client()
    job_id = queue(api, SHOP, **PICTURE)
    assert ended(app, job_id, SHOP)["status"] == "succeeded"
    calls = [("GET", f"/jobs/{job_id}{rest}") for rest in ("", "/events", "/result")]
    calls += [("POST", f"/jobs/{job_id}/cancel"), ("GET", f"/results/{job_id}"), ("POST", f"/cancel/{job_id}")]
    for method, path in calls:
        failure(api.open(path, method=method, headers=PRESS), 404, "unknown_prompt")
        failure(api.open(path, method=method), 401, "unauthorized")
    assert api.get("/jobs", headers=PRESS).get_json()["jobs"] == []
    assert [each["id"] for each in api.get("/jobs", headers=SHOP).get_json()["jobs"]] == [job_id]
    success(api.get(f"/results/{job_id}", headers=SHOP))


def test_a_policy_may_see_everything(make: Callable[..., Flask]) -> None:
    app = make(press={"all_prompts": True})
    api = app.test_client()
    job_id = queue(api, SHOP, **PICTURE)
    ended(app, job_id, SHOP)
    assert [each["id"] for each in api.get("/jobs", headers=PRESS).get_json()["jobs"]] == [job_id]
    success(api.get(f"/jobs/{job_id}/result", headers=PRESS))


def test_waiting_jobs_of_a_key_are_limited(make: Callable[..., Flask], sim: Simulator) -> None:
    app = make(shop={"max_waiting_jobs": 2, "rate": "4/hour"})
    api = app.test_client()
    sim.hold()
    running = queue(api, SHOP, workflow=graphs.picture())
    sim.wait_until_running()
    waiting = [queue(api, SHOP, workflow=graphs.picture()) for _ in range(2)]
    response = api.post("/jobs", json={"workflow": graphs.picture()}, headers=SHOP)
    assert "2 waiting jobs" in failure(response, 503, "busy")["error"]
    assert int(response.headers["Retry-After"]) >= 1
    queue(api, PRESS, workflow=graphs.picture())
    sim.release()
    for each in (running, *waiting):
        assert ended(app, each, SHOP)["status"] == "succeeded"
    queue(api, SHOP, workflow=graphs.picture())  # the refused one did not count against the rate
    failure(api.post("/jobs", json={"workflow": graphs.picture()}, headers=SHOP), 429, "rate_limited")
    assert len(api.get("/jobs", headers=SHOP).get_json()["jobs"]) == 4


def test_a_policy_limits_priorities_and_webhooks(make: Callable[..., Flask]) -> None:
    app = make(shop={"max_priority": 0, "webhooks": False}, press={"priority": False})
    api = app.test_client()
    failure(api.post("/jobs", json={**PICTURE, "priority": 1}, headers=SHOP), 403, "forbidden")
    hooked = {**PICTURE, "webhook": "https://example.com/hook"}
    assert "webhook" in failure(api.post("/jobs", json=hooked, headers=SHOP), 403, "forbidden")["error"]
    failure(api.post("/jobs", json={**PICTURE, "priority": 2}, headers=PRESS), 403, "forbidden")
    for key, priority in ((SHOP, 0), (PRESS, 1)):
        job_id = accepted(api.post("/jobs", json=PICTURE, headers=key))
        assert ended(app, job_id, key)["priority"] == priority


def test_a_key_with_many_jobs_does_not_hold_up_another(make: Callable[..., Flask], sim: Simulator) -> None:
    app = make()
    api = app.test_client()
    sim.hold()
    first = queue(api, SHOP, workflow=graphs.picture())
    sim.wait_until_running()
    many = [queue(api, SHOP, workflow=graphs.picture()) for _ in range(8)]
    other = queue(api, PRESS, workflow=graphs.picture())
    assert api.get(f"/jobs/{other}", headers=PRESS).get_json()["position"] <= 2
    sim.release()
    jobs = jobs_of(app)
    for each in (first, *many, other):
        assert jobs.wait(each, 20).status == "succeeded"
    order = [each.body["prompt_id"] for each in queued_at(sim)]
    assert order.index(other) <= 2


def test_urgent_jobs_go_first(make: Callable[..., Flask], sim: Simulator) -> None:
    app = make()
    api = app.test_client()
    sim.hold()
    queue(api, SHOP, workflow=graphs.picture())
    sim.wait_until_running()
    low = queue(api, SHOP, workflow=graphs.picture(), priority=0)
    usual = queue(api, SHOP, workflow=graphs.picture())
    high = queue(api, PRESS, workflow=graphs.picture(), priority=2)
    places = [jobs_of(app).find(each, None).position for each in (high, usual, low)]
    assert places == [1, 2, 3]
    sim.release()
    for each in (low, usual, high):
        assert jobs_of(app).wait(each, 20).status == "succeeded"
    order = [each.body["prompt_id"] for each in queued_at(sim)]
    assert sorted((high, usual, low), key=order.index) == [high, usual, low]

"""Jobs of the Comfy API v2: queued, listed, cancelled, and what is refused."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from comfybridge.jobs import accepting
from comfybridge.simulator import Simulator
from tests.dialects.comfy.calls import ended, job, post, queue, refused
from tests.graphs import node, picture, txt2img
from tests.waiting import until_true
from tests.web.jobs import jobs_of, queued_at
from tests.web.keys import KEYS, PRESS, SHOP

EDITOR = {"nodes": [], "links": [], "last_node_id": 0, "version": 0.4}
MISSING = {"1": node("NoSuchNode"), "2": node("SaveImage", images=["1", 0], filename_prefix="x")}


def test_a_job_from_its_queueing_to_its_end(jobs_app: Flask, api: FlaskClient, sim: Simulator) -> None:
    sim.hold()
    first, second = queue(api), queue(api, metadata={"project": "coast"})
    until_true(lambda: job(api, first)["status"] == "running")
    running, waiting = job(api, first), job(api, second)
    assert (running["status"], running["queue_position"], running["completed_at"]) == ("running", None, None)
    assert (waiting["status"], waiting["queue_position"], waiting["started_at"]) == ("queued", 1, None)
    assert waiting["metadata"] == {"project": "coast"}
    assert waiting["created_at"] < waiting["expires_at"]
    sim.release()
    done = ended(jobs_app, second)
    assert (done["status"], done["error"], done["queue_position"]) == ("succeeded", None, None)
    assert done["created_at"] <= done["started_at"] <= done["completed_at"] < done["expires_at"]
    assert min(done["metrics"].values()) >= 0
    assert done["urls"]["self"] == f"/api/v2/jobs/{second}"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"null", 400, "invalid_request"),
        (b"[1]", 400, "invalid_request"),
        (b"", 400, "invalid_request"),
        (b'{"workflow": ', 400, "invalid_request"),
        (b'{"workflow": {"1": "\x00"}}', 400, "invalid_request"),
        (b'{"workflow": NaN}', 400, "invalid_request"),
        (b"\xff\xfe\x00", 400, "invalid_request"),
        (b"{}", 422, "invalid_request"),
        (b'{"workflow": "txt2img"}', 422, "invalid_request"),
        (b'{"workflow": {}}', 422, "invalid_workflow"),
        (b'{"workflow": {"1": 5}}', 422, "invalid_workflow"),
        (b'{"workflow": {"1": {"class_type": "a\\u0000b", "inputs": {}}}}', 422, "invalid_workflow"),
        (b'{"workflow": {}, "webhook_url": "http://x"}', 422, "invalid_request"),
        (b'{"workflow": {}, "inputs": null}', 422, "invalid_request"),
        (b'{"workflow": {}, "priority": 1}', 422, "invalid_request"),
        (b'{"workflow": {}, "extra_data": {"x": 1}}', 422, "invalid_request"),
        (b'{"workflow": {}, "extra_data": {"api_key_comfy_org": 5}}', 422, "invalid_request"),
        (b'{"workflow": {}, "metadata": {"a": 1}}', 422, "metadata_invalid"),
    ],
)
def test_what_is_refused_at_once(api: FlaskClient, sim: Simulator, body: bytes, status: int, code: str) -> None:
    refused(api.post("/api/v2/jobs", data=body, content_type="application/json"), status, code)
    assert not queued_at(sim)


def test_a_workflow_that_cannot_run_is_explained(api: FlaskClient) -> None:
    for workflow in (EDITOR, {"workflow": EDITOR}, {"prompt": EDITOR, "client_id": "x"}):
        refused(post(api, workflow), 422, "workflow_format_ui")
    error = refused(post(api, MISSING), 422, "invalid_workflow")
    assert error["details"]["node_errors"]["1"]["class_type"] == "NoSuchNode"


def test_reserved_fields_are_named(api: FlaskClient) -> None:
    for name in ("webhook_url", "inputs"):
        error = refused(post(api, **{name: None}), 422, "invalid_request")
        assert error["message"] == f"{name} is reserved, and not accepted."


def test_a_job_that_fails_says_where(jobs_app: Flask, api: FlaskClient, sim: Simulator) -> None:
    sim.fail_node("EmptyImage", "no room in /srv/comfyui/output", times=1)
    done = ended(jobs_app, queue(api))
    error = done["error"]
    assert (done["status"], error["code"], error["node_id"], error["class_type"]) == (
        "failed",
        "node_execution_error",
        "1",
        "EmptyImage",
    )
    assert "/srv" not in error["message"]
    done = ended(
        jobs_app,
        queue(api, {"1": node("LoadImage", image="nowhere.png"), "2": node("PreviewImage", images=["1", 0])}),
    )
    assert (done["status"], done["error"]["code"]) == ("failed", "invalid_workflow")
    assert "nowhere.png" in done["error"]["message"]


def test_texts_are_queued_as_they_are(jobs_app: Flask, api: FlaskClient, sim: Simulator) -> None:
    """ComfyUI's editor would draw one of the choices; this API takes the graph verbatim."""
    graph = txt2img(sim.checkpoints[0], steps=1)
    graph["6"]["inputs"]["text"] = "a {red|blue} cat"
    ended(jobs_app, queue(api, graph))
    [sent] = queued_at(sim)
    assert sent.body["prompt"]["6"]["inputs"]["text"] == "a {red|blue} cat"


# -- cancelling ------------------------------------------------------------------------------------------------------


def test_cancelling_ends_a_job_once(jobs_app: Flask, api: FlaskClient, sim: Simulator) -> None:
    sim.hold()
    running, waiting = queue(api), queue(api)
    sim.wait_until_held()
    for job_id in (waiting, running):
        cancelled = api.post(f"/api/v2/jobs/{job_id}/cancel").get_json()
        assert (cancelled["status"], cancelled["error"]) == ("canceled", None)
        assert api.post(f"/api/v2/jobs/{job_id}/cancel").get_json() == cancelled
        assert job(api, job_id) == cancelled
    sim.wait_until_idle()
    assert len(queued_at(sim)) == 1
    sim.release()
    done = queue(api)
    state = ended(jobs_app, done)
    assert api.post(f"/api/v2/jobs/{done}/cancel").get_json() == state
    refused(api.post("/api/v2/jobs/nothing/cancel"), 404, "not_found")


# -- the workflow ----------------------------------------------------------------------------------------------------


def test_the_workflow_of_a_job_is_there_as_long_as_the_job(
    make_jobs_app: Callable[..., Flask], sim: Simulator
) -> None:
    """Whether it waits or runs, and however it ended; also after a restart of bridge and ComfyUI."""
    app = make_jobs_app()
    api = app.test_client()
    graphs: dict[str, dict[str, Any]] = {}

    def queued(graph: dict[str, Any]) -> str:
        job_id = queue(api, graph)
        graphs[job_id] = graph
        return job_id

    def kept(api: FlaskClient) -> bool:
        told = {each: api.get(f"/api/v2/jobs/{each}/workflow").get_json() for each in graphs}
        return told == {each: {"workflow": graph, "format": "api"} for each, graph in graphs.items()}

    failing = picture(save="PreviewImage")
    failing["3"] = node("ImageInvert", image=["1", 0])
    failing["2"]["inputs"]["images"] = ["3", 0]
    sim.fail_node("ImageInvert", "no", times=1)
    sim.hold()
    large = txt2img(sim.checkpoints[0], steps=1)
    large["6"]["inputs"]["text"] = "".join(map(chr, range(0x4E00, 0x9000))) * 40  # more than a job's own message has
    running, waiting = queued(picture()), queued(picture())
    others = [queued(failing), queued(large)]
    sim.wait_until_held()
    assert kept(api)
    api.post(f"/api/v2/jobs/{waiting}/cancel")
    sim.release()
    statuses = [ended(app, each)["status"] for each in (running, waiting, *others)]
    assert statuses == ["succeeded", "canceled", "failed", "succeeded"]
    assert kept(api)
    jobs_of(app).close()
    sim.restart()
    assert kept(make_jobs_app().test_client())


def test_a_graph_that_does_not_fit_into_a_result_is_kept_beside_it(
    jobs_app: Flask, api: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("comfybridge.jobs.graphs.LARGEST", 10)
    graph = picture()
    job_id = queue(api, graph)
    ended(jobs_app, job_id)
    assert api.get(f"/api/v2/jobs/{job_id}/workflow").get_json()["workflow"] == graph


def test_jobs_that_were_queued_elsewhere_are_seen_but_for_their_workflow(jobs_app: Flask, api: FlaskClient) -> None:
    job_id = api.post("/jobs", json={"workflow": picture()}).get_json()["id"]
    assert ended(jobs_app, job_id)["status"] == "succeeded"
    refused(api.get(f"/api/v2/jobs/{job_id}/workflow"), 404, "not_found")
    own = queue(api)
    ended(jobs_app, own)
    assert api.get(f"/jobs/{own}/result").get_json()["status"] == "success"


# -- keys that may be used once --------------------------------------------------------------------------------------


def test_a_key_is_for_one_request(jobs_app: Flask, api: FlaskClient, sim: Simulator) -> None:
    sim.hold()
    graph = picture()
    first = queue(api, graph, key="order-1")
    refused(post(api, graph, key="order-1"), 422, "idempotency_key_reuse")
    sim.release()
    ended(jobs_app, first)
    refused(post(api, graph, key="order-1"), 422, "idempotency_key_reuse")
    assert len(queued_at(sim)) == 1
    blocking = api.post("/generate", json={"workflow": graph}, headers={"Idempotency-Key": "order-1"})
    assert blocking.status_code == 200  # another interface's keys are others


@pytest.mark.parametrize("hour", [0.0, 12.0, 23.5])
def test_a_key_is_free_again_after_a_day(
    jobs_app: Flask, api: FlaskClient, monkeypatch: pytest.MonkeyPatch, hour: float
) -> None:
    """At whatever hour it was used, and although its first job is still known."""

    def set_clock(hours: float) -> None:
        now = 20_000 * accepting.KEY_SECONDS + 3600 * (hour + hours)
        monkeypatch.setattr(accepting, "time", SimpleNamespace(time=lambda: now))

    set_clock(0.0)
    first = queue(api, key="order-1")
    ended(jobs_app, first)
    for hours in (0.1, 12.0, 23.9):
        set_clock(hours)
        refused(post(api, key="order-1"), 422, "idempotency_key_reuse")
    set_clock(24.1)
    second = queue(api, key="order-1")
    assert second != first
    refused(post(api, key="order-1"), 422, "idempotency_key_reuse")
    assert job(api, first)["status"] == "succeeded"


def test_a_key_of_a_refused_request_is_free(jobs_app: Flask, api: FlaskClient) -> None:
    refused(post(api, MISSING, key="order-2"), 422, "invalid_workflow")
    refused(post(api, key="order-2", metadata={"": "x"}), 422, "metadata_invalid")
    queue(api, key="order-2")


@pytest.mark.parametrize(("processes", "longest"), [(2, 0), (1, 40_000)])
def test_of_duplicates_at_once_one_is_taken(
    make_jobs_app: Callable[..., Flask],
    sim: Simulator,
    monkeypatch: pytest.MonkeyPatch,
    processes: int,
    longest: int,  # characters; a large request lies beside its job
) -> None:
    """In several processes too, for which as many applications stand."""
    apps = [make_jobs_app() for _ in range(processes)]
    for app in apps:
        ended(app, queue(app.test_client()))
    count = 8
    together, add, calls = threading.Barrier(count), accepting.job_of, itertools.count()
    barrier = threading.Barrier(len(apps))

    def both_at_once(*given: Any) -> Any:
        made = add(*given)
        if next(calls) < len(apps):
            barrier.wait()
        return made

    monkeypatch.setattr("comfybridge.jobs.jobs.job_of", both_at_once)

    def ask(number: int) -> tuple[TestResponse, dict[str, Any]]:
        graph = picture()
        graph["1"]["_meta"] = {"title": "x" * longest}
        together.wait()
        return post(apps[number % len(apps)].test_client(), graph, key="order-3"), graph

    with ThreadPoolExecutor(count) as callers:
        answers = list(callers.map(ask, range(count)))
    [(made, graph)] = [(response, graph) for response, graph in answers if response.status_code == 201]
    assert [response.status_code for response, _ in answers].count(422) == count - 1
    assert ended(apps[0], made.get_json()["id"])["status"] == "succeeded"
    [sent] = queued_at(sim)[len(apps) :]
    assert sent.body["prompt"]["1"]["inputs"] == graph["1"]["inputs"]


# -- lists and labels ------------------------------------------------------------------------------------------------


def test_pages_of_jobs_with_labels(jobs_app: Flask, api: FlaskClient) -> None:
    made = [queue(api, metadata={"even": str(number % 2 == 0), "n": str(number)}) for number in range(5)]
    for each in made:
        ended(jobs_app, each)
    listed, cursor = [], ""
    while True:
        page = api.get("/api/v2/jobs", query_string={"limit": "2", "cursor": cursor}).get_json()
        listed += page["jobs"]
        assert len(page["jobs"]) <= 2
        cursor = page.get("next_cursor", "")
        if not cursor:
            break
    assert [each["id"] for each in listed] == made[::-1]
    assert listed[0]["metadata"] == {"even": "True", "n": "4"}
    assert listed[0]["create_time"] == listed[0]["created_at"] <= listed[0]["update_time"] == listed[0]["updated_at"]
    found = api.get("/api/v2/jobs", query_string={"metadata[even]": "True"}).get_json()["jobs"]
    assert [each["id"] for each in found] == made[::-2]
    one = api.get("/api/v2/jobs?metadata%5Beven%5D=True&metadata[n]=2").get_json()["jobs"]
    assert [each["id"] for each in one] == [made[2]]
    assert api.get("/api/v2/jobs?metadata[even]=true").get_json() == {"jobs": []}


@pytest.mark.parametrize(
    "labels",
    [
        {str(number): "x" for number in range(17)},
        {"": "x"},
        {"a b": "x"},
        {"a" * 41: "x"},
        {"a": "é" * 129},
        {"a": "two\nlines"},
        {"a": "\u202eturned"},
        {"a": "\u0000"},
        {"a": None},
        {"a": {"b": "c"}},
    ],
)
def test_labels_that_are_refused(api: FlaskClient, labels: dict[str, Any]) -> None:
    message = refused(post(api, metadata=labels), 422, "metadata_invalid")["message"]
    assert ("17" in message) if len(labels) > 1 else repr(next(iter(labels))[:40]).strip("'") in message


def test_labels_at_their_limits(api: FlaskClient) -> None:
    labels = {f"{number}_.-".ljust(40, "x"): "é" * 128 for number in range(16)}
    assert job(api, queue(api, metadata=labels))["metadata"] == labels
    assert job(api, queue(api, metadata={}))["metadata"] == {}


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("limit=0", "invalid_request"),
        ("limit=101", "invalid_request"),
        ("limit=x", "invalid_request"),
        ("limit=%C2%B2", "invalid_request"),
        ("cursor=x", "invalid_cursor"),
        ("cursor=WzFd", "invalid_cursor"),
        ("metadata=x", "invalid_metadata_filter"),
        ("metadata[]=x", "invalid_metadata_filter"),
        ("metadata[a][b]=x", "invalid_metadata_filter"),
        ("metadata[a]=1&metadata[a]=2", "invalid_metadata_filter"),
        ("metadata[a]=1&metadata[b]=2&metadata[c]=3&metadata[d]=4", "invalid_metadata_filter"),
        ("metadata[a]=%00", "invalid_metadata_filter"),
    ],
)
def test_lists_that_are_refused(api: FlaskClient, query: str, code: str) -> None:
    queue(api)
    refused(api.get(f"/api/v2/jobs?{query}"), 400, code)


# -- callers and limits ----------------------------------------------------------------------------------------------


def test_a_caller_knows_its_own_jobs_only(make_jobs_app: Callable[..., Flask]) -> None:
    app = make_jobs_app(api_keys=KEYS)
    api = app.test_client()
    job_id = queue(api, headers=SHOP, key="order-4")
    ended(app, job_id, SHOP)
    for method, path in (("GET", ""), ("GET", "/workflow"), ("POST", "/cancel")):
        refused(api.open(f"/api/v2/jobs/{job_id}{path}", method=method, headers=PRESS), 404, "not_found")
        refused(api.open(f"/api/v2/jobs/{job_id}{path}", method=method), 401, "unauthorized")
    assert api.get("/api/v2/jobs", headers=PRESS).get_json() == {"jobs": []}
    queue(api, headers=PRESS, key="order-4")  # its keys are its own


def test_policies_rates_and_caps_hold(
    make_jobs_app: Callable[..., Flask], policy_file: Callable[..., str], sim: Simulator
) -> None:
    policies = {"shop": {"max_waiting_jobs": 1, "rate": "3/hour"}, "press": {"graphs": False}}
    api = make_jobs_app(api_keys=KEYS, policy_file=policy_file(**policies)).test_client()
    refused(post(api, headers=PRESS), 403, "forbidden")
    sim.hold()
    running = queue(api, headers=SHOP)
    until_true(lambda: job(api, running, SHOP)["status"] == "running")
    waiting = queue(api, headers=SHOP)
    full = post(api, headers=SHOP, key="order-5")
    refused(full, 429, "queue_full")
    assert int(full.headers["Retry-After"]) >= 1
    api.post(f"/api/v2/jobs/{waiting}/cancel", headers=SHOP)
    queue(api, headers=SHOP, key="order-5")  # it was free, and counted for nothing
    limited = post(api, headers=SHOP)
    assert limited.status_code == 429
    assert int(limited.headers["Retry-After"]) >= 1


def test_a_full_queue_and_a_large_body(make_jobs_app: Callable[..., Flask], sim: Simulator) -> None:
    api = make_jobs_app(max_jobs=1, max_json_bytes=2000).test_client()
    sim.hold()
    queue(api)
    full = post(api)
    refused(full, 429, "queue_full")
    assert int(full.headers["Retry-After"]) >= 1
    refused(post(api, metadata={"a": "x" * 2000}), 413, "payload_too_large")


def test_all_answers_have_an_id_and_the_envelope(make_jobs_app: Callable[..., Flask]) -> None:
    api = make_jobs_app(api_keys=KEYS).test_client()
    for method, path, status in (
        ("GET", "/api/v2/health", 200),
        ("GET", "/api/v2/jobs", 401),
        ("GET", "/api/v2/nowhere", 404),
        ("PUT", "/api/v2/jobs", 405),
    ):
        sent = SHOP if status > 401 else {}
        response = api.open(path, method=method, headers={**sent, "X-Request-Id": "mine"})
        assert (response.status_code, response.headers["X-Comfy-Request-Id"]) == (status, "mine")
        if status > 200:
            assert list(response.get_json()) == ["error"]


def test_without_jobs_there_is_no_such_api(make_jobs_app: Callable[..., Flask]) -> None:
    assert make_jobs_app(dialects="openai").test_client().get("/api/v2/health").status_code == 404

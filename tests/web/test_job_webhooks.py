"""Jobs with webhooks, over HTTP: from `POST /jobs` to what the receiver gets."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest
from flask import Flask
from standardwebhooks import Webhook

from comfybridge.simulator import Simulator
from tests import graphs
from tests.receiver import Received, Receiver, new_secret
from tests.waiting import until_true
from tests.web.answers import failure, image, success
from tests.web.jobs import ended, jobs_of, make_jobs_app, queue
from tests.web.keys import KEYS, PRESS, SHOP

__all__ = ["make_jobs_app"]

PICTURE = {"prompt": "a cat", "width": 64, "height": 64, "steps": 1, "seed": 5}
SAVED_VIDEO = {"filename_prefix": "x", "format": "auto", "codec": "auto"}
HERE = {"fetch_allow_hosts": "127.0.0.1"}
OF_SHOP, OF_OTHERS = new_secret(), new_secret()
MakeApp = Callable[..., Flask]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


def reported(app: Flask, receiver: Receiver, headers: dict[str, str] | None = None, **asked: Any) -> Received:
    """Queue a job, and get what its receiver got."""
    queue(app.test_client(), headers, webhook=receiver.url, **asked)
    return receiver.wait_for(1)[0]


def webhook_of(app: Flask, job_id: str, status: str) -> dict[str, Any]:
    """What a job says of its webhook, once that has a status."""
    found: list[dict[str, Any]] = []

    def is_so() -> bool:
        found.append(app.test_client().get(f"/jobs/{job_id}").get_json()["webhook"])
        return bool(found[-1]["status"] == status)

    until_true(is_so)
    return found[-1]


def test_a_picture_is_in_the_body(make_jobs_app: MakeApp, receiver: Receiver) -> None:
    app = make_jobs_app(**HERE)
    received = reported(app, receiver, **PICTURE, labels={"project": "coast"})
    body = received.json
    data = body["data"]
    assert body["type"] == "job.succeeded"
    assert body["timestamp"] == data["ended_at"]
    assert (data["status"], data["labels"]) == ("succeeded", {"project": "coast"})
    assert received.headers["webhook-id"].startswith(data["id"])
    assert image(data["result"]["images"][0]).size == (64, 64)
    job = ended(app, data["id"])
    assert {name: job[name] for name in data if name != "result"} == {
        name: data[name] for name in data if name != "result"
    }
    result = success(app.test_client().get(f"/jobs/{data['id']}/result"))
    assert result["images"] == data["result"]["images"]
    delivered = webhook_of(app, data["id"], "delivered")
    assert (delivered["url"], delivered["tries"], delivered["last_status"]) == (receiver.url, 1, 200)
    assert delivered["ended_at"] is not None


def test_a_large_picture_is_linked(make_jobs_app: MakeApp, receiver: Receiver) -> None:
    app = make_jobs_app(**HERE, webhook_inline_bytes=100)
    result = reported(app, receiver, **PICTURE, output={"format": "webp"}).json["data"]["result"]
    assert result["images"] == []
    url = result["outputs"][0]["url"]
    assert url.startswith("http://localhost/files/")
    assert url.endswith(".webp")
    answer = app.test_client().get(url.removeprefix("http://localhost"))
    assert (answer.status_code, answer.content_type) == (200, "image/webp")
    assert answer.data == base64.b64decode(
        success(app.test_client().get(f"/jobs/{result['prompt_id']}/result"))["images"][0]
    )


def test_links_have_the_address_that_the_job_came_to(make_jobs_app: MakeApp, receiver: Receiver) -> None:
    app = make_jobs_app(**HERE, webhook_inline_bytes=0, allowed_hosts="bridge.example")
    app.test_client().post(
        "/jobs", json={**PICTURE, "webhook": receiver.url}, headers={"Host": "bridge.example:8080"}
    )
    data = receiver.wait_for(1)[0].json["data"]
    assert data["urls"]["self"] == f"http://bridge.example:8080/jobs/{data['id']}"
    assert data["result"]["outputs"][0]["url"].startswith("http://bridge.example:8080/files/")


def test_links_have_the_public_address(make_jobs_app: MakeApp, receiver: Receiver) -> None:
    app = make_jobs_app(**HERE, webhook_inline_bytes=0, public_url="https://bridge.example/comfy")
    data = reported(app, receiver, **PICTURE).json["data"]
    assert data["result"]["outputs"][0]["url"].startswith("https://bridge.example/comfy/files/")


def test_links_work_without_comfyui_and_end_with_the_result(
    make_jobs_app: MakeApp, receiver: Receiver, sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_jobs_app(**HERE, webhook_inline_bytes=0)
    data = reported(app, receiver, **PICTURE, expires=3600).json["data"]
    sim.stop()
    path = data["result"]["outputs"][0]["url"].removeprefix("http://localhost")
    api = app.test_client()
    assert api.get(path).status_code == 200
    assert api.get(path.replace("/files/", "/files/x")).status_code == 404
    end = datetime.fromisoformat(data["expires_at"].replace("Z", "+00:00")).timestamp()
    monkeypatch.setattr("comfybridge.prompts.file_links.time.time", lambda: end - 0.001)
    assert api.get(path).status_code == 200
    monkeypatch.setattr("comfybridge.prompts.file_links.time.time", lambda: end + 1)
    error = failure(api.get(path), 410, "link_expired")
    assert error["error"] == "The link has expired: the results of that job are no longer kept."


def test_a_part_of_a_linked_video(make_jobs_app: MakeApp, receiver: Receiver) -> None:
    app = make_jobs_app(**HERE, webhook_inline_bytes=0)
    output = reported(app, receiver, workflow=graphs.frames("SaveVideo", **SAVED_VIDEO)).json["data"]["result"][
        "outputs"
    ][0]
    path, api = output["url"].removeprefix("http://localhost"), app.test_client()
    whole = api.get(path)
    assert (whole.status_code, whole.content_length) == (200, len(whole.data))
    assert whole.headers["Accept-Ranges"] == "bytes"
    size = len(whole.data)
    for asked, begin, end in (("2-5", 2, 6), ("7-", 7, size), ("-3", size - 3, size), (f"0-{size * 2}", 0, size)):
        part = api.get(path, headers={"Range": f"bytes={asked}"})
        assert part.status_code == 206
        assert part.data == whole.data[begin:end]
        assert part.headers["Content-Range"] == f"bytes {begin}-{end - 1}/{size}"


def test_a_job_that_fails(make_jobs_app: MakeApp, receiver: Receiver, sim: Simulator) -> None:
    app = make_jobs_app(**HERE)
    sim.fail_node("EmptyImage", "no memory")
    body = reported(app, receiver, workflow=graphs.picture()).json
    assert body["type"] == "job.failed"
    assert body["data"]["result"] is None
    assert body["data"]["error"]["type"] == "execution_failed"
    assert body["data"]["error"]["node"]["class_type"] == "EmptyImage"


def test_a_job_that_is_cancelled(make_jobs_app: MakeApp, receiver: Receiver, sim: Simulator) -> None:
    app = make_jobs_app(**HERE)
    sim.hold()
    job_id = queue(app.test_client(), webhook=receiver.url, **PICTURE)
    app.test_client().post(f"/jobs/{job_id}/cancel")
    body = receiver.wait_for(1)[0].json
    assert (body["type"], body["data"]["status"], body["data"]["result"]) == ("job.cancelled", "cancelled", None)
    assert receiver.came[0].headers["webhook-id"].startswith(job_id)


def test_each_key_signs_with_its_own_secret(make_jobs_app: MakeApp, receiver: Receiver) -> None:
    app = make_jobs_app(**HERE, api_keys=KEYS, webhook_secrets=f"shop={OF_SHOP},default={OF_OTHERS}")
    for headers, secret in ((SHOP, OF_SHOP), (PRESS, OF_OTHERS)):
        receiver.came.clear()
        received = reported(app, receiver, headers, **PICTURE)
        assert Webhook(secret).verify(received.body, received.headers)["type"] == "job.succeeded"


def test_a_wish_for_links_is_heeded(make_jobs_app: MakeApp, receiver: Receiver) -> None:
    result = reported(make_jobs_app(**HERE), receiver, **PICTURE, output={"links": True}).json["data"]["result"]
    assert result["images"] == []
    assert "/files/" in result["outputs"][0]["url"]


def test_each_try_says_the_same(make_jobs_app: MakeApp, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("comfybridge.jobs.webhooks.PAUSES", (0.05,) * 8)
    app = make_jobs_app(**HERE)
    receiver.answers = [500, 503]
    job_id = queue(app.test_client(), webhook=receiver.url, **PICTURE)
    first, *others = (json.loads(each.body) for each in receiver.wait_for(3))
    for each in others:
        first["data"]["result"].pop("timings", None)
        each["data"]["result"].pop("timings")
        assert each == first
    assert webhook_of(app, job_id, "delivered")["tries"] == 3


def test_a_try_after_the_files_are_gone(
    make_jobs_app: MakeApp, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("comfybridge.jobs.webhooks.PAUSES", (0.3,) * 8)
    app = make_jobs_app(**HERE)
    receiver.answers = [500]
    receiver.before_answer = lambda received: jobs_of(app).parts().engine.drop_blobs(received.json["data"]["id"])
    job_id = queue(app.test_client(), webhook=receiver.url, **PICTURE)
    data = receiver.wait_for(2)[1].json["data"]
    assert (data["id"], data["status"], data["result"]) == (job_id, "succeeded", None)
    assert data["error"]["error"] == f"The files of job {job_id} are no longer kept."


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://127.0.0.1:9/hook", "127.0.0.1 is not a public host"),
        ("ftp://shop.example/", "http and https only"),
        ("https://me:pw@shop.example/", "user name or password"),
        ("hook", "http and https only"),
    ],
)
def test_a_webhook_that_could_not_be_sent_is_refused_at_once(make_jobs_app: MakeApp, url: str, said: str) -> None:
    api = make_jobs_app().test_client()
    error = failure(api.post("/jobs", json={**PICTURE, "webhook": url}), 400, "invalid_request")
    assert said in error["error"]
    assert api.get("/jobs").get_json()["jobs"] == []


# -- as ComfyLite has it -----------------------------------------------------------------------------------------


def test_comfylite_gets_its_pictures(make_jobs_app: MakeApp, receiver: Receiver) -> None:
    api = make_jobs_app(**HERE, webhook_inline_bytes=0).test_client()
    answer = api.post("/generate", json={**PICTURE, "webhook_url": receiver.url})
    assert answer.get_json().keys() == {"prompt_id"}
    body = receiver.wait_for(1)[0].json
    assert body.keys() == {"status", "prompt_id", "images"}
    assert (body["status"], body["prompt_id"]) == ("success", answer.get_json()["prompt_id"])
    assert image(body["images"][0]).size == (64, 64)


def test_comfylite_gets_its_failures(make_jobs_app: MakeApp, receiver: Receiver, sim: Simulator) -> None:
    api = make_jobs_app(**HERE).test_client()
    sim.fail_node("EmptyImage", "no memory")
    answer = api.post("/generate", json={"workflow": graphs.picture(), "webhook_url": receiver.url})
    body = receiver.wait_for(1)[0].json
    assert body.keys() == {"status", "prompt_id", "error"}
    assert (body["status"], body["prompt_id"]) == ("failure", answer.get_json()["prompt_id"])
    assert body["error"]


def test_comfylite_is_told_of_its_own_field(make_jobs_app: MakeApp) -> None:
    api = make_jobs_app().test_client()
    answer = api.post("/generate", json={**PICTURE, "webhook_url": "http://10.0.0.1/hook"})
    error = failure(answer, 400, "invalid_request")
    assert error["field"] == "webhook_url"
    assert error["error"].startswith("webhook_url: 10.0.0.1 is not a public host")


# -- a bridge that starts again ----------------------------------------------------------------------------------


def test_a_webhook_outlives_the_bridge(
    make_jobs_app: MakeApp, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("comfybridge.jobs.webhooks.PAUSES", (0.3,) * 1000)
    receiver.status = 500
    app = make_jobs_app(**HERE)
    job_id = queue(app.test_client(), webhook=receiver.url, **PICTURE)
    receiver.wait_for(1)
    assert webhook_of(app, job_id, "pending")["last_error"] == "127.0.0.1 answered 500."
    jobs_of(app).close()
    receiver.status = 200
    again = make_jobs_app(**HERE)
    jobs_of(again).begin()
    assert webhook_of(again, job_id, "delivered")["tries"] == len(receiver.came)

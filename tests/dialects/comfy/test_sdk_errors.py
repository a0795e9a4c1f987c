"""What the vendor's Python client raises."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask

from comfybridge.simulator import Simulator
from tests.dialects.comfy.sdk import MakeClient, client, comfy_sdk, make_client
from tests.graphs import node, picture
from tests.served import served
from tests.waiting import until_true
from tests.web.jobs import queued_at
from tests.web.policies import KEYS

__all__ = ["client", "make_client"]


def workflow(client: Any, **changed: Any) -> Any:
    return client.workflows.from_json({**picture(), **changed})


def test_a_workflow_that_cannot_run(client: Any, sim: Simulator) -> None:
    with pytest.raises(comfy_sdk.InvalidWorkflow) as error:
        client.run(workflow(client, **{"1": node("Nothing")}))
    assert (error.value.http_status, error.value.code) == (422, "invalid_workflow")
    assert error.value.request_id
    with pytest.raises(comfy_sdk.InvalidWorkflow):
        client.run(client.workflows.from_json({}))
    assert not sim.history


def test_an_input_that_is_wrong_is_named(client: Any) -> None:
    with pytest.raises((comfy_sdk.InvalidWorkflow, comfy_sdk.JobFailed)) as error:
        client.run(workflow(client, **{"2": node("SaveImage", filename_prefix="x")}))
    assert "images" in str(getattr(error.value, "details", "")) + str(getattr(error.value, "error", ""))


def test_a_workflow_of_the_editor(client: Any) -> None:
    exported = {"nodes": [], "links": [], "last_node_id": 1}
    with pytest.raises(comfy_sdk.WorkflowFormatUi):  # the client itself sees that it is one
        client.submit(client.workflows.from_json(exported))
    with pytest.raises(comfy_sdk.WorkflowFormatUi) as error:  # and does not see it in this one
        client.submit(client.workflows.from_json({"nodes": [], "links": [], "version": 0.4}))
    assert error.value.http_status == 422


def test_a_key_that_was_used(client: Any, sim: Simulator) -> None:
    job = client.submit(workflow(client), idempotency_key="one")
    for again in (picture(), picture(width=32)):
        with pytest.raises(comfy_sdk.IdempotencyKeyReuse) as error:
            client.submit(client.workflows.from_json(again), idempotency_key="one")
        assert error.value.http_status == 422
    job.wait()
    with pytest.raises(comfy_sdk.IdempotencyKeyReuse):
        client.submit(workflow(client), idempotency_key="one")
    assert len(queued_at(sim)) == 1


def test_a_key_of_a_refused_job_is_free(client: Any) -> None:
    with pytest.raises(comfy_sdk.InvalidWorkflow):
        client.submit(workflow(client, **{"1": node("Nothing")}), idempotency_key="two")
    assert client.submit(workflow(client), idempotency_key="two").wait().status == "succeeded"


def test_what_is_not_there(client: Any) -> None:
    with pytest.raises(comfy_sdk.NotFound) as error:
        client.jobs.get("7f3d2c1b-9a8e-4d6f-b012-3c4d5e6f7a8b")
    assert (error.value.http_status, error.value.code) == (404, "not_found")
    with pytest.raises(comfy_sdk.NotFound):
        client.jobs.get("nothing of the kind")
    for ask in (client.assets.get, client.assets.delete):
        with pytest.raises(comfy_sdk.NotFound):
            ask("7f3d2c1b-9a8e-4d6f-b012-3c4d5e6f7a8b")


@pytest.mark.parametrize(
    "reference",
    [
        {"__type": "core/ASSET", "info": {"id": "7f3d2c1b-9a8e-4d6f-b012-3c4d5e6f7a8b"}},
        {"__type": "core/ASSET", "info": {"id": "7f3d2c1b-9a8e-4d6f-b012-3c4d5e6f7a8b-0"}},
        {"__type": "core/ASSET", "info": {"id": "../../secret"}},
        {"__type": "core/ASSET", "info": {"file_path": "x.png"}},
        {"__type": "core/ASSET", "info": {"id": 7}},
        {"__type": "core/ASSET"},
    ],
)
def test_a_missing_asset(client: Any, sim: Simulator, reference: dict[str, Any]) -> None:
    graph = workflow(client, **{"1": node("LoadImage", image=reference)})
    with pytest.raises(comfy_sdk.MissingAsset) as error:
        client.run(graph)
    assert error.value.http_status == 422
    assert "image" in error.value.message
    assert not queued_at(sim)


def test_keys_and_owners(make_client: MakeClient, make_jobs_app: Callable[..., Flask]) -> None:
    with served(make_jobs_app(api_keys=KEYS)) as url:
        shop, press = (make_client(url, api_key=each) for each in ("shop-secret", "press-secret"))
        nobody = make_client(url)
        with pytest.raises(comfy_sdk.Unauthorized) as error:
            nobody.submit(workflow(nobody))
        assert (error.value.http_status, error.value.code) == (401, "unauthorized")
        job = shop.run(workflow(shop))
        asset = shop.assets.from_bytes(b"of the shop", filename="a.bin")
        asset.commit()
        for ask in (press.jobs.get, press.assets.get, press.assets.delete):
            with pytest.raises(comfy_sdk.NotFound):
                ask(job.id if ask == press.jobs.get else asset.id)
        with pytest.raises(comfy_sdk.NotFound):
            press.assets.get(job.outputs[0].id)
        assert list(press.list_jobs()) == []
        assert [each.id for each in shop.list_jobs()] == [job.id]
        other = press.assets.from_bytes(b"of the shop", filename="a.bin")
        other.commit()
        assert other.id != asset.id
        reference = {"__type": "core/ASSET", "info": {"id": job.outputs[0].id}}
        with pytest.raises(comfy_sdk.MissingAsset):
            press.run(workflow(press, **{"1": node("LoadImage", image=reference)}))


@pytest.mark.parametrize("make_client", ["sync"], indirect=True)  # as it takes ten seconds
def test_the_client_waits_for_a_full_queue(
    make_client: MakeClient, make_jobs_app: Callable[..., Flask], sim: Simulator, answers: list[str]
) -> None:
    sim.hold()
    with served(make_jobs_app(max_jobs=2)) as url:
        client = make_client(url)
        first = client.submit(workflow(client))
        sim.wait_until_running()
        second = client.submit(workflow(client))
        with releasing(sim, answers):
            last = client.submit(workflow(client))
        assert "POST /api/v2/jobs 429" in answers
        assert {each.wait().status for each in (first, second, last)} == {"succeeded"}


@contextlib.contextmanager
def releasing(sim: Simulator, answers: list[str]) -> Iterator[None]:
    """Lets ComfyUI go on once somebody was refused."""

    def release() -> None:
        until_true(lambda: "POST /api/v2/jobs 429" in answers)
        sim.release()

    thread = threading.Thread(target=release)
    thread.start()
    yield
    thread.join()

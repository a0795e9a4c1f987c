"""Uploads and outputs as inputs of jobs: `core/ASSET` references in graphs of the Comfy API v2."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from comfybridge.engine.engine import LIVE
from comfybridge.jobs import stored_files
from comfybridge.simulator import Simulator
from tests.dialects.comfy.asset_calls import (
    SECONDS,
    colors,
    ended,
    png,
    reference,
    refused,
    saving,
    submit,
    upload,
    uploads,
    wav,
)
from tests.graphs import node, picture
from tests.waiting import until_true
from tests.web.jobs import jobs_of, queued_at

KEYS = {"api_keys": "shop=one,other=two"}
SHOP, OTHER = {"Authorization": "Bearer one"}, {"Authorization": "Bearer two"}


@pytest.fixture
def second() -> Iterator[Simulator]:
    with Simulator(step_seconds=0) as simulator:
        yield simulator


# -- what runs -------------------------------------------------------------------------------------------------------


def test_an_upload_that_is_used_twice_is_sent_once(jobs_app: Flask, api: FlaskClient, sim: Simulator) -> None:
    asset_id = upload(api, png((10, 20, 30)))
    graph = saving(reference(asset_id), reference(asset_id))
    assert colors(jobs_app, ended(jobs_app, submit(api, graph))) == [(10, 20, 30)] * 2
    assert colors(jobs_app, ended(jobs_app, submit(api, graph))) == [(10, 20, 30)] * 2
    assert uploads(sim) == 1


def test_an_upload_in_a_graph_that_a_program_has_wrapped(jobs_app: Flask, api: FlaskClient) -> None:
    graph = saving(reference(upload(api, png((10, 20, 30)))))
    job = ended(jobs_app, submit(api, {"prompt": graph, "client_id": "x"}))
    assert colors(jobs_app, job) == [(10, 20, 30)]


def test_two_assets_with_the_same_bytes_are_one_file(jobs_app: Flask, api: FlaskClient, sim: Simulator) -> None:
    first, second = (upload(api, png((1, 2, 3)), name) for name in ("a.png", "b.png"))
    assert first != second
    job = ended(jobs_app, submit(api, saving(reference(first), reference(second))))
    assert colors(jobs_app, job) == [(1, 2, 3)] * 2
    assert uploads(sim) == 1


def test_an_output_is_the_input_of_the_next_job(jobs_app: Flask, api: FlaskClient, sim: Simulator) -> None:
    first = ended(jobs_app, submit(api, {**saving(reference(upload(api, png((9, 8, 7)))))}))
    [output] = first["outputs"]
    for path in sim.output_directory.rglob("*.png"):
        path.write_bytes(png((0, 0, 0)))  # a later prompt has taken the name
    job = ended(jobs_app, submit(api, saving(reference(output["id"]))))
    assert colors(jobs_app, job) == [(9, 8, 7)]


def test_a_mask_is_a_picture_too(jobs_app: Flask, api: FlaskClient) -> None:
    asset_id = upload(api, png((255, 0, 0)), "mask.png")
    graph = {
        "below": node("EmptyImage", width=48, height=32, batch_size=1, color=0x0000FF),
        "above": node("EmptyImage", width=48, height=32, batch_size=1, color=0x00FF00),
        "1": node("LoadImageMask", image=reference(asset_id), channel="red"),
        "2": node("ImageCompositeMasked", destination=["below", 0], source=["above", 0], mask=["1", 0], x=0, y=0),
        "3": node("SaveImage", images=["2", 0], filename_prefix="x"),
    }
    graph["2"]["inputs"]["resize_source"] = False
    assert colors(jobs_app, ended(jobs_app, submit(api, graph))) == [(0, 255, 0)]


def test_a_sound(jobs_app: Flask, api: FlaskClient, sim: Simulator) -> None:
    def graph(asset_id: str) -> dict[str, Any]:
        return {
            "1": node("LoadAudio", audio=reference(asset_id)),
            "2": node("SaveAudio", audio=["1", 0], filename_prefix="a"),
        }

    [output] = ended(jobs_app, submit(api, graph(upload(api, wav(), "sound.wav"))))["outputs"]
    assert queued_at(sim)[-1].body["prompt"]["1"]["inputs"]["audio"].endswith(".wav")
    job = ended(jobs_app, submit(api, graph(output["id"])))
    assert [each["type"] for each in job["outputs"]] == ["audio"]
    assert queued_at(sim)[-1].body["prompt"]["1"]["inputs"]["audio"] == f"comfybridge/{output['id']}.flac"


def test_references_within_lists_and_objects(jobs_app: Flask, api: FlaskClient, sim: Simulator) -> None:
    first, second = upload(api, png((1, 1, 1)), "a.png"), upload(api, png((2, 2, 2)), "b.png")
    graph = picture()
    graph["2"]["inputs"]["extra"] = {"frames": [reference(first), "plain", [reference(second), 3, 4]], "n": 1}
    job = ended(jobs_app, submit(api, graph))
    assert job["status"] == "succeeded", job
    extra = queued_at(sim)[-1].body["prompt"]["2"]["inputs"]["extra"]
    names = [extra["frames"][0], extra["frames"][2][0]]
    assert all((sim.input_directory / name).is_file() for name in names)
    assert extra == {"frames": [names[0], "plain", [names[1], 3, 4]], "n": 1}


def test_the_workflow_that_ran_has_names(jobs_app: Flask, api: FlaskClient) -> None:
    job_id = submit(api, saving(reference(upload(api, png((4, 4, 4))))))
    ended(jobs_app, job_id)
    graph = api.get(f"/api/v2/jobs/{job_id}/workflow").get_json()["workflow"]
    assert graph["load0"]["inputs"]["image"].startswith("comfybridge/")


def test_jobs_that_need_a_file_at_the_same_time_bring_it_once(
    make_jobs_app: Callable[..., Flask], sim: Simulator
) -> None:
    app = make_jobs_app(agent_slots=4)
    api = app.test_client()
    [output] = ended(app, submit(api, picture()))["outputs"]
    sim.hold()
    job_ids = [submit(api, saving(reference(output["id"]))) for _ in range(4)]
    sim.wait_until_queued(4)
    sim.release()
    assert [ended(app, each)["status"] for each in job_ids] == ["succeeded"] * 4
    assert uploads(sim) == 1


def test_a_job_that_waits_through_a_restart_finds_its_files(
    make_jobs_app: Callable[..., Flask], sim: Simulator
) -> None:
    app = make_jobs_app()
    api = app.test_client()
    uploaded = upload(api, png((5, 6, 7)))
    first = ended(app, submit(api, saving(reference(uploaded))))
    sim.hold()
    submit(api, picture())
    sim.wait_until_held()
    job_id = submit(api, saving(reference(uploaded), reference(first["outputs"][0]["id"])))
    jobs_of(app).close()
    app = make_jobs_app()
    jobs_of(app).begin()
    sim.release()
    assert colors(app, ended(app, job_id)) == [(5, 6, 7)] * 2


# -- several ComfyUIs ------------------------------------------------------------------------------------------------


def test_files_follow_a_job_to_another_comfyui(
    make_jobs_app: Callable[..., Flask], sim: Simulator, second: Simulator
) -> None:
    app = make_jobs_app(comfyui_url=f"{sim.url},{second.url}")
    api = app.test_client()
    uploaded = upload(api, png((60, 70, 80)))
    first = ended(app, submit(api, saving(reference(uploaded))))
    [output] = first["outputs"]
    places = [each for each in (sim, second) if queued_at(each)]
    [other] = {sim, second} - {*places}
    places[0].hold()
    for _ in range(2):  # one for each
        submit(api, picture())
    places[0].wait_until_held()  # only the other one is free

    for asset_id in uploaded, output["id"]:
        for _ in range(2):
            other.forget_requests()
            job = ended(app, submit(api, saving(reference(asset_id))))
            assert colors(app, job) == [(60, 70, 80)]
            assert len([each for each in queued_at(other) if "load0" in each.body["prompt"]]) == 1
        assert uploads(other) == 0  # the second time, it has the file
    places[0].release()


@pytest.mark.parametrize("comes_back", [True, False])
def test_a_file_on_a_comfyui_that_is_away(
    make_jobs_app: Callable[..., Flask],
    sim: Simulator,
    second: Simulator,
    comes_back: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stored_files, "AWAY_SECONDS", 60.0 if comes_back else 0.0)
    app = make_jobs_app(comfyui_url=f"{sim.url},{second.url}")
    api = app.test_client()
    asset_id = upload(api, png((6, 70, 80)))
    [has_it] = [each for each in (sim, second) if uploads(each)]
    has_it.kill()
    job_id = submit(api, saving(reference(asset_id)))
    if comes_back:
        until_true(lambda: api.get(f"/api/v2/jobs/{job_id}").get_json()["status"] == "running")
        has_it.revive()
        assert colors(app, ended(app, job_id)) == [(6, 70, 80)]
    else:
        job = ended(app, job_id)
        assert (job["status"], job["error"]["code"]) == ("failed", "missing_asset")
        assert job["error"]["message"].endswith("are on a ComfyUI that does not answer.")


# -- what is gone ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (reference("3f2b1c0d-1111-4222-8333-444455556666"), "does not exist"),
        (reference("3f2b1c0d-1111-4222-8333-444455556666-0"), "does not exist"),
        (reference("../../etc/passwd"), "does not exist"),
        (reference(7), "without the id"),
        (reference(None), "without the id"),
        ({"__type": "core/ASSET"}, "without the id"),
        ({"__type": "core/ASSET", "info": ["x"]}, "without the id"),
        ([{"deep": reference("nothing")}], "does not exist"),
    ],
)
def test_what_refers_to_nothing_is_refused(api: FlaskClient, sim: Simulator, wrong: Any, said: str) -> None:
    graph = {**picture(), "3": node("LoadImage", image=wrong)}
    answer = api.post("/api/v2/jobs", json={"workflow": graph})
    message = refused(answer, 422, "missing_asset")
    assert message.startswith("Node 3 (LoadImage): image ")
    assert said in message
    node_errors = answer.get_json()["error"]["details"]["node_errors"]
    assert node_errors["3"]["errors"][0]["extra_info"] == {"input_name": "image"}
    assert api.get("/api/v2/jobs").get_json()["jobs"] == []
    assert not queued_at(sim)


def test_assets_of_others_and_deleted_ones_do_not_exist(make_jobs_app: Callable[..., Flask]) -> None:
    app = make_jobs_app(**KEYS)
    api = app.test_client()
    asset_id = upload(api, png((1, 0, 0)), headers=SHOP)
    job_id = submit(api, saving(reference(asset_id)), SHOP)
    jobs_of(app).wait(job_id, SECONDS)

    def code(each: str, headers: dict[str, str]) -> int:
        return api.post("/api/v2/jobs", json={"workflow": saving(reference(each))}, headers=headers).status_code

    assert [code(each, OTHER) for each in (asset_id, f"{job_id}-0")] == [422, 422]
    assert [code(each, SHOP) for each in (asset_id, f"{job_id}-0", f"{job_id}-1")] == [201, 201, 422]
    assert api.delete(f"/api/v2/assets/{asset_id}", headers=SHOP).status_code == 204
    assert code(asset_id, SHOP) == 422


def test_bytes_that_are_gone_are_missed_at_once(api: FlaskClient, sim: Simulator) -> None:
    asset_id = upload(api, png((3, 3, 3)))
    shutil.rmtree(sim.input_directory / "comfybridge")
    answer = api.post("/api/v2/jobs", json={"workflow": saving(reference(asset_id))})
    assert "the asset photo.png, whose bytes are gone; upload it again" in refused(answer, 422, "missing_asset")


@pytest.mark.parametrize("is_cut", [False, True])
def test_bytes_that_go_while_a_job_waits(jobs_app: Flask, api: FlaskClient, sim: Simulator, is_cut: bool) -> None:
    asset_id = upload(api, png((3, 3, 3)))
    sim.hold()
    before = submit(api, picture())
    sim.wait_until_held()
    job_id = submit(api, saving(reference(asset_id)))
    [path] = (sim.input_directory / "comfybridge").iterdir()
    if is_cut:
        path.write_bytes(path.read_bytes()[:-10])
    else:
        path.unlink()
    sim.release()
    assert ended(jobs_app, before)["status"] == "succeeded"
    job = ended(jobs_app, job_id)
    assert (job["status"], job["error"]["code"]) == ("failed", "missing_asset")
    assert job["error"]["message"] == (
        "The bytes of the asset photo.png, which is for image of node load0 (LoadImage), are gone; upload it again."
    )
    assert len(queued_at(sim)) == 1


# -- what may be used ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"no picture at all", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"])
def test_a_picture_must_be_one(api: FlaskClient, data: bytes) -> None:
    asset_id = upload(api, data)
    answer = api.post("/api/v2/jobs", json={"workflow": saving(reference(asset_id))})
    message = refused(answer, 422, "invalid_request")
    assert message == "Node load0 (LoadImage): image refers to the asset photo.png, which is not a picture."


def test_a_policy_limits_the_size_of_pictures(
    make_jobs_app: Callable[..., Flask], policy_file: Callable[..., str]
) -> None:
    app = make_jobs_app(**KEYS, policy_file=policy_file(shop={"graphs": True, "max_width": 64}))
    api = app.test_client()
    large = upload(api, png((1, 1, 1), (80, 16)), headers=SHOP)
    small = upload(api, png((1, 1, 1), (64, 16)), headers=SHOP)
    refused(api.post("/api/v2/jobs", json={"workflow": saving(reference(large))}, headers=SHOP), 403, "forbidden")
    submit(api, saving(reference(small)), SHOP)


# -- keys of paid services -------------------------------------------------------------------------------------------


def test_a_key_for_services_is_on_no_disk_and_in_no_answer(
    jobs_app: Flask, api: FlaskClient, sim: Simulator, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    key = "comfyui-0d8f3ab2c4e1"

    def files_with_it() -> list[str]:
        found = []
        for path in (tmp_path / "state").rglob("*"):
            with contextlib.suppress(OSError):
                found += [str(path)] if path.is_file() and key.encode() in path.read_bytes() else []
        return found

    caplog.set_level("DEBUG")
    sim.hold()
    job_id = submit(api, picture(), extra_data={"api_key_comfy_org": key})
    sim.wait_until_held()
    assert files_with_it() == []
    sim.release()
    job = ended(jobs_app, job_id)
    assert job["status"] == "succeeded"
    assert queued_at(sim)[0].body["extra_data"]["api_key_comfy_org"] == key
    told = [job, api.get(f"/api/v2/jobs/{job_id}/workflow").text, api.get(f"/jobs/{job_id}/result").text]
    assert key not in json.dumps(told)
    assert files_with_it() == []
    assert key not in caplog.text
    engine = jobs_of(jobs_app).parts().engine
    until_true(lambda: not engine.subjects(LIVE, "comfybridge.live.secret.*"))

"""ComfyUI's cache names files that have been deleted since: what made them runs once more."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from comfybridge.simulator import Simulator
from tests import graphs
from tests.graphs import node
from tests.web.answers import failure, image, success

ON_NO_DRIVE = pytest.mark.skipif(os.name == "nt", reason="There it is a drive, and leads out")
WAITS = ["hub", "websocket", "poll"]


def linked_prefix() -> dict[str, Any]:
    """A graph whose picture is in ComfyUI's cache the second time: the bridge can't change a prefix on a link."""
    graph = graphs.picture()
    graph["3"] = node("PrimitiveString", value="linked")
    graph["2"]["inputs"]["filename_prefix"] = ["3", 0]
    return graph


def preview() -> dict[str, Any]:
    """A graph whose picture has no prefix at all."""
    return graphs.picture(save="PreviewImage")


def ask(api: FlaskClient, graph: dict[str, Any], **more: Any) -> dict[str, Any]:
    return success(api.post("/generate", json={"workflow": graph, **more}))


def delete_files(sim: Simulator) -> list[Path]:
    found = [each for folder in (sim.output_directory, sim.temp_directory) for each in folder.rglob("*.png")]
    for each in found:
        each.unlink()
    return found


def runs(sim: Simulator) -> int:
    return sum(each.method == "POST" and each.path.endswith("/prompt") for each in sim.requests)


def with_a_drive() -> dict[str, Any]:
    """A graph whose prefix is left alone, as it may lead out on ComfyUI's system."""
    graph = graphs.picture()
    graph["2"]["inputs"]["filename_prefix"] = "C:/renders/cat"
    return graph


@pytest.mark.parametrize("wait", WAITS)
@pytest.mark.parametrize("make", [linked_prefix, preview, pytest.param(with_a_drive, marks=ON_NO_DRIVE)])
def test_a_picture_that_is_gone_is_made_again(api: FlaskClient, sim: Simulator, make: Any, wait: str) -> None:
    graph = make()
    first = ask(api, graph, wait=wait)
    assert delete_files(sim)

    second = ask(api, graph, wait=wait)

    assert image(second["images"][0]).tobytes() == image(first["images"][0]).tobytes()
    assert runs(sim) == 3
    assert second["warnings"] == []
    later = success(api.get(f"/results/{second['prompt_id']}"))  # the id is that of the run that has the picture
    assert later["images"] == second["images"]


@pytest.mark.parametrize("accept", ["image/*", "application/zip"])
def test_bytes_and_zips_come_as_well(api: FlaskClient, sim: Simulator, accept: str) -> None:
    graph = preview()
    ask(api, graph)
    delete_files(sim)

    response = api.post("/generate", json={"workflow": graph}, headers={"Accept": accept})

    assert response.status_code == 200, response.text
    assert response.data


def test_a_stream_of_events_ends_in_the_picture(api: FlaskClient, sim: Simulator) -> None:
    graph = preview()
    first = ask(api, graph)
    delete_files(sim)

    response = api.post("/generate", json={"workflow": graph}, headers={"Accept": "text/event-stream"})

    *_, last = response.text.strip().split("\n\n")
    assert last.startswith("event: result\n")
    assert len(json.loads(last.partition("data: ")[2])["images"]) == len(first["images"])


def test_only_what_is_gone_runs_again(api: FlaskClient, sim: Simulator) -> None:
    graph = linked_prefix()
    graph["4"] = node("PreviewImage", images=["1", 0])
    options = {"previews": True}
    first = ask(api, graph, output=options)
    for each in sim.temp_directory.rglob("*.png"):
        each.unlink()

    second = ask(api, graph, output=options)

    assert [each["node_id"] for each in second["outputs"]] == ["2", "4"]
    assert second["outputs"][0]["filename"] == first["outputs"][0]["filename"]
    assert len(list(sim.output_directory.rglob("*.png"))) == 1
    *_, entry = sim.history.values()
    [cached] = [data["nodes"] for kind, data in entry["status"]["messages"] if kind == "execution_cached"]
    assert set(cached) == {"1", "2", "3"}


def test_a_seed_that_was_drawn_stays(api: FlaskClient, sim: Simulator) -> None:
    graph = graphs.txt2img("demo.safetensors", size=64)
    graph["9"] = node("PreviewImage", images=["8", 0])
    first = ask(api, graph)
    delete_files(sim)

    second = ask(api, graph)

    assert second["seed"] == first["seed"]
    assert image(second["images"][0]).tobytes() == image(first["images"][0]).tobytes()


def test_files_that_are_there_cost_no_other_run(api: FlaskClient, sim: Simulator) -> None:
    graph = preview()
    ask(api, graph)
    ask(api, graph)

    assert runs(sim) == 2


def test_files_that_were_made_just_now_are_not_looked_for_beforehand(api: FlaskClient, sim: Simulator) -> None:
    ask(api, preview())

    assert sum(each.path.endswith("/view") for each in sim.requests) == 1


def test_it_runs_again_once_only(api: FlaskClient, sim: Simulator) -> None:
    graph = preview()
    ask(api, graph)
    sim.fail_route("/view", 404, times=None)

    failure(api.post("/generate", json={"workflow": graph}), 502, "comfyui_error")

    assert runs(sim) == 3


def test_a_result_that_is_asked_for_later_is_not_made_again(api: FlaskClient, sim: Simulator) -> None:
    graph = preview()
    ask(api, graph)
    prompt_id = ask(api, graph)["prompt_id"]
    delete_files(sim)

    failure(api.get(f"/results/{prompt_id}"), 502, "comfyui_error")

    assert runs(sim) == 2


@pytest.mark.parametrize("make", [linked_prefix, preview])
def test_a_repeat_whose_files_are_gone_gets_them_made_again(api: FlaskClient, sim: Simulator, make: Any) -> None:
    headers, body = {"Idempotency-Key": "one"}, {"workflow": make()}
    first = success(api.post("/generate", json=body, headers=headers))
    delete_files(sim)

    second = success(api.post("/generate", json=body, headers=headers))
    third = success(api.post("/generate", json=body, headers=headers))

    assert image(second["images"][0]).tobytes() == image(first["images"][0]).tobytes()
    assert second["prompt_id"] == first["prompt_id"]
    assert base64.b64decode(third["images"][0]) == base64.b64decode(second["images"][0])
    assert runs(sim) == 2


def test_the_slot_is_free_afterwards(make_app: Any, sim: Simulator) -> None:
    api = make_app(max_concurrent=1).test_client()
    graph = preview()
    for _ in range(3):
        ask(api, graph)
        delete_files(sim)


def test_a_picture_that_was_made_again_brings_nothing_of_that_into_later_runs(
    api: FlaskClient, sim: Simulator
) -> None:
    graph = linked_prefix()
    ask(api, graph)
    delete_files(sim)
    [picture] = ask(api, graph)["images"]
    embedded = json.loads(image(picture).info["prompt"])
    assert "comfybridge_run" in embedded["2"]["inputs"]

    [again] = ask(api, embedded)["images"]

    assert image(again).tobytes() == image(picture).tobytes()
    assert "comfybridge_run" not in json.loads(image(again).info["prompt"])["2"]["inputs"]

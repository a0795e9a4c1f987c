"""Several prompts in one request: `n` and `seed_step` of `POST /generate`."""

from __future__ import annotations

import io
import itertools
import json
import re
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from comfybridge.simulator import Simulator
from tests import graphs
from tests.web.answers import failure, success
from tests.web.input_files import uploads
from tests.web.policies import PRESS, SHOP, SMALL, MakeApi, refused
from tests.web.slow_site import SlowSite, loading

EVENTS = {"Accept": "text/event-stream"}


def queued_seeds(sim: Simulator) -> list[int]:
    """The seeds of all prompts that ComfyUI has finished, in the order in which they were queued."""
    sim.wait_until_idle()  # the history is written a moment later
    prompts = sorted(entry["prompt"][:3] for entry in sim.history.values())
    return [graph["3"]["inputs"]["seed"] for _, _, graph in prompts]


def queued_times(sim: Simulator) -> int:
    return sum((each.method, each.path) == ("POST", "/prompt") for each in sim.requests)


def told(api: FlaskClient, body: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """The events of a stream: their names and data."""
    text = api.post("/generate", json=body, headers=EVENTS).text
    return [(name, json.loads(data)) for name, data in re.findall("^event: (\\w+)\ndata: (.*)", text, re.MULTILINE)]


def test_each_prompt_has_the_next_seed(api: FlaskClient, sim: Simulator) -> None:
    body = success(api.post("/generate", json={**SMALL, "n": 3, "seed": 7}))
    assert body["seeds"] == [7, 8, 9] == queued_seeds(sim)
    assert (body["seed"], body["params"]["seed"]) == (7, 7)
    assert len(set(body["images"])) == 3
    assert set(body["prompt_ids"]) == set(sim.history)
    assert body["prompt_id"] == body["prompt_ids"][0]
    assert [output["prompt_id"] for output in body["outputs"]] == body["prompt_ids"]
    assert [output["index"] for output in body["outputs"]] == [0, 1, 2]


def test_seeds_may_be_further_apart(api: FlaskClient, sim: Simulator) -> None:
    body = success(api.post("/generate", json={**SMALL, "n": "3", "seed": 7, "seed_step": 4, "batch_size": 4}))
    assert body["seeds"] == [7, 11, 15] == queued_seeds(sim)
    assert len(body["images"]) == 12


@pytest.mark.parametrize("seed", [{}, {"seed": -1}, {"seed": None}])
def test_a_drawn_seed_is_the_first_of_several(api: FlaskClient, sim: Simulator, seed: dict[str, Any]) -> None:
    first, *others = success(api.post("/generate", json={**SMALL, **seed, "n": 3}))["seeds"]
    assert others == [first + 1, first + 2]
    assert queued_seeds(sim) == [first, *others]


def test_a_whole_graph_begins_with_its_own_seed(api: FlaskClient, sim: Simulator) -> None:
    body = success(api.post("/generate", json={"prompt": graphs.txt2img(sim.checkpoints[0], seed=5), "n": 2}))
    assert body["seeds"] == [5, 6] == queued_seeds(sim)
    assert body["image"] == body["images"][0]


def test_an_input_that_sets_the_seed_is_stepped_itself(api: FlaskClient, sim: Simulator) -> None:
    body = success(api.post("/generate", json={**SMALL, "params": {"3.seed": 5}, "n": 2}))
    assert body["seeds"] == [5, 6] == queued_seeds(sim)


def test_after_the_highest_seed_comes_the_lowest(api: FlaskClient, sim: Simulator) -> None:
    highest = 2**64 - 1
    graph = graphs.txt2img(sim.checkpoints[0])
    graph["3"] = graphs.node(
        "SamplerCustom",
        model=["4", 0],
        add_noise=True,
        noise_seed=highest,
        cfg=7.0,
        positive=["6", 0],
        negative=["7", 0],
        sampler=["10", 0],
        sigmas=["11", 0],
        latent_image=["5", 0],
    )
    graph["10"] = graphs.node("KSamplerSelect", sampler_name="euler")
    graph["11"] = graphs.node("BasicScheduler", model=["4", 0], scheduler="normal", steps=2, denoise=1.0)
    assert success(api.post("/generate", json={"workflow": graph, "n": 2}))["seeds"] == [highest, 0]


def test_prompts_without_a_seed_run_with_a_warning(api: FlaskClient, sim: Simulator) -> None:
    body = success(api.post("/generate", json={"workflow": graphs.picture(), "n": 2}))
    assert ["no seed was found" in warning for warning in body["warnings"]] == [True]
    assert body["seeds"] == [None, None]
    assert len(body["images"]) == 2
    assert queued_times(sim) == 2


def test_one_prompt_is_answered_as_ever(api: FlaskClient) -> None:
    body = success(api.post("/generate", json={**SMALL, "n": 1}))
    assert "seeds" not in body
    assert "prompt_ids" not in body
    assert "prompt_id" not in body["outputs"][0]


@pytest.mark.parametrize("fields", [{"n": 0}, {"n": 65}, {"n": -1}, {"n": 1.5}, {"n": "x"}, {"seed_step": -1}])
def test_numbers_out_of_range_are_refused(api: FlaskClient, fields: dict[str, Any]) -> None:
    said = failure(api.post("/generate", json={**SMALL, **fields}), 400, "invalid_request")["error"]
    assert next(iter(fields)) in said


def test_a_fault_of_the_request_is_told_as_of_one_prompt(api: FlaskClient, sim: Simulator) -> None:
    said = failure(api.post("/generate", json={**SMALL, "steps": "many", "n": 3}), 400, "invalid_request")["error"]
    assert "Prompt 1" not in said
    assert queued_times(sim) == 0


def test_files_hold_the_pictures_of_all_prompts(api: FlaskClient) -> None:
    asked = {**SMALL, "n": 3}
    answer = api.post("/generate", json=asked, headers={"Accept": "application/zip"})
    assert len(zipfile.ZipFile(io.BytesIO(answer.data)).namelist()) == 3
    picture = api.post("/generate?index=2", json={**asked, "seed": 4}, headers={"Accept": "image/*"})
    assert picture.status_code == 200
    assert api.post("/generate?index=3", json=asked, headers={"Accept": "image/*"}).status_code != 200


def test_a_keepalive_answer_has_them_too(api: FlaskClient, sim: Simulator) -> None:
    answer = api.post("/generate", json={**SMALL, "n": 2, "seed": 1, "keepalive": 5})
    assert json.loads(answer.data)["seeds"] == [1, 2]


def test_an_event_stream_tells_of_all_prompts_as_one(api: FlaskClient, sim: Simulator) -> None:
    heard = told(api, {"workflow": graphs.txt2img(sim.checkpoints[0], steps=20), "n": 4})
    names = [name for name, _ in heard]
    assert (names[0], names.count("queued"), names[-1]) == ("queued", 1, "result")
    result = heard[-1][1]
    assert heard[0][1]["prompt_ids"] == result["prompt_ids"]
    assert heard[0][1]["prompt_id"] == result["prompt_id"]
    percents = [data["percent"] for name, data in heard if name == "progress"]
    assert percents == sorted(percents)
    assert percents.count(100) == 1
    assert percents[-1] == 100
    halfway = [percent for percent in percents if 45 < percent < 55]
    assert halfway, percents  # after two of four
    assert max(later - earlier for earlier, later in itertools.pairwise(percents)) < 10
    nodes = [(data["nodes_done"], data["nodes_total"]) for name, data in heard if name == "progress"]
    assert nodes == sorted(nodes)
    assert {total for _, total in nodes} == {4 * 7}
    assert nodes[-1][0] == 4 * 7


def test_the_remaining_time_is_that_of_all_prompts(api: FlaskClient, sim: Simulator) -> None:
    sim.step_seconds = 0.01
    success(api.post("/generate", json={"workflow": graphs.txt2img(sim.checkpoints[0], steps=20, seed=1)}))
    heard = told(api, {"workflow": graphs.txt2img(sim.checkpoints[0], steps=20, seed=10), "n": 3})
    etas = [data["eta_seconds"] for name, data in heard if name in ("queued", "progress")]
    assert etas[0] >= 0.6
    assert etas[1] >= 0.5
    assert etas[-1] == 0


def test_a_request_for_several_prompts_takes_one_slot_and_one_turn(api_for: MakeApi, sim: Simulator) -> None:
    api = api_for(rate="2/hour")
    slots = api.application.extensions["comfybridge"].slots
    taken = []
    for _ in range(2):
        answer = api.post("/generate", json={**SMALL, "n": 3}, headers={**SHOP, **EVENTS}, buffered=False)
        pieces = answer.iter_encoded()
        next(pieces)
        taken.append(slots.taken)
        list(pieces)
    assert taken == [1, 1]
    assert slots.taken == 0
    assert queued_times(sim) == 6
    failure(api.post("/generate", json={**SMALL, "n": 3}, headers=SHOP), 429, "rate_limited")


def test_a_policy_counts_all_pictures(api_for: MakeApi, sim: Simulator) -> None:
    api = api_for(max_batch_size=4)
    assert "at most 4 as n" in refused(api, sim, {**SMALL, "n": 5})
    said = refused(api, sim, {**SMALL, "n": 2, "batch_size": 3})
    assert "at most 2 as batch_size" in said
    assert "n is 2" in said
    assert len(success(api.post("/generate", json={**SMALL, "n": 2, "batch_size": 2}, headers=SHOP))["images"]) == 4
    success(api.post("/generate", json={**SMALL, "n": 5}, headers=PRESS))


def test_the_queue_must_have_room_for_all(make_app: Callable[..., Flask], sim: Simulator) -> None:
    api = make_app(max_queue=3).test_client()
    said = failure(api.post("/generate", json={**SMALL, "n": 4}), 400, "invalid_request")["error"]
    assert "n is 4" in said
    success(api.post("/generate", json={**SMALL, "n": 3}))
    sim.hold()
    kept = api.post("/generate", json={"workflow": graphs.picture(), "timeout": 0.2, "on_timeout": "keep"})
    failure(kept, 504, "timeout")
    sim.forget_requests()
    answer = api.post("/generate", json={**SMALL, "n": 3})
    failure(answer, 503, "busy")
    assert int(answer.headers["Retry-After"]) >= 1
    assert queued_times(sim) == 0
    sim.release()


def test_input_files_are_fetched_and_uploaded_once(
    make_app: Callable[..., Flask], sim: Simulator, site: SlowSite
) -> None:
    site.go_on.set()
    api = make_app(fetch_allow_hosts="127.0.0.1").test_client()
    assert len(success(api.post("/generate", json={**loading(site), "n": 3}))["images"]) == 3
    assert site.times == 1
    assert len(uploads(sim)) == 1

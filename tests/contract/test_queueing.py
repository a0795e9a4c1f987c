"""POST /prompt and the queue."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from tests.contract import graphs
from tests.contract.ear import Ear
from tests.contract.server import Server


def test_an_accepted_graph_is_answered_with_id_number_and_no_errors(server: Server, ear: Ear) -> None:
    answer = server.accepted(graphs.saved(), ear)

    assert set(answer) == {"prompt_id", "number", "node_errors"}
    assert answer["node_errors"] == {}
    assert isinstance(answer["number"], (int, float))


def test_the_client_may_choose_the_prompt_id(server: Server, ear: Ear) -> None:
    chosen = str(uuid.uuid4())

    assert server.run(graphs.saved(), ear, prompt_id=chosen) == chosen
    assert server.entry(chosen)["prompt"][1] == chosen


def test_without_a_prompt_id_the_server_chooses_one(server: Server, ear: Ear) -> None:
    response = server.post("/prompt", {"prompt": graphs.saved(), "client_id": ear.client_id})

    chosen = response.json()["prompt_id"]
    assert str(uuid.UUID(chosen)) == chosen
    ear.until_done(chosen)


def test_numbers_count_up(server: Server) -> None:
    first = server.accepted(graphs.saved())["number"]
    second = server.accepted(graphs.saved())["number"]

    assert second > first


def test_the_queue_shows_number_id_graph_extra_data_and_outputs(server: Server, busy: str, ear: Ear) -> None:
    graph = graphs.saved()
    answer = server.accepted(graph, ear, extra_data={"note": ["kept"]})

    queue = server.get("/queue").json()

    assert set(queue) == {"queue_running", "queue_pending"}
    assert [item[1] for item in queue["queue_running"]] == [busy]
    [item] = [item for item in queue["queue_pending"] if item[1] == answer["prompt_id"]]
    assert without_time(server, item[3]) == {"note": ["kept"], "client_id": ear.client_id}
    assert [*item[:3], *item[4:]] == [answer["number"], answer["prompt_id"], graph, ["2"]]


def test_extra_data_is_kept_in_the_history(server: Server, ear: Ear) -> None:
    prompt_id = server.run(graphs.saved(), ear, extra_data={"note": {"owner": "me"}})

    extra_data = without_time(server, server.entry(prompt_id)["prompt"][3])
    assert extra_data == {"note": {"owner": "me"}, "client_id": ear.client_id}


def without_time(server: Server, extra_data: dict[str, Any]) -> dict[str, Any]:
    """What was sent as `extra_data`: newer versions add when it came, in milliseconds."""
    if server.version.stamps_prompts:
        assert abs(time.time() * 1000 - extra_data.pop("create_time")) < 600_000
    return extra_data


def test_keys_for_partner_nodes_are_not_shown(server: Server, busy: str, ear: Ear) -> None:
    secrets = {"auth_token_comfy_org": "secret", "api_key_comfy_org": "secret"}
    prompt_id = server.queue(graphs.saved(), ear, extra_data={**secrets, "note": 1})

    [item] = [item for item in server.get("/queue").json()["queue_pending"] if item[1] == prompt_id]
    server.post("/interrupt", {"prompt_id": busy})
    ear.until_done(prompt_id)

    assert item[3].keys() & secrets == (set() if server.version.hides_secrets else secrets.keys())
    assert not server.entry(prompt_id)["prompt"][3].keys() & secrets


@pytest.mark.parametrize("chosen", ["mine", "5E6DB0C6-A5BC-4D8D-A57D-5D5CB3ED4B69", 7])
def test_a_newer_comfyui_takes_only_uuids_in_lower_case(server: Server, chosen: object) -> None:
    response = server.post("/prompt", {"prompt": graphs.saved(), "prompt_id": chosen})

    if server.version.demands_uuids:
        assert response.status_code == 400
        assert response.json()["error"]["type"] == "invalid_prompt_id"
    else:
        assert response.json()["prompt_id"] == str(chosen)


def test_the_number_of_prompts_in_the_queue_can_be_asked_for(server: Server, busy: str) -> None:
    server.queue(graphs.saved())

    info = server.get("/prompt").json()

    assert set(info) == {"exec_info"}
    assert info["exec_info"]["queue_remaining"] >= 2


def test_front_and_number_decide_the_order(server: Server, busy: str, ear: Ear) -> None:
    last = server.queue(graphs.saved(), ear)
    middle = server.queue(graphs.saved(), ear, number=-1e6)
    first = server.queue(graphs.saved(), ear, number=-2e6)
    early = server.accepted(graphs.saved(), ear, front=True)

    server.post("/interrupt", {"prompt_id": busy})
    for prompt_id in (first, middle, early["prompt_id"], last):
        ear.until_done(prompt_id)

    assert early["number"] < 0
    started = [frame.prompt_id for frame in ear.heard if frame.type == "execution_start"]
    assert started == [first, middle, early["prompt_id"], last]


def test_the_same_id_can_be_queued_twice(server: Server, busy: str, ear: Ear) -> None:
    twice = str(uuid.uuid4())
    for _ in range(2):
        server.queue(graphs.saved(), ear, prompt_id=twice)

    pending = [item[1] for item in server.get("/queue").json()["queue_pending"]]

    assert pending.count(twice) == 2


def test_a_deleted_pending_prompt_leaves_no_event_and_no_history(server: Server, busy: str, ear: Ear) -> None:
    deleted = server.queue(graphs.saved(), ear)
    response = server.post("/queue", {"delete": [deleted]})
    kept = server.queue(graphs.saved(), ear)

    server.post("/interrupt", {"prompt_id": busy})
    ear.until_done(kept)

    assert response.status_code == 200
    assert ear.of(deleted) == []
    assert not server.in_queue(deleted)
    assert server.get(f"/history/{deleted}").json() == {}


def test_a_deletion_leaves_the_order_as_it_was(server: Server, busy: str, ear: Ear) -> None:
    # In this order the queue is a heap whose first item cannot just be taken away.
    numbers = [1, 5, 2, 6, 7, 3, 4]
    prompts = {number: server.queue(graphs.saved(), ear, number=number - 1e6) for number in numbers}

    server.post("/queue", {"delete": [prompts.pop(1)]})
    server.post("/interrupt", {"prompt_id": busy})
    ear.until_done(prompts[7])

    started = [frame.prompt_id for frame in ear.heard if frame.type == "execution_start"]
    assert started == [prompts[number] for number in sorted(prompts)]


@pytest.mark.parametrize("what", ["an unknown prompt", "the running prompt"])
def test_deleting_what_is_not_pending_is_answered_200_and_does_nothing(server: Server, busy: str, what: str) -> None:
    prompt_id = busy if what == "the running prompt" else str(uuid.uuid4())

    assert server.post("/queue", {"delete": [prompt_id]}).status_code == 200
    assert server.in_queue(busy)


def test_clear_empties_the_queue_but_for_what_runs(server: Server, busy: str) -> None:
    pending = server.queue(graphs.saved())

    assert server.post("/queue", {"clear": True}).status_code == 200

    assert not server.in_queue(pending)
    assert server.in_queue(busy)


def test_only_the_chosen_outputs_run(server: Server, ear: Ear) -> None:
    graph: dict[str, Any] = {
        **graphs.saved(),
        "3": graphs.plain(),
        "4": graphs.node("SaveImage", images=["3", 0], filename_prefix=f"contract/{graphs.unique()}/y"),
    }

    prompt_id = server.run(graph, ear, partial_execution_targets=["4"])

    assert set(server.entry(prompt_id)["outputs"]) == {"4"}
    assert {frame.data["node"] for frame in ear.of(prompt_id) if frame.type == "executing"} == {"3", "4", None}


def test_targets_that_are_no_outputs_leave_nothing_to_do(server: Server) -> None:
    assert server.refused(graphs.saved(), partial_execution_targets=["1"])["error"]["type"] == "prompt_no_outputs"


def test_a_graph_with_one_good_output_is_accepted_with_the_errors_of_the_others(server: Server, ear: Ear) -> None:
    graph = {**graphs.saved(), "3": graphs.node("SaveImage", images=["9", 0], filename_prefix="x")}

    answer = server.accepted(graph, ear)
    ear.until_done(answer["prompt_id"])

    assert set(answer["node_errors"]) == {"3"}
    assert answer["node_errors"]["3"]["errors"][0]["extra_info"]["traceback"]
    assert set(server.entry(answer["prompt_id"])["outputs"]) == {"2"}
    assert server.entry(answer["prompt_id"])["prompt"][4] == ["2"]


def test_every_route_is_also_there_below_api(server: Server, listen: Callable[..., Ear]) -> None:
    for path in ("/prompt", "/queue", "/history", "/system_stats", "/models", "/features"):
        assert set(server.get("/api" + path).json()) == set(server.get(path).json())

"""The history: what is left of a prompt."""

from __future__ import annotations

import uuid

import pytest

from tests.contract import graphs
from tests.contract.ear import Ear
from tests.contract.server import Server


def test_a_finished_prompt_has_prompt_outputs_status_and_meta(server: Server, ear: Ear) -> None:
    prompt_id = server.run(graphs.saved(), ear)

    entry = server.entry(prompt_id)

    assert set(entry) == {"prompt", "outputs", "status", "meta"}
    [file] = entry["outputs"]["2"]["images"]
    assert set(file) >= {"filename", "subfolder", "type"}
    assert entry["meta"] == {
        "2": {"node_id": "2", "display_node": "2", "parent_node": None, "real_node_id": "2"},
    }
    assert (entry["status"]["status_str"], entry["status"]["completed"]) == ("success", True)
    events = [event for event, _ in entry["status"]["messages"]]
    assert events == ["execution_start", "execution_cached", "execution_success"]
    assert all(data["prompt_id"] == prompt_id for _, data in entry["status"]["messages"])


def test_the_history_is_written_when_the_last_event_comes(server: Server, ear: Ear) -> None:
    for _ in range(5):
        prompt_id = server.queue(graphs.saved(), ear)

        ear.until_done(prompt_id)

        assert prompt_id in server.get(f"/history/{prompt_id}").json()


@pytest.mark.parametrize("what", ["unknown", "pending", "running"])
def test_an_unfinished_prompt_looks_like_an_unknown_one(server: Server, busy: str, what: str) -> None:
    prompt_id = {"unknown": str(uuid.uuid4()), "running": busy}.get(what) or server.queue(graphs.saved())

    response = server.get(f"/history/{prompt_id}")

    assert response.status_code == 200
    assert response.json() == {}


def test_the_newest_entries_can_be_had_in_one_call(server: Server, ear: Ear) -> None:
    first = server.run(graphs.saved(), ear)
    second = server.run(graphs.saved(), ear)

    newest = server.get("/history", max_items=2).json()

    assert list(newest) == [first, second]
    assert newest[second] == server.entry(second)


def test_the_history_can_be_read_from_an_offset(server: Server, ear: Ear) -> None:
    server.run(graphs.saved(), ear)
    everything = list(server.get("/history").json())

    assert list(server.get("/history", max_items=1, offset=0).json()) == everything[:1]


def test_an_entry_can_be_deleted(server: Server, ear: Ear) -> None:
    prompt_id = server.run(graphs.saved(), ear)

    assert server.post("/history", {"delete": [prompt_id]}).status_code == 200

    assert server.get(f"/history/{prompt_id}").json() == {}


def test_two_runs_under_one_id_leave_one_entry(server: Server, ear: Ear) -> None:
    twice = str(uuid.uuid4())
    server.run(graphs.saved(), ear, prompt_id=twice)
    graph = graphs.saved()
    server.run(graph, ear, prompt_id=twice)

    assert server.entry(twice)["prompt"][2] == graph

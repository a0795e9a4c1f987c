"""The websocket: which events come, in which order, and to whom."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.contract import graphs
from tests.contract.ear import Ear
from tests.contract.server import Server


def test_a_connection_is_greeted_with_the_queue_and_its_client_id(ear: Ear) -> None:
    assert set(ear.greeting) == {"status", "sid"}
    assert ear.greeting["sid"] == ear.client_id
    assert isinstance(ear.greeting["status"]["exec_info"]["queue_remaining"], int)


def test_without_a_client_id_the_server_makes_one_up(server: Server, listen: Callable[..., Ear]) -> None:
    ear = listen("")
    ear.client_id = ear.greeting["sid"]

    server.run(graphs.saved(), ear)


def test_the_events_of_a_run_come_in_this_order(server: Server, ear: Ear) -> None:
    prompt_id = server.run(graphs.saved(), ear)

    assert [frame.type for frame in ear.of(prompt_id)] == [
        *("execution_start", "execution_cached"),
        *("progress_state", "executing", "progress_state"),
        *("progress_state", "executing", "executed", "progress_state"),
        *("execution_success", "executing"),
    ]


def test_executed_bears_what_the_history_will(server: Server, ear: Ear) -> None:
    prompt_id = server.run(graphs.saved(batch_size=2), ear)

    [executed] = [frame.data for frame in ear.of(prompt_id) if frame.type == "executed"]

    output = server.entry(prompt_id)["outputs"]["2"]
    assert executed == {"node": "2", "display_node": "2", "output": output, "prompt_id": prompt_id}
    assert len(output["images"]) == 2


def test_executing_names_each_node_and_at_last_none(server: Server, ear: Ear) -> None:
    prompt_id = server.run(graphs.saved(), ear)

    executing = [frame.data for frame in ear.of(prompt_id) if frame.type == "executing"]

    assert executing == [
        {"node": "1", "display_node": "1", "prompt_id": prompt_id},
        {"node": "2", "display_node": "2", "prompt_id": prompt_id},
        {"node": None, "prompt_id": prompt_id},
    ]


def test_progress_state_tells_of_all_nodes_that_have_begun(server: Server, ear: Ear) -> None:
    prompt_id = server.run(graphs.saved(), ear)

    states = [frame.data["nodes"] for frame in ear.of(prompt_id) if frame.type == "progress_state"]

    assert [{node: state["state"] for node, state in nodes.items()} for nodes in states] == [
        {"1": "running"},
        {"1": "finished"},
        {"1": "finished", "2": "running"},
        {"1": "finished", "2": "finished"},
    ]
    assert states[-1]["2"] == {
        "value": 1.0,
        "max": 1.0,
        "state": "finished",
        "node_id": "2",
        "prompt_id": prompt_id,
        "display_node_id": "2",
        "parent_node_id": None,
        "real_node_id": "2",
    }


def test_a_sampler_tells_its_steps(server: Server, checkpoint: str, ear: Ear) -> None:
    prompt_id = server.run(graphs.txt2img(checkpoint, steps=3), ear)

    steps = [frame.data for frame in ear.of(prompt_id) if frame.type == "progress"]

    assert steps == [{"value": n, "max": 3, "prompt_id": prompt_id, "node": "3"} for n in (1, 2, 3)]


def test_text_is_shown_in_executed(server: Server, ear: Ear) -> None:
    text = graphs.unique()
    graph = {
        "1": graphs.node("PrimitiveString", value=text),
        "2": graphs.node("PreviewAny", source=["1", 0]),
    }

    prompt_id = server.run(graph, ear)

    assert server.entry(prompt_id)["outputs"] == {"2": {"text": [text]}}


def test_events_of_a_prompt_go_only_to_the_client_that_queued_it(server: Server, listen: Callable[..., Ear]) -> None:
    mine, other = listen(), listen()

    theirs = server.run(graphs.saved(), other)
    own = server.run(graphs.saved(), mine)

    assert mine.of(theirs) == []
    assert mine.of(own)


def test_status_goes_to_every_socket(server: Server, listen: Callable[..., Ear]) -> None:
    mine, other = listen(), listen()

    server.run(graphs.saved(), other)

    for _ in range(3):  # queued, started, done
        assert set(mine.until("status").data) == {"status"}


def test_a_prompt_without_a_client_sends_its_progress_to_everyone(server: Server, listen: Callable[..., Ear]) -> None:
    ears = [listen(), listen()]

    prompt_id = server.queue(graphs.saved())
    server.wait_until_gone(prompt_id)
    last = server.run(graphs.saved(), ears[0])
    ears[1].until("progress_state", prompt_id)

    for ear in ears:
        assert {frame.type for frame in ear.of(prompt_id)} == {"progress_state"}
    assert ears[1].of(last) == []


def test_who_polls_can_queue_under_an_id_that_nobody_listens_on(server: Server, ear: Ear) -> None:
    response = server.post("/prompt", {"prompt": graphs.saved(), "client_id": graphs.unique()})
    prompt_id = response.json()["prompt_id"]
    server.wait_until_gone(prompt_id)

    server.run(graphs.saved(), ear)

    assert ear.of(prompt_id) == []
    assert server.entry(prompt_id)["status"]["completed"] is True


def test_a_client_that_reconnects_is_told_the_node_that_runs(
    server: Server, checkpoint: str, listen: Callable[..., Ear]
) -> None:
    first = listen()
    prompt_id = server.queue(graphs.txt2img(checkpoint, steps=9000), first)
    first.until("progress", prompt_id)

    again = listen(first.client_id)

    greeting = again.until("executing")
    assert greeting.data == {"node": "3"}
    server.post("/interrupt", {"prompt_id": prompt_id})
    again.until_done(prompt_id)


def test_a_socket_whose_predecessor_dies_late_is_never_written_to_again(
    server: Server, listen: Callable[..., Ear]
) -> None:
    old = listen()
    new = listen(old.client_id)
    server.run(graphs.saved(), new)

    old.close()
    prompt_id = server.queue(graphs.saved(), new)
    server.wait_until_gone(prompt_id)

    assert new.of(prompt_id) == []
    assert new.quiet(0.3)
    assert new.of(prompt_id) == []


def test_feature_flags_are_answered_with_the_servers(ear: Ear, server: Server) -> None:
    ear.tell("feature_flags", {"supports_preview_metadata": True})

    assert ear.until("feature_flags").data == server.get("/features").json()


@pytest.mark.parametrize("first", ["hello", "feature_flags"])
def test_feature_flags_count_only_in_the_first_message(
    server: Server, listen: Callable[..., Ear], first: str
) -> None:
    ear = listen()
    ear.tell(first, {})
    ear.tell("feature_flags", {"supports_preview_metadata": True})

    server.run(graphs.sent(), ear)

    assert [frame.binary for frame in ear.pictures()] == [1]

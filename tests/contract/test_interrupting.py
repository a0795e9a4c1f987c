"""POST /interrupt, and what a failed run leaves behind."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from tests.contract import graphs
from tests.contract.ear import Ear
from tests.contract.server import Server


@pytest.mark.parametrize("aimed", [True, False])
def test_a_running_prompt_is_stopped(server: Server, checkpoint: str, ear: Ear, aimed: bool) -> None:
    prompt_id = server.queue(graphs.txt2img(checkpoint, steps=9000), ear)
    ear.until("progress", prompt_id)

    response = server.post("/interrupt", {"prompt_id": prompt_id} if aimed else {})
    event = ear.until("execution_interrupted", prompt_id)
    ear.until_done(prompt_id)

    assert response.status_code == 200
    assert (event.data["node_id"], event.data["node_type"]) == ("3", "KSampler")
    assert isinstance(event.data["executed"], list)
    status = server.entry(prompt_id)["status"]
    assert (status["status_str"], status["completed"]) == ("error", False)
    assert [name for name, _ in status["messages"]][-1] == "execution_interrupted"
    assert server.entry(prompt_id)["outputs"] == {}
    assert "execution_success" not in [frame.type for frame in ear.of(prompt_id)]


def test_an_interrupt_for_another_prompt_changes_nothing(
    server: Server, checkpoint: str, ear: Ear, listen: Callable[..., Ear]
) -> None:
    # few enough that ComfyUI, which reports each half percent, soon reports the next step
    running = server.queue(graphs.txt2img(checkpoint, steps=600), ear)
    pending = server.queue(graphs.saved(), listen())
    ear.until("progress", running)

    answers = [server.post("/interrupt", {"prompt_id": prompt_id}) for prompt_id in (pending, str(uuid.uuid4()))]
    for _ in range(2):
        ear.until("progress", running)

    assert [answer.status_code for answer in answers] == [200, 200]
    assert server.in_queue(running)
    assert server.in_queue(pending)
    server.post("/interrupt", {"prompt_id": running})
    ear.until_done(running)


def test_an_interrupt_while_nothing_runs_stops_nothing_later(server: Server, ear: Ear) -> None:
    server.run(graphs.saved(), ear)
    assert server.post("/interrupt", {}).status_code == 200

    prompt_id = server.run(graphs.saved(), ear)

    assert server.entry(prompt_id)["status"]["completed"] is True


def test_a_node_that_raises_ends_the_run_with_an_error_event(server: Server, ear: Ear) -> None:
    name = server.upload(b"no picture at all", f"{graphs.unique()}.png").json()["name"]

    prompt_id = server.queue(graphs.loaded(name), ear)
    event = ear.until("execution_error", prompt_id).data
    ear.until_done(prompt_id)

    assert set(event) == {
        *("prompt_id", "node_id", "node_type", "executed", "exception_message", "exception_type"),
        *("traceback", "current_inputs", "current_outputs", "timestamp"),
    }
    assert (event["node_id"], event["node_type"]) == ("1", "LoadImage")
    assert event["exception_type"] == "PIL.UnidentifiedImageError"
    assert event["current_inputs"] == {"image": [name]}
    assert_traceback(event["traceback"])
    entry = server.entry(prompt_id)
    assert (entry["status"]["status_str"], entry["status"]["completed"]) == ("error", False)
    assert entry["status"]["messages"][-1] == ["execution_error", event]
    assert entry["outputs"] == {}


def assert_traceback(lines: Any) -> None:
    """A list of lines with the server's paths in them."""
    assert isinstance(lines, list)
    assert any('File "' in line for line in lines)

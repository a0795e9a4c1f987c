"""The history as tests see it."""

from __future__ import annotations

import threading

import pytest

from comfybridge.simulator import Simulator
from comfybridge.simulator.prompt_queue import Entry, PromptQueue
from tests.contract import graphs
from tests.contract.ear import Ear
from tests.contract.server import Server


def test_it_has_each_prompt_whose_end_was_told(
    sim: Simulator, server: Server, ear: Ear, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bridge may answer then, a moment before ComfyUI writes it."""
    finish, wait_until = PromptQueue.finish, PromptQueue.wait_until
    is_asked = threading.Event()

    def finish_when_asked(queue: PromptQueue, entry: Entry) -> None:
        assert is_asked.wait(20)
        finish(queue, entry)

    def ask(queue: PromptQueue, *condition: object) -> bool:
        is_asked.set()
        return wait_until(queue, *condition)  # type: ignore[arg-type]

    monkeypatch.setattr(PromptQueue, "finish", finish_when_asked)
    monkeypatch.setattr(PromptQueue, "wait_until", ask)
    prompt_id = server.queue(graphs.saved(), ear)
    ear.until("execution_success", prompt_id)
    assert list(sim.history) == [prompt_id]

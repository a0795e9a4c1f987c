"""Looking prompts up: many share one look at the queue, and none takes one from before its own prompt."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
import responses

from comfybridge.address import ServerAddress
from comfybridge.comfyui import lookup
from comfybridge.comfyui.client import ComfyUIClient
from comfybridge.comfyui.lookup import PromptLookup
from comfybridge.comfyui.outcome import Prompt
from comfybridge.deadline import Deadline
from comfybridge.errors import PromptLost

URL = "http://gpu.example:8188"
MINE = Prompt("mine", {})


@pytest.fixture
def comfyui(monkeypatch: pytest.MonkeyPatch) -> Iterator[responses.RequestsMock]:
    monkeypatch.setattr(lookup, "FRESH_SECONDS", 1000.0)
    with responses.RequestsMock() as mock:
        yield mock


@pytest.fixture
def prompts() -> PromptLookup:
    return PromptLookup(ComfyUIClient(ServerAddress.parse(URL)))


def queue_of(*pending: str) -> dict[str, object]:
    return {"queue_running": [], "queue_pending": [[n, each, {}, {}, []] for n, each in enumerate(pending)]}


def test_waiters_that_ask_at_the_same_time_share_one_look(
    comfyui: responses.RequestsMock, prompts: PromptLookup
) -> None:
    comfyui.get(f"{URL}/queue", json=queue_of("other", "mine"))
    queued_at = time.monotonic()
    assert [prompts.history_entry(MINE, queued_at, Deadline(9)) for _ in range(50)] == [None] * 50
    assert len(comfyui.calls) == 1


def test_a_look_from_before_the_prompt_was_queued_does_not_count(
    comfyui: responses.RequestsMock, prompts: PromptLookup
) -> None:
    comfyui.get(f"{URL}/queue", json=queue_of("other"))
    assert prompts.history_entry(Prompt("other", {}), time.monotonic(), Deadline(9)) is None
    comfyui.get(f"{URL}/queue", json=queue_of("other", "mine"))
    assert prompts.history_entry(MINE, time.monotonic(), Deadline(9)) is None


def test_what_has_left_the_queue_is_in_the_history(comfyui: responses.RequestsMock, prompts: PromptLookup) -> None:
    comfyui.get(f"{URL}/queue", json=queue_of())
    comfyui.get(f"{URL}/history/mine", json={"mine": {"outputs": {}}})
    assert prompts.history_entry(MINE, time.monotonic(), Deadline(9)) == {"outputs": {}}
    assert [call.request.path_url for call in comfyui.calls] == ["/queue", "/history/mine"]


def test_what_is_in_neither_is_lost(comfyui: responses.RequestsMock, prompts: PromptLookup) -> None:
    comfyui.get(f"{URL}/queue", json=queue_of())
    comfyui.get(f"{URL}/history/mine", json={})
    with pytest.raises(PromptLost):
        prompts.history_entry(MINE, time.monotonic(), Deadline(9))

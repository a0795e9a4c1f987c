"""Looking prompts up: many share one look at the queue, and none takes one from before its own prompt."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from comfybridge.address import ServerAddress
from comfybridge.comfyui import lookup
from comfybridge.comfyui.client import ComfyUIClient
from comfybridge.comfyui.lookup import PromptLookup
from comfybridge.comfyui.outcome import Prompt
from comfybridge.deadline import Deadline
from comfybridge.errors import PromptLost
from tests.comfyui.exchange import Exchange

MINE = Prompt("mine", {})


@pytest.fixture
def comfyui(monkeypatch: pytest.MonkeyPatch) -> Iterator[Exchange]:
    monkeypatch.setattr(lookup, "FRESH_SECONDS", 1000.0)
    with Exchange() as exchange:
        yield exchange


@pytest.fixture
def prompts(comfyui: Exchange) -> Iterator[PromptLookup]:
    client = ComfyUIClient(ServerAddress.parse(comfyui.url))
    yield PromptLookup(client)
    client.close()


def queue_of(*pending: str) -> dict[str, object]:
    return {"queue_running": [], "queue_pending": [[n, each, {}, {}, []] for n, each in enumerate(pending)]}


def test_waiters_that_ask_at_the_same_time_share_one_look(comfyui: Exchange, prompts: PromptLookup) -> None:
    comfyui.get("/queue", json_body=queue_of("other", "mine"))
    queued_at = time.monotonic()
    assert [prompts.history_entry(MINE, queued_at, Deadline(9)) for _ in range(50)] == [None] * 50
    assert len(comfyui.requests) == 1


def test_a_look_from_before_the_prompt_was_queued_does_not_count(comfyui: Exchange, prompts: PromptLookup) -> None:
    comfyui.get("/queue", json_body=queue_of("other"))
    assert prompts.history_entry(Prompt("other", {}), time.monotonic(), Deadline(9)) is None
    comfyui.get("/queue", json_body=queue_of("other", "mine"))
    assert prompts.history_entry(MINE, time.monotonic(), Deadline(9)) is None


def test_what_has_left_the_queue_is_in_the_history(comfyui: Exchange, prompts: PromptLookup) -> None:
    comfyui.get("/queue", json_body=queue_of())
    comfyui.get("/history/mine", json_body={"mine": {"outputs": {}}})
    assert prompts.history_entry(MINE, time.monotonic(), Deadline(9)) == {"outputs": {}}
    assert [request.target for request in comfyui.requests] == ["/queue", "/history/mine"]


def test_what_is_in_neither_is_lost(comfyui: Exchange, prompts: PromptLookup) -> None:
    comfyui.get("/queue", json_body=queue_of())
    comfyui.get("/history/mine", json_body={})
    with pytest.raises(PromptLost):
        prompts.history_entry(MINE, time.monotonic(), Deadline(9))

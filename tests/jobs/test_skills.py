"""What a bridge knows of what its agents can run."""

from __future__ import annotations

import time
from typing import cast

import pytest

from comfybridge.engine.engine import Engine
from comfybridge.errors import EngineUnreachable
from comfybridge.jobs.abilities import Abilities
from comfybridge.jobs.presence import Agent
from comfybridge.jobs.skills import SILENT_SECONDS, Skills
from tests.jobs.parties import job_of


class Asked:
    """An engine by which one agent is asked, which does not answer while it is suspended."""

    is_connected = True

    def __init__(self) -> None:
        self.is_suspended = True
        self.times = 0

    def ask(self, subject: str, data: bytes, seconds: float) -> bytes:
        self.times += 1
        if self.is_suspended:
            raise EngineUnreachable("Nobody answers.")
        return Abilities(frozenset({"SaveImage"}), {}).to_bytes()


def test_an_agent_that_does_not_answer_is_not_asked_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each request would wait for its answer."""
    known, asked = Skills(), Asked()

    def lacking() -> str | None:
        agent = Agent("agent-1", "session", abilities_hash="some")
        return known.lacking(job_of(classes=("Strange",)), cast(Engine, asked), [agent])

    assert [lacking(), lacking()] == [None, None]
    assert asked.times == 1
    asked.is_suspended = False
    now = time.monotonic()
    monkeypatch.setattr("time.monotonic", lambda: now + SILENT_SECONDS)
    assert [lacking(), lacking()] == ["the node class Strange", "the node class Strange"]
    assert asked.times == 2

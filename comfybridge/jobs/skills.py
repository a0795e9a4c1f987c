"""What the agents of a fleet can run, as far as a bridge has asked them, and why a job waits for another one."""

from __future__ import annotations

import logging
import time
import zlib
from collections.abc import Sequence

from comfybridge.engine.engine import Engine
from comfybridge.errors import BridgeError
from comfybridge.jobs.abilities import Abilities
from comfybridge.jobs.agent_servers import NO_AGENT, NOT_REACHED
from comfybridge.jobs.board import Entry
from comfybridge.jobs.job import Job
from comfybridge.jobs.presence import Agent

log = logging.getLogger(__name__)

ASK_SECONDS = 2.0
SILENT_SECONDS = 5.0  # for which an agent that did not answer is not asked again: each request would wait for that
MOST_KEPT = 100


class Skills:
    """The abilities of agents, asked for once as long as they stay the same. Safe to share between threads."""

    def __init__(self) -> None:
        self._known: dict[str, Abilities | None] = {}
        self._silent: dict[str, float] = {}  # agents that did not answer, and until when they are not asked again

    def lacking(self, job: Job, engine: Engine, agents: Sequence[Agent]) -> str | None:
        """What one of the agents lacks for a job, as the end of a sentence.

        Returns:
            None if one of them can run it, as far as is known, or if there are none.
        """
        what = None
        for agent in agents:
            abilities = self._of(agent, engine)
            what = None if abilities is None else abilities.lacking(job.classes, job.models)
            if what is None:
                return None
        return what

    def _of(self, agent: Agent, engine: Engine) -> Abilities | None:
        """The abilities of an agent; None if it does not tell them."""
        key = agent.abilities_hash
        if not key:
            return None
        if key not in self._known:
            if not engine.is_connected or time.monotonic() < self._silent.get(agent.id, 0.0):
                return None  # they will be asked for later
            if len(self._known) >= MOST_KEPT:
                self._known.clear()
            try:
                told = engine.ask(f"comfybridge.ask.{agent.id}.abilities", b"", ASK_SECONDS)
            except BridgeError:  # it was suspended, perhaps
                self._silent[agent.id] = time.monotonic() + SILENT_SECONDS
                return None
            self._silent.pop(agent.id, None)
            try:
                self._known[key] = Abilities.from_bytes(told)
            except (ValueError, TypeError, AttributeError, KeyError, zlib.error) as error:
                log.warning("The agent %s tells abilities that can't be read: %r", agent.name, error)
                self._known[key] = None
        return self._known[key]


def hindrance(entry: Entry, engine: Engine, agents: Sequence[Agent], skills: Skills) -> str | None:
    """Why nobody takes a waiting job, as a sentence; None if an agent can, as far as is known."""
    if not agents:
        return NO_AGENT if engine.is_chosen else None  # the bridge's own is about to begin
    able = [each for each in agents if each.can_take]
    if not able:
        return NOT_REACHED if engine.is_chosen else "ComfyUI does not answer."
    refused = {} if entry.claim is None else entry.claim.lacks
    others = [each for each in able if each.id not in refused]
    if not others:
        return refused[able[-1].id]
    what = skills.lacking(entry.job, engine, others) if engine.is_chosen else None
    return None if what is None else f"No agent has {what}."

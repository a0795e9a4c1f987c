"""What the agents of a fleet can run, as far as a bridge has asked them."""

from __future__ import annotations

import contextlib
import logging
import zlib
from collections.abc import Sequence

from comfybridge.engine.engine import Engine
from comfybridge.errors import BridgeError
from comfybridge.jobs.abilities import Abilities
from comfybridge.jobs.job import Job
from comfybridge.jobs.presence import Agent

log = logging.getLogger(__name__)

ASK_SECONDS = 2.0
MOST_KEPT = 100


class Skills:
    """The abilities of agents, asked for once as long as they stay the same. Safe to share between threads."""

    def __init__(self) -> None:
        self._known: dict[str, Abilities | None] = {}

    def suffice(self, job: Job, engine: Engine, agents: Sequence[Agent]) -> bool:
        """Whether one of the agents can run a job, as far as is known."""
        for agent in agents:
            abilities = self._of(agent, engine)
            if abilities is None or abilities.lacking(job.classes, job.models) is None:
                return True
        return False

    def _of(self, agent: Agent, engine: Engine) -> Abilities | None:
        """The abilities of an agent; None if it does not tell them."""
        key = agent.abilities_hash
        if not key:
            return None
        if key not in self._known:
            if len(self._known) >= MOST_KEPT:
                self._known.clear()
            abilities = None
            with contextlib.suppress(BridgeError):
                told = engine.ask(f"comfybridge.ask.{agent.id}.abilities", b"", ASK_SECONDS)
                try:
                    abilities = Abilities.from_bytes(told)
                except (ValueError, TypeError, AttributeError, KeyError, zlib.error) as error:
                    log.warning("The agent %s tells abilities that can't be read: %r", agent.name, error)
                self._known[key] = abilities
            return abilities
        return self._known[key]

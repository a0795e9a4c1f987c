"""A bridge without a ComfyUI, and agents that work for it, in this process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from comfybridge.bridge import Bridge
from comfybridge.deadline import Deadline
from comfybridge.engine.engine import Engine
from comfybridge.jobs.agent import Agent
from comfybridge.jobs.agent_servers import AgentServers
from comfybridge.jobs.jobs import Jobs
from comfybridge.jobs.states import State, Wishes
from comfybridge.request import Generation, GenerationRequest
from comfybridge.settings import load_settings
from tests.waiting import until_true

LEASE = 1.0


class Office:
    """A bridge whose jobs run on agents; close it."""

    def __init__(self, engine: str, folder: Path, **settings: Any) -> None:
        self.engine = engine
        self.folder = folder
        self.settings = load_settings(engine=engine, state_dir=folder, **settings)
        self.bridge = Bridge(self.settings, AgentServers())
        self.jobs = Jobs(self.bridge)
        self.board = self.jobs.parts().board
        self.agents: list[Hand] = []

    def hire(self, comfyui_url: str, name: str = "", **settings: Any) -> Hand:
        """An agent that takes jobs."""
        hand = Hand(self, comfyui_url, name or f"agent-{len(self.agents) + 1}", settings)
        self.agents.append(hand)
        return hand

    def queue(self, asked: GenerationRequest, **wishes: Any) -> str:
        """Queue a job; returns its id."""
        return self.jobs.submit(self.bridge.admit(asked), Wishes(**wishes)).id

    def ended(self, job_id: str) -> State:
        """A job once it has ended."""
        state = self.jobs.wait(job_id, 60.0)
        assert state.has_ended, state
        return state

    def generation(self, job_id: str) -> Generation:
        """What a job made that succeeded."""
        result = self.ended(job_id).result
        assert result is not None
        assert result.status == "succeeded", result
        return self.jobs.generation(result, None, Deadline(30))

    def until_running(self, job_id: str, agent: str | None = None) -> None:
        """Wait until an agent has claimed a job."""

        def is_so() -> bool:
            state = self.jobs.find(job_id, None)
            return state.status == "running" and agent in (None, state.agent)

        until_true(is_so)

    def until_all_know_each_other(self) -> None:
        """Wait until each agent has heard of all others."""
        names = {each.agent.name for each in self.agents}
        known = [each.agent._presence for each in self.agents]
        until_true(lambda: all({each.name for each in presence.living()} == names for presence in known))

    def lacks(self, job_id: str) -> dict[str, str]:
        """Why agents could not run an open job."""
        entry = self.board.entry(job_id)
        assert entry is not None, self.jobs.find(job_id, None)
        return {} if entry.claim is None else entry.claim.lacks

    def close(self) -> None:
        for entry in self.board.open():  # another test may use the same engine
            self.jobs.cancel(entry.job.id, None)
        for each in self.agents:
            each.close()
        self.jobs.close()
        self.bridge.close()


class Hand:
    """An agent with a connection of its own."""

    def __init__(self, office: Office, comfyui_url: str, name: str, settings: dict[str, Any]) -> None:
        chosen = load_settings(engine=office.engine, comfyui_url=comfyui_url, state_dir=office.folder, **settings)
        self.bridge = Bridge(chosen)
        self.connection = Engine(chosen, self.bridge.state, makes_streams=False)
        slots = chosen.agent_slots
        self.agent = Agent(self.bridge, self.connection, agent_id=name, name=name, slots=slots, lease=LEASE)
        self.agent.start()

    def vanish(self) -> None:
        """Be cut off, like an agent that was killed or whose network is gone; its run goes on all the same."""
        self.connection.close()

    def close(self) -> None:
        self.agent.stop(0.0)
        self.connection.close()
        self.bridge.close()

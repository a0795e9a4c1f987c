"""The ComfyUIs of all agents, as the servers of a bridge that has none of its own.

They can be asked what they are and have; prompts go to them by way of jobs.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from comfybridge.address import ServerAddress
from comfybridge.comfyui.client import ComfyUIClient
from comfybridge.comfyui.servers import Server, Servers
from comfybridge.engine.engine import Engine
from comfybridge.errors import BridgeError, ComfyUIUnreachable, EngineUnreachable
from comfybridge.jobs.presence import Agent, Presence
from comfybridge.jobs.relay import Relay

RETRY_SECONDS = 5
NO_AGENT = "No agent is connected to the engine, so no ComfyUI can be reached."
NOT_REACHED = "None of the agents reaches its ComfyUI."

# Begins to take part, if that was not done yet; may raise EngineUnreachable.
Connect = Callable[[], tuple[Engine, Presence]]


@dataclass
class _Known:
    """A server, and what its agent announced when it was last looked at."""

    server: Server
    session: str
    abilities_hash: str


class AgentServers(Servers):
    """Safe to share between threads. Until `connect` is given, there are none."""

    def __init__(self) -> None:
        super().__init__(())
        self._known: dict[tuple[str, str], _Known] = {}
        self._changing = threading.Lock()
        self.connect: Connect | None = None

    @property
    def all(self) -> tuple[Server, ...]:
        """The ComfyUIs of the agents that live; none if the engine does not answer."""
        if self.connect is None:
            return ()
        try:
            engine, presence = self.connect()
        except EngineUnreachable:
            return ()
        with self._changing:
            agents = presence.living()
            found = {(agent.id, url): self._server(engine, agent, url) for agent in agents for url in agent.servers}
            for key in self._known.keys() - found.keys():
                self._known.pop(key).server.close()
            return tuple(found.values())

    def nobody(self) -> BridgeError:
        """The error where no agent lives, or none can be known of."""
        try:
            if self.connect is not None:
                engine, _ = self.connect()
                if engine.hindrance is not None:
                    return EngineUnreachable(engine.hindrance)
        except EngineUnreachable as error:
            return error
        return ComfyUIUnreachable(NO_AGENT, retry_after=RETRY_SECONDS)

    def mark_down(self, server: Server) -> None:
        """Do nothing: its agent announces whether it answers."""

    def close(self) -> None:
        """Close all connections and end the threads."""
        super().close()
        with self._changing:
            for each in self._known.values():
                each.server.close()
            self._known.clear()

    def _server(self, engine: Engine, agent: Agent, url: str) -> Server:
        key = (agent.id, url)
        known = self._known.get(key)
        if known is None:
            shown = f"{agent.name} ({url})"
            address = ServerAddress(url=shown, websocket_url="", is_loopback=True)
            client = ComfyUIClient(address, transport=Relay(engine, agent.id, address, url))
            known = self._known[key] = _Known(Server(client), agent.session, agent.abilities_hash)
        elif (known.session, known.abilities_hash) != (agent.session, agent.abilities_hash):
            known.session, known.abilities_hash = agent.session, agent.abilities_hash
            known.server.catalog.forget()
        known.server.is_up = agent.servers[url]
        return known.server

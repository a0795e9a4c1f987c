"""A fleet in one process, but for its engine: a real nats-server with the rights that `engine-config` gives."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flask import Flask
from flask.testing import FlaskClient

from comfybridge.bridge import Bridge
from comfybridge.cli import engine_config
from comfybridge.engine.engine import Engine
from comfybridge.engine.server import find_program
from comfybridge.jobs.agent import Agent
from comfybridge.settings import load_settings
from comfybridge.simulator import Simulator
from comfybridge.state import StateFolder
from comfybridge.web import create_app
from comfybridge.web.current import JOBS
from tests.waiting import until_true

SECONDS = 20.0


class NatsServer:
    """A nats-server that keeps its address through restarts.

    Attributes:
        addresses: with user and password, by user.
    """

    def __init__(self, folder: Path, agents: Sequence[str] = ("1", "2")) -> None:
        self._folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        options = ["--agents", ",".join(agents), "--port", str(self.port), "--store-dir", str(folder / "js")]
        self.configuration = engine_config.configuration_for(options)
        (folder / "engine.conf").write_text(self.configuration)
        found = re.findall(r"nats://([^:]+):[^@]+@\S+", self.configuration)
        self.addresses = {
            user: next(iter(re.findall(rf"nats://{user}:\S+", self.configuration))) for user in dict.fromkeys(found)
        }
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        with (self._folder / "engine.log").open("ab") as log:
            command = [find_program(None), "-c", str(self._folder / "engine.conf")]
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        until_true(self._listens, SECONDS)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def close(self) -> None:
        self._end(signal.SIGTERM)

    @property
    def violations(self) -> list[str]:
        """What anybody tried without the right to it."""
        log = (self._folder / "engine.log").read_text(errors="replace")
        return [line for line in log.splitlines() if "Violation" in line]

    def _end(self, number: int) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait()
            self._process = None

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


class SmallFleet:
    """A bridge without a ComfyUI, and agents with one each."""

    def __init__(self, folder: Path, server: NatsServer) -> None:
        self.server = server
        self._folder = folder
        self._agents: list[tuple[Agent, Bridge, Engine]] = []
        self._apps: list[Flask] = []

    def bridge(self, **settings: Any) -> FlaskClient:
        """Another bridge."""
        app = create_app(
            load_settings(
                _env_file=None,
                engine=self.server.addresses["bridge"],
                state_dir=self._folder / f"bridge-{len(self._apps)}",
                **settings,
            )
        )
        self._apps.append(app)
        return app.test_client()

    def agent(self, sim: Simulator, *, number: int = 1, slots: int = 1, **lease: float) -> Agent:
        """Another agent, which is ready."""
        settings = load_settings(
            _env_file=None,
            engine=self.server.addresses[f"agent-{number}"],
            comfyui_url=sim.url,
            state_dir=self._folder / f"agent-{number}",
        )
        bridge = Bridge(settings)
        engine = Engine(settings, StateFolder(self._folder / f"agent-{number}"), makes_streams=False)
        agent = Agent(bridge, engine, agent_id=f"agent-{number}", name=f"gpu-{number}", slots=slots, **lease)
        self._agents.append((agent, bridge, engine))
        agent.start()
        return agent

    def wait_for_agents(self, client: FlaskClient, count: int) -> None:
        """Until a bridge knows so many agents whose ComfyUI answers."""
        jobs = client.application.extensions[JOBS]
        until_true(
            lambda: sum(any(each.servers.values()) for each in jobs.parts().presence.living()) >= count, SECONDS
        )

    def close(self) -> None:
        began = time.monotonic()
        for agent, bridge, engine in self._agents:
            agent.stop(0.0)
            engine.close()
            bridge.close()
        for app in self._apps:
            app.extensions[JOBS].close()
        assert time.monotonic() - began < 60

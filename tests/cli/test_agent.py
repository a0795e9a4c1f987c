"""`python app.py agent`."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from comfybridge.cli.main import main
from comfybridge.request import GenerationRequest
from comfybridge.simulator import Simulator
from tests import ROOT, graphs
from tests.engine.servers import Server
from tests.jobs.office import Office
from tests.waiting import SECONDS, until_true

AGENT = [sys.executable, str(ROOT / "app.py"), "agent"]


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    server = Server(tmp_path)
    office = Office(server.url, tmp_path)
    yield office
    office.close()
    server.kill()


class Started:
    """An agent in a process of its own."""

    def __init__(self, office: Office, sim: Simulator, *options: str) -> None:
        self.log = office.folder / "agent.log"
        given = ["--engine", office.engine, "--comfyui-url", sim.url, "--name", "anna", "--log-format", "text"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*AGENT, *given, "--state-dir", str(office.folder), *options], stdout=log, stderr=log
            )

    def said(self) -> str:
        return self.log.read_text()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "An agent needs the address of the engine that keeps the jobs: --engine nats://HOST:4222"),
        (["--engine", "http://a"], "COMFYBRIDGE_ENGINE must begin with nats://, tls://, ws:// or wss://."),
        (["--engine", "nats://a", "--slots", "0"], "COMFYBRIDGE_AGENT_SLOTS is '0'; it must be"),
    ],
)
def test_a_wrong_setting_is_one_sentence(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, options: list[str], said: str
) -> None:
    for name in ("ENGINE", "AGENT_SLOTS"):
        monkeypatch.setenv(f"COMFYBRIDGE_{name}", "")  # what the command sets is taken back at the end
    assert main(["agent", *options]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"The agent can't start: {said}")


def test_it_runs_jobs_and_ends_on_sigterm(office: Office, sim: Simulator) -> None:
    started = Started(office, sim)
    try:
        job_id = office.queue(GenerationRequest(graph=graphs.picture()))
        state = office.ended(job_id)
        assert (state.status, state.agent) == ("succeeded", "anna")
        until_true(lambda: f"Job succeeded: job_id {job_id}, workflow graph, agent anna" in started.said())
        assert f"takes jobs from {office.engine} for ComfyUI at {sim.url}, 1 at a time" in started.said()
        started.process.send_signal(signal.SIGTERM)
        assert started.process.wait(SECONDS) == 0
        until_true(lambda: not office.jobs.parts().presence.living())  # it said goodbye
    finally:
        started.process.kill()
        started.process.wait()


def test_it_finishes_at_ctrl_c_and_gives_back_at_the_second(office: Office, sim: Simulator) -> None:
    sim.hold()
    started = Started(office, sim)
    try:
        job_id = office.queue(GenerationRequest(graph=graphs.picture()))
        office.until_running(job_id)
        sim.wait_until_running(job_id)
        started.process.send_signal(signal.SIGINT)
        until_true(lambda: "press Ctrl-C again to give them back" in started.said())
        other = office.queue(GenerationRequest(graph=graphs.picture()))
        assert office.jobs.find(job_id, None).status == "running"
        started.process.send_signal(signal.SIGINT)
        assert started.process.wait(SECONDS) == 0
        assert office.jobs.find(job_id, None).status == "queued"
        assert office.jobs.find(other, None).attempts == 0
    finally:
        started.process.kill()
        started.process.wait()


def test_a_job_of_a_killed_agent_is_taken_at_once_after_its_restart(office: Office, sim: Simulator) -> None:
    sim.hold()
    first = Started(office, sim)
    second = None
    try:
        job_id = office.queue(GenerationRequest(graph=graphs.picture()))
        sim.wait_until_running(job_id, timeout=SECONDS)
        first.process.kill()
        first.process.wait()
        second = Started(office, sim)
        until_true(lambda: office.jobs.find(job_id, None).attempts == 2)
        sim.release()
        assert office.ended(job_id).status == "succeeded"
        assert [each.path for each in sim.requests].count("/prompt") == 1
    finally:
        for each in (first, second):
            if each is not None:
                each.process.kill()
                each.process.wait()

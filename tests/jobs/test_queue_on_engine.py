"""The queue on a real engine: many that want the same jobs, and an engine that is killed, suspended or empty."""

from __future__ import annotations

import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from comfybridge.engine.engine import Engine
from comfybridge.errors import EngineUnreachable
from comfybridge.jobs.job import Kind
from comfybridge.settings import load_settings
from comfybridge.state import StateFolder
from tests.engine.servers import Server
from tests.jobs.parties import AgentParty, Party, job_of
from tests.waiting import until_true


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    folder = tmp_path / "server"
    folder.mkdir()
    running = Server(folder)
    yield running
    running.kill()


@pytest.fixture
def engine(server: Server, tmp_path: Path) -> Iterator[Callable[[], Engine]]:
    made: list[Engine] = []

    def make() -> Engine:
        made.append(Engine(load_settings(engine=server.url), StateFolder(tmp_path / "state")))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def bridge(engine: Callable[[], Engine]) -> Iterator[Party]:
    bridge = Party(engine(), "bridge")
    bridge.start()
    yield bridge
    bridge.close()


class Worker:
    """An agent that ends all that it gets, in a thread of its own."""

    def __init__(self, engine: Engine, name: str) -> None:
        self.party = AgentParty(engine, name)
        self.party.taker = replace(self.party.taker, lacks=lambda job: ", ".join(job.classes) or None)
        self.party.start()
        self.took: list[str] = []
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._is_over.is_set():
            claimed = self.party.take(1.0)
            if claimed is None:
                continue
            self.took.append(claimed.job.id)
            while True:
                try:
                    self.party.end(claimed)
                    break
                except EngineUnreachable:
                    self._is_over.wait(0.1)

    def close(self) -> None:
        self._is_over.set()
        self.party.queue.wake()
        self._thread.join()
        self.party.close()


@pytest.fixture
def worker(engine: Callable[[], Engine]) -> Iterator[Callable[[str], Worker]]:
    started: list[Worker] = []

    def start(name: str) -> Worker:
        started.append(Worker(engine(), name))
        return started[-1]

    yield start
    for each in started:
        each.close()


def all_ended(bridge: Party, ids: list[str]) -> bool:
    return all(bridge.board.find_past(each) for each in ids) and bridge.board.count() == 0


@pytest.mark.parametrize("kind", ["kept", "live"])
def test_each_of_many_agents_gets_jobs_and_each_job_is_claimed_once(
    bridge: Party, worker: Callable[[str], Worker], kind: Kind
) -> None:
    workers = [worker(f"agent{number}") for number in range(6)]
    jobs = [job_of(str(number), kind=kind, owner=f"owner{number % 3}") for number in range(150)]
    for job in jobs:
        bridge.queue.add(job, b"request")
    until_true(lambda: all_ended(bridge, [job.id for job in jobs]))
    assert Counter(each for one in workers for each in one.took) == Counter(job.id for job in jobs)
    assert all(each.took for each in workers)
    assert all(each.party.lost == [] for each in workers)


def test_all_jobs_end_once_when_the_engine_is_killed_amid_them(
    server: Server, bridge: Party, worker: Callable[[str], Worker]
) -> None:
    workers = [worker(f"agent{number}") for number in range(2)]
    accepted: list[str] = []
    for number in range(80):
        job = job_of(str(number), fingerprint="f")
        if number == 30:
            server.kill()
        while True:
            try:
                bridge.queue.add(job, b"request")
                break
            except EngineUnreachable:
                server.start()
        accepted.append(job.id)
    until_true(lambda: all_ended(bridge, accepted))
    until_true(lambda: {result.id for result in bridge.cleared} == set(accepted))
    assert set(accepted) == {each for one in workers for each in one.took}


def test_live_jobs_are_gone_after_the_engine_was_killed_and_kept_ones_are_not(server: Server, bridge: Party) -> None:
    bridge.queue.add(job_of("kept"), b"")
    bridge.queue.add(job_of("live", kind="live"), b"")
    until_true(lambda: bridge.board.count() == 2)
    gone: list[str] = []
    bridge.board.changes(lambda job_id, what: gone.append(job_id) if what == "gone" else None)
    server.kill()
    server.start()
    until_true(lambda: gone == ["live"])
    assert bridge.board.entry("kept") is not None


def test_an_engine_that_stands_still_delays_claims_and_loses_none(
    server: Server, bridge: Party, worker: Callable[[str], Worker]
) -> None:
    one = worker("agent")
    bridge.queue.add(job_of("before"), b"")
    until_true(lambda: all_ended(bridge, ["before"]))
    server.signal(signal.SIGSTOP)
    with pytest.raises(EngineUnreachable):
        bridge.queue.add(job_of("during"), b"")
    server.signal(signal.SIGCONT)
    until_true(lambda: one.party.engine.is_connected)
    bridge.queue.add(job_of("after"), b"")
    until_true(lambda: bridge.board.find_past("after"))
    until_true(lambda: bridge.board.count() == 0)
    assert {"before", "after"} <= set(one.took)


def test_a_job_that_ended_does_not_come_back_with_an_engine_that_was_killed(
    server: Server, bridge: Party, worker: Callable[[str], Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that is killed has forgotten which messages its limits deleted, if what replaced them is gone."""
    monkeypatch.setattr("comfybridge.jobs.clearing.GRAVE_SECONDS", 1.0)
    one = worker("agent")
    bridge.queue.add(job_of("stays", priority=0, classes=("none has it",)), b"")
    bridge.queue.add(job_of("ended"), b"")
    until_true(lambda: bridge.board.find_past("ended"))
    bridge.queue.add(job_of("later", priority=0, classes=("none has it",)), b"")
    subject = "comfybridge.kept.job.ended"
    until_true(lambda: bridge.engine.get("COMFYBRIDGE_KEPT", subject) is None and len(bridge.cleared) == 1)
    del one
    server.kill()
    server.start()
    until_true(lambda: bridge.engine.is_connected)
    assert bridge.engine.get("COMFYBRIDGE_KEPT", subject) is None
    assert bridge.engine.get("COMFYBRIDGE_KEPT", "comfybridge.kept.job.stays") is not None

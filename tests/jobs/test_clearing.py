"""What is cleared away after a job, and what is not."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import cast

import pytest

from comfybridge.engine.engine import Engine
from comfybridge.errors import EngineUnreachable
from comfybridge.jobs.clearing import Clearing
from comfybridge.jobs.job import Claim, Job
from tests.jobs.fake_engine import FakeEngine, Server
from tests.jobs.parties import job_of
from tests.waiting import SECONDS, until_true

JOB, CLAIM = "comfybridge.kept.job.one", "comfybridge.kept.claim.one"
RUNNING = Claim("running", agent="a", session="s", attempt=1).to_bytes()


@pytest.fixture(params=["own", "chosen"])
def engine(server: Server, request: pytest.FixtureRequest) -> FakeEngine:
    """That of a bridge which has its own, or shares one."""
    engine = FakeEngine(server)
    engine.is_chosen = request.param == "chosen"
    return engine


@pytest.fixture
def cleared() -> list[Job]:
    return []


@pytest.fixture
def clear(engine: FakeEngine, cleared: list[Job], quick: None) -> Iterator[Callable[[Job, int], None]]:
    """Clears away a job whose message has that sequence."""
    clearing = Clearing(cast(Engine, engine), cleared.append, lambda job_id: False, lambda message: None)
    clearing.start()

    def clear(job: Job, sequence: int) -> None:
        is_done = threading.Event()
        clearing.end(job, sequence, pause=0)
        clearing.later("tell", is_done.set)
        assert is_done.wait(SECONDS)

    yield clear
    clearing.close()


@pytest.fixture
def first() -> Job:
    return job_of("one", fingerprint="same", request_in="blob", input_files=1)


@pytest.fixture
def begin(engine: FakeEngine) -> Callable[[Job], int]:
    """Stores a job as one that runs; returns the sequence of its message."""

    def begin(job: Job) -> int:
        for name in ("in-0", "request"):
            engine.put_blob(job.id, name, [b"what it needs"], ttl=None)
        sequence = engine.publish(JOB, job.to_bytes())
        engine.publish(CLAIM, RUNNING)
        return sequence

    return begin


def test_all_of_a_job_is_cleared_away(
    server: Server, cleared: list[Job], clear: Callable[[Job, int], None], first: Job, begin: Callable[[Job], int]
) -> None:
    clear(first, begin(first))
    assert [subject for subject, message in server.last.items() if message.data] == []
    assert server.blobs == {}
    assert cleared == [first]


def test_the_next_job_with_the_same_key_stays(
    server: Server,
    engine: FakeEngine,
    cleared: list[Job],
    clear: Callable[[Job, int], None],
    first: Job,
    begin: Callable[[Job], int],
) -> None:
    """Another bridge has cleared away the first one, and its result has expired."""
    sequence = begin(first)
    engine.purge("COMFYBRIDGE_KEPT", "comfybridge.kept.*.one")
    begin(first)
    stored = dict(server.last)
    clear(first, sequence)
    assert server.last == stored
    assert len(server.blobs) == 2
    assert cleared == []


def test_the_next_job_stays_also_if_it_comes_at_that_moment(
    server: Server,
    engine: FakeEngine,
    clear: Callable[[Job, int], None],
    first: Job,
    begin: Callable[[Job], int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sequence, drop = begin(first), engine.drop_blobs

    def come(job_id: str, name: str) -> None:
        drop(job_id, name)
        if server.last[JOB].sequence == sequence:
            engine.purge("COMFYBRIDGE_KEPT", "comfybridge.kept.*.one")
            begin(first)

    monkeypatch.setattr(engine, "drop_blobs", come)
    clear(first, sequence)
    assert server.last[JOB].data == first.to_bytes()
    assert server.last[CLAIM].data == RUNNING


def test_both_jobs_of_a_key_are_cleared_away_though_they_are_due_together(
    server: Server, engine: FakeEngine, cleared: list[Job], quick: None, first: Job, begin: Callable[[Job], int]
) -> None:
    clearing = Clearing(cast(Engine, engine), cleared.append, lambda job_id: False, lambda message: None)
    clearing.end(first, begin(first), pause=0)
    engine.purge("COMFYBRIDGE_KEPT", "comfybridge.kept.*.one")  # by another bridge
    clearing.end(first, begin(first), pause=0)
    is_done = threading.Event()
    clearing.later("tell", is_done.set)
    clearing.start()
    assert is_done.wait(SECONDS)
    clearing.close()
    assert cleared == [first]
    assert JOB not in server.last or not server.last[JOB].data


@pytest.mark.parametrize("engine", ["chosen"], indirect=True)
@pytest.mark.parametrize("has_left_grave", [False, True])
def test_what_a_bridge_has_left_that_died_while_it_cleared_away_is_cleared_by_another(
    server: Server,
    engine: FakeEngine,
    clear: Callable[[Job, int], None],
    first: Job,
    begin: Callable[[Job], int],
    *,
    has_left_grave: bool,
) -> None:
    """Otherwise agents would have the job for ever, and the claim would be that of the next job with its key."""
    sequence = begin(first)
    engine.delete("COMFYBRIDGE_KEPT", sequence)
    if has_left_grave:
        engine.publish(JOB, b"")
    clear(first, sequence)
    assert server.last[JOB].data == b""
    assert CLAIM not in server.last


def test_the_next_job_is_cleared_away_also_while_it_is_not_known_whether_the_first_was(
    server: Server,
    engine: FakeEngine,
    cleared: list[Job],
    quick: None,
    first: Job,
    begin: Callable[[Job], int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The engine was away until the result of the first had expired."""
    clearing = Clearing(cast(Engine, engine), cleared.append, lambda job_id: False, lambda message: None)
    next_one = replace(first, priority=2)
    purge, delete = engine.purge, engine.delete

    def lose_answer(*_: object, **__: object) -> int:
        monkeypatch.setattr(engine, "purge", purge)
        monkeypatch.setattr(engine, "delete", delete)
        purge("COMFYBRIDGE_KEPT", "comfybridge.kept.*.one")
        clearing.end(next_one, begin(next_one), pause=0)
        raise EngineUnreachable("The engine does not answer.")

    monkeypatch.setattr(engine, "purge", lose_answer)
    monkeypatch.setattr(engine, "delete", lose_answer)
    clearing.end(first, begin(first), pause=0)
    clearing.start()
    until_true(lambda: next_one in cleared)
    clearing.close()
    assert JOB not in server.last or not server.last[JOB].data
    assert CLAIM not in server.last

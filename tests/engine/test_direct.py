"""Calls of the bridge's own engine, which are made over sockets of the threads that wait for them."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from comfybridge.engine import direct
from comfybridge.engine.engine import KEPT, Conflict, Engine
from comfybridge.errors import EngineUnreachable, TooLarge
from tests.waiting import suspend

JOB = "comfybridge.kept.job."


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def own(make_engine: Callable[..., Engine], state: Path) -> Engine:
    engine = make_engine(state=state)
    engine.publish(f"{JOB}first", b"1", expected=0)
    return engine


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many sockets each call found idle."""
    seen: list[int] = []
    take = direct.Direct._taken

    def counted(self: direct.Direct, seconds: float) -> direct._Socket:
        seen.append(len(self._idle))
        return take(self, seconds)

    monkeypatch.setattr(direct.Direct, "_taken", counted)
    return seen


def pid_of(state: Path) -> int:
    return int((state / "engine" / "lock").read_text())


def test_calls_share_sockets(own: Engine, taken: list[int]) -> None:
    sequence = own.publish(f"{JOB}a", b"data", expected=0, headers={"Own": "header"})
    found = own.get(KEPT, f"{JOB}a")
    assert found is not None
    assert (found.data, found.sequence, found.headers["Own"]) == (b"data", sequence, "header")
    assert own.get(KEPT, f"{JOB}none") is None
    assert taken == [0, 1, 1]


def test_a_refusal_leaves_the_socket_usable(own: Engine, taken: list[int]) -> None:
    with pytest.raises(Conflict):
        own.publish(f"{JOB}first", b"2", expected=0)
    with pytest.raises(TooLarge, match=r"takes at most 8,388,608 bytes at once, and these are 9,000,000"):
        own.publish(f"{JOB}large", bytes(9_000_000))
    assert own.get(KEPT, f"{JOB}first") is not None
    assert taken == [0, 1, 1]


def test_many_calls_at_once_get_their_own_answers(own: Engine) -> None:
    count = 4 * direct.MOST
    together = threading.Barrier(count)

    def publish(number: int) -> bytes:
        together.wait()
        own.publish(f"{JOB}{number}", f"data {number}".encode() * number, expected=0)
        found = own.get(KEPT, f"{JOB}{number}")
        assert found is not None
        return found.data

    with ThreadPoolExecutor(count) as threads:
        assert list(threads.map(publish, range(count))) == [f"data {each}".encode() * each for each in range(count)]


def test_a_call_outlives_the_servers_death(own: Engine, state: Path, taken: list[int]) -> None:
    own.get(KEPT, f"{JOB}first")
    os.kill(pid_of(state), signal.SIGKILL)
    sequence = own.publish(f"{JOB}after", b"data", expected=0, seconds=30)
    found = own.get(KEPT, f"{JOB}after", seconds=30)
    assert found is not None
    assert (found.data, found.sequence) == (b"data", sequence)


def test_a_server_that_hangs_is_waited_for_no_longer_than_said(own: Engine, state: Path) -> None:
    own.get(KEPT, f"{JOB}first")
    suspend(pid_of(state))
    try:
        with pytest.raises(EngineUnreachable):
            own.get(KEPT, f"{JOB}none", seconds=0.2)
    finally:
        os.kill(pid_of(state), signal.SIGCONT)
    found = own.get(KEPT, f"{JOB}first", seconds=30)
    assert found is not None
    assert found.data == b"1"  # and not a late answer to another question


def test_a_socket_that_was_idle_for_long_is_used_no_more(
    own: Engine, taken: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    own.get(KEPT, f"{JOB}first")
    monkeypatch.setattr(direct, "IDLE_SECONDS", 0.0)
    assert own.get(KEPT, f"{JOB}first") is not None
    assert own.get(KEPT, f"{JOB}first") is not None
    assert taken == [0, 1, 1]

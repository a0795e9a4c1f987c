"""The threads that answer requests."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from functools import partial

import pytest

from comfybridge.serving.threads import Threads

PATIENCE = 10  # seconds


@pytest.fixture
def threads() -> Iterator[Threads]:
    made = Threads(2)
    yield made
    made.shutdown()


def test_work_is_done_at_once_as_long_as_there_may_be_threads(threads: Threads) -> None:
    met = threading.Barrier(3)
    for _ in range(2):
        threads.give(lambda: met.wait(PATIENCE) and None)
    met.wait(PATIENCE)  # fails if one has to wait for the other


def test_more_work_waits_its_turn(threads: Threads) -> None:
    may_go, began = threading.Event(), queue.SimpleQueue[int]()

    def work(number: int) -> None:
        began.put(number)
        may_go.wait(PATIENCE)

    for number in range(3):
        threads.give(lambda number=number: work(number))
    assert {began.get(timeout=PATIENCE), began.get(timeout=PATIENCE)} == {0, 1}
    assert began.empty()
    may_go.set()
    assert began.get(timeout=PATIENCE) == 2


def test_threads_are_kept_for_the_next_work(threads: Threads) -> None:
    worked: queue.SimpleQueue[int] = queue.SimpleQueue()
    seen = set()
    for _ in range(5):
        threads.give(lambda: worked.put(threading.get_ident()))
        seen.add(worked.get(timeout=PATIENCE))
        threads.take_back()
    assert len(seen) == 1


def test_threads_beyond_so_many_end_and_begin_again_when_they_are_needed() -> None:
    threads = Threads(4)
    made: queue.SimpleQueue[threading.Thread] = queue.SimpleQueue()
    met = threading.Barrier(5)
    for _ in range(4):
        threads.give(partial(_meet, made, met))
    assert not threads.is_idle
    met.wait(PATIENCE)
    for _ in range(4):
        threads.take_back()
    assert threads.is_idle
    threads.shrink(0)
    for _ in range(4):
        made.get(timeout=PATIENCE).join(PATIENCE)
    done = threading.Event()
    threads.give(done.set)
    assert done.wait(PATIENCE)
    threads.shutdown()


def test_a_bug_does_not_cost_the_thread(threads: Threads, caplog: pytest.LogCaptureFixture) -> None:
    worked = threading.Event()

    def fail() -> None:
        raise ZeroDivisionError

    for work in (fail, fail, fail, worked.set):
        threads.give(lambda work=work: work())
    assert worked.wait(PATIENCE)
    assert "ZeroDivisionError" in caplog.text


def test_threads_end_when_what_they_were_given_is_done(threads: Threads) -> None:
    made: queue.SimpleQueue[threading.Thread] = queue.SimpleQueue()
    threads.give(lambda: made.put(threading.current_thread()))
    threads.shutdown()
    thread = made.get(timeout=PATIENCE)
    thread.join(PATIENCE)
    assert not thread.is_alive()


def test_fewer_threads_do_where_the_system_allows_no_more(threads: Threads, monkeypatch: pytest.MonkeyPatch) -> None:
    done: queue.SimpleQueue[int] = queue.SimpleQueue()
    threads.give(lambda: done.put(1))
    monkeypatch.setattr(threading.Thread, "start", _refuse)
    threads.give(lambda: done.put(2))
    assert [done.get(timeout=PATIENCE), done.get(timeout=PATIENCE)] == [1, 2]


def test_none_at_all_is_an_error_and_no_work_under_way(threads: Threads, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", _refuse)
        with pytest.raises(RuntimeError):
            threads.give(lambda: None)
    done = threading.Event()
    threads.give(done.set)
    assert done.wait(PATIENCE)


def _meet(made: queue.SimpleQueue[threading.Thread], met: threading.Barrier) -> None:
    made.put(threading.current_thread())
    met.wait(PATIENCE)


def _refuse(_: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")

"""The mirror: messages that come twice or late, positions, figures, and what it costs."""

from __future__ import annotations

import time

import pytest

from comfybridge.engine.messages import Message
from comfybridge.jobs.board import Board, Entry
from comfybridge.jobs.job import Claim, ClaimState, Job, result_of
from tests.jobs.parties import job_of


class Feed:
    """Feeds a board as the engine does."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self.sequence = 0
        board.caught_up("kept")

    def _message(self, subject: str, data: bytes, sequence: int | None, at: float | None) -> Message:
        self.sequence += 1
        message = Message(subject, data, sequence or self.sequence, at or time.time())
        self.board.hear(message)
        return message

    def job(self, job: Job, sequence: int | None = None, at: float | None = None) -> Message:
        return self._message(f"comfybridge.{job.kind}.job.{job.id}", job.to_bytes() + b"\nrequest", sequence, at)

    def gone(self, job_id: str, sequence: int | None = None) -> Message:
        return self._message(f"comfybridge.kept.job.{job_id}", b"", sequence, None)

    def claim(self, job_id: str, state: ClaimState = "running", sequence: int | None = None) -> Message:
        claim = Claim(state, "agent", "session")
        return self._message(f"comfybridge.kept.claim.{job_id}", claim.to_bytes(), sequence, None)

    def result(self, job: Job) -> Message:
        result = result_of(job, "succeeded", ended=time.time())
        return self._message(f"comfybridge.kept.result.plain.{job.id}", result.to_bytes(), None, None)


@pytest.fixture
def board() -> Board:
    return Board()


@pytest.fixture
def feed(board: Board) -> Feed:
    return Feed(board)


def entry_of(board: Board, job_id: str) -> Entry:
    entry = board.entry(job_id)
    assert entry is not None
    return entry


def test_messages_that_come_again_or_late_change_nothing(board: Board, feed: Feed) -> None:
    job = job_of("one", owner="a")
    added, claimed = feed.job(job), feed.claim("one")
    ended = feed.claim("one", "given_back")
    for message in (added, claimed, added, ended, claimed):
        board.hear(message)
    assert entry_of(board, "one").state == "queued"
    assert board.counts() == {("kept", "queued"): 1}
    feed.gone("one", sequence=9)
    board.hear(ended)
    assert board.entry("one") is None


def test_an_end_of_an_earlier_job_does_not_end_a_later_one_of_the_same_id(board: Board, feed: Feed) -> None:
    feed.job(job_of("one"), sequence=5)
    feed.gone("one", sequence=4)
    assert board.entry("one") is not None
    feed.job(job_of("one", priority=2), sequence=6)
    assert entry_of(board, "one").job.priority == 2
    assert board.counts() == {("kept", "queued"): 1}


def test_a_job_whose_result_was_heard_before_is_not_open() -> None:
    ended: list[str] = []
    board = Board(ended=lambda job, sequence: ended.append(job.id))
    feed = Feed(board)
    job = job_of("one")
    feed.result(job)
    feed.job(job)
    assert board.entry("one") is None
    assert ended == ["one"]


def test_after_a_break_only_what_the_engine_still_has_is_known(board: Board, feed: Feed) -> None:
    messages = {each: feed.job(job_of(each)) for each in ("one", "two", "three")}
    feed.claim("two")
    kept_claim = entry_of(board, "two").claim
    changes: list[tuple[str, str]] = []
    board.changes(lambda job_id, what: changes.append((job_id, what)))
    board.begin_again("kept")
    for each in ("two", "three"):
        board.hear(messages[each])
    assert board.count() == 3
    assert board.caught_up("kept") == ["one"]
    assert {each.job.id for each in board.open()} == {"two", "three"}
    assert entry_of(board, "two").claim == kept_claim
    assert changes == [("one", "gone")]


def test_a_job_of_a_stream_that_was_made_anew_takes_the_place_of_the_old_one(board: Board, feed: Feed) -> None:
    feed.job(job_of("one"), sequence=7)
    feed.claim("one", sequence=8)
    board.begin_again("kept")
    feed.job(job_of("one"), sequence=1)
    board.caught_up("kept")
    assert entry_of(board, "one").state == "queued"
    feed.claim("one", sequence=2)
    assert entry_of(board, "one").state == "running"


def test_positions_count_the_jobs_that_go_before(board: Board, feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("comfybridge.jobs.board.POSITIONS_SECONDS", 0.0)
    for each in ("a", "b", "c"):
        feed.job(job_of(each, owner="x"))
    feed.job(job_of("other", owner="y"))
    feed.job(job_of("urgent", owner="y", priority=2))
    assert [board.position(each) for each in ("urgent", "a", "other", "b", "c")] == [0, 1, 2, 3, 4]
    feed.claim("a")
    assert board.position("a") is None
    assert board.position("unknown") is None
    assert [board.position(each) for each in ("urgent", "other", "b", "c")] == [0, 1, 2, 3]


def test_a_clock_that_was_set_back_changes_no_order(board: Board, feed: Feed) -> None:
    now = time.time()
    feed.job(job_of("one"), at=now)
    feed.job(job_of("two"), at=now - 3600)
    assert [each.job.id for each in board.first(2, lambda need: True)] == ["one", "two"]


def test_figures(board: Board, feed: Feed) -> None:
    assert board.oldest() is None
    job = job_of("one", owner="a")
    feed.job(Job(**{**vars(job), "created": time.time() - 100}))
    feed.job(job_of("two", owner="a"))
    feed.job(job_of("three", kind="live"))
    live = job_of("four", kind="live")  # its caller still holds the request
    feed.job(Job(**{**vars(live), "created": time.time() - 1000}))
    assert board.oldest() == pytest.approx(100, abs=20)
    assert board.waiting_of("a") == 2
    feed.claim("one")
    assert board.counts() == {("kept", "running"): 1, ("kept", "queued"): 1, ("live", "queued"): 2}
    assert board.waiting_of("a") == 1
    assert board.oldest() == pytest.approx(0, abs=20)


def test_lists_have_the_newest_first_and_forget_what_the_engine_forgets(
    board: Board, feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("comfybridge.jobs.past.MOST", 4)
    jobs = [job_of(str(number), owner="ab"[number % 2]) for number in range(6)]
    for job in jobs:
        feed.result(job)
    assert [each.id for each in board.past("a")] == ["4", "2"]
    assert [each.id for each in board.past(None)] == ["5", "4", "3", "2"]
    assert board.result("0") is None
    result = board.result("5")
    assert result is not None
    assert result.owner == "b"


def test_a_result_is_not_listed_after_its_time(board: Board, feed: Feed) -> None:
    feed.result(job_of("one", expires=0.0))
    feed.result(job_of("two"))
    assert [each.id for each in board.past(None)] == ["two"]


def test_a_job_is_not_known_any_more_after_its_results_time(
    board: Board, feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or who adds one with the same key would not wait until that is heard of."""
    feed.result(job_of("one", expires=100.0))
    assert board.knows("one")
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now + 101)
    assert not board.knows("one")


def test_whole_results_are_fetched_once_they_are_not_in_memory_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("comfybridge.jobs.past.WHOLE", 1)
    stored: dict[str, Message] = {}
    board = Board(fetch=lambda past: stored.get(past.subject))
    feed = Feed(board)
    for each in ("one", "two", "three"):
        message = feed.result(job_of(each))
        stored[message.subject] = message
    del stored["comfybridge.kept.result.plain.two"]
    for each in ("one", "three"):
        result = board.result(each)
        assert result is not None
        assert result.id == each
    assert board.result("two") is None
    assert [each.id for each in board.past(None)] == ["three", "one"]


def test_a_thread_that_waits_for_a_change_is_woken(board: Board, feed: Feed) -> None:
    version = board.version
    assert board.wait_for_change(version, 0) == version
    feed.job(job_of("one"))
    assert board.wait_for_change(version, 60) != version
    forget = board.changes(lambda job_id, what: pytest.fail("it listens no longer"), "one")
    forget()
    feed.claim("one")

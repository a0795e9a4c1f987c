"""The queue among several processes, whose engine fails where a test says so."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from comfybridge.engine.messages import Full
from comfybridge.errors import EngineUnreachable
from comfybridge.jobs.claims import Taker
from comfybridge.jobs.first_result import store_result
from comfybridge.jobs.job import Kind, result_of
from comfybridge.jobs.queue import INLINE
from comfybridge.jobs.subjects import STREAMS
from tests.jobs.fake_engine import Server
from tests.jobs.parties import AgentParty, Party, job_of
from tests.waiting import until_true

KINDS: list[Kind] = ["kept", "live"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_job_is_added_claimed_and_ended_and_nothing_of_it_is_left_but_its_result(
    server: Server, bridge: Party, agent: Callable[..., AgentParty], kind: Kind
) -> None:
    a = agent()
    job = job_of(kind=kind, owner="key")
    assert bridge.queue.add(job, b"request") == job
    claimed = a.take()
    assert claimed is not None
    assert (claimed.job, claimed.attempt, claimed.is_first) == (job, 1, True)
    assert a.queue.request_of(job) == b"request"
    entry = bridge.board.entry(job.id)
    assert entry is not None
    assert entry.is_running
    assert a.end(claimed)
    result = bridge.board.result(job.id)
    assert result is not None
    assert (result.status, result.attempts, result.agent, result.owner) == ("succeeded", 1, "a", "key")
    until_true(lambda: server.last[f"comfybridge.{kind}.job.{job.id}"].data == b"")
    until_true(lambda: f"comfybridge.{kind}.claim.{job.id}" in server.purged)
    assert a.board.count() == bridge.board.count() == 0
    assert a.lost == []
    if kind == "kept":
        until_true(lambda: bridge.cleared == [result])


@pytest.mark.parametrize("kind", KINDS)
def test_a_large_request_lies_in_a_blob_until_its_job_has_ended(
    server: Server, bridge: Party, agent: Callable[..., AgentParty], kind: Kind
) -> None:
    request = b"x" * (INLINE[kind] + 1)
    job = bridge.queue.add(job_of(kind=kind), request)
    a = agent()
    claimed = a.take()
    assert claimed is not None
    assert a.queue.request_of(claimed.job) == request
    a.end(claimed)
    until_true(lambda: (job.id, "request") not in server.blobs)


def test_no_more_jobs_are_open_than_allowed(party: Callable[..., Party]) -> None:
    bridge = party(most_open=2)
    bridge.queue.add(job_of(), b"")
    bridge.queue.add(job_of(), b"")
    with pytest.raises(Full):
        bridge.queue.add(job_of(), b"")


def test_jobs_leave_room_for_claims(server: Server, bridge: Party) -> None:
    server.used = 740_000

    def fill() -> None:
        for _ in range(10):  # of which some go in by what was seen before
            bridge.queue.add(job_of(), b"x" * 10_000)

    with pytest.raises(Full):
        fill()
    assert bridge.board.count() <= 3


def test_a_job_whose_caller_was_told_that_the_engine_is_away_does_not_run(
    server: Server, bridge: Party, agent: Callable[..., AgentParty], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("comfybridge.jobs.clearing.WITHDRAWN_AFTER", (0.0,))
    bridge.fake.faults = ["answer lost"]
    with pytest.raises(EngineUnreachable):
        bridge.queue.add(job_of("one"), b"")
    until_true(lambda: server.last["comfybridge.kept.job.one"].data == b"")
    assert agent().take() is None


def test_a_job_that_is_added_again_after_all_is_not_withdrawn(
    server: Server, bridge: Party, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("comfybridge.jobs.clearing.WITHDRAWN_AFTER", (0.1,))
    bridge.fake.faults = ["answer lost"]
    with pytest.raises(EngineUnreachable):
        bridge.queue.add(job_of("one", kind="live"), b"")
    bridge.queue.add(job_of("one", kind="live"), b"")
    bridge.fake.faults = ["not stored"]
    with pytest.raises(EngineUnreachable):
        bridge.queue.add(job_of("other"), b"")  # to be withdrawn later than the first one
    until_true(lambda: not bridge.queue._clearing._due)
    assert server.last["comfybridge.live.job.one"].data


def test_a_job_with_a_key_is_kept_for_the_next_try_when_the_answer_was_lost(bridge: Party) -> None:
    bridge.fake.faults = ["answer lost"]
    job = job_of("one", fingerprint="f")
    with pytest.raises(EngineUnreachable):
        bridge.queue.add(job, b"")
    assert bridge.queue.add(job_of("one", fingerprint="f", owner="other"), b"") == job


def test_of_two_bridges_that_clear_away_one_succeeds(
    server: Server, bridge: Party, party: Callable[..., Party]
) -> None:
    other, job = party(), job_of("one")
    bridge.queue.add(job, b"")
    [sequence] = [each.sequence for each in bridge.board.open()]
    server.is_direct = False  # neither hears of the other
    for each in (bridge, other):
        each.queue._clearing.end(job, sequence, pause=0)
        until_true(lambda each=each: not each.queue._clearing._wanted)  # type: ignore[misc]
    graves = [each for each in server.history if each.subject == "comfybridge.kept.job.one" and not each.data]
    assert len(graves) == 1


def test_a_job_that_was_given_back_runs_elsewhere(bridge: Party, agent: Callable[..., AgentParty]) -> None:
    a, b = agent("a"), agent("b")
    bridge.queue.add(job_of("one"), b"")
    claimed = a.take(60)
    assert claimed is not None
    a.queue.give_back(claimed, counts=False, lacks="no model")
    assert a.take() is None
    second = b.take(60)
    assert second is not None
    assert (second.attempt, second.is_first, second.claim.lacks) == (1, False, {"a": "no model"})
    b.queue.give_back(second, counts=True)
    third = b.take(60)
    assert third is not None
    assert third.attempt == 2
    assert third.claim.lacks == {"a": "no model"}


def test_a_job_that_was_begun_too_often_is_offered_as_exhausted(
    bridge: Party, agent: Callable[..., AgentParty]
) -> None:
    bridge.queue.add(job_of("one", attempts=2), b"")
    a = agent()
    for is_exhausted in (False, False, True):
        claimed = a.take()
        assert claimed is not None
        assert claimed.is_exhausted is is_exhausted
        if not is_exhausted:
            a.queue.give_back(claimed, counts=True)


@pytest.mark.parametrize("lost", [["answer lost"], ["not stored"], [None, "answer lost"], [None, "not stored"]])
def test_an_end_can_be_repeated_when_its_answer_was_lost(
    bridge: Party, agent: Callable[..., AgentParty], lost: list[str]
) -> None:
    a = agent()
    bridge.queue.add(job_of("one"), b"")
    claimed = a.take()
    assert claimed is not None
    result = result_of(claimed.job, "succeeded", ended=1.0, claim=claimed.claim)
    a.fake.faults = lost  # type: ignore[assignment]
    with pytest.raises(EngineUnreachable):
        a.queue.end(claimed, result)
    assert a.queue.end(claimed, result)
    assert a.queue.end(claimed, result)
    assert a.take() is None


def test_without_a_bridge_an_ended_job_never_runs_again(
    server: Server, bridge: Party, agent: Callable[..., AgentParty]
) -> None:
    a = agent("a")
    bridge.queue.add(job_of("one"), b"")
    bridge.close()
    claimed = a.take()
    assert claimed is not None
    assert a.end(claimed)
    assert a.take() is None
    assert agent("b").take() is None


def test_a_bridge_clears_away_what_ended_while_none_was_there(
    server: Server, bridge: Party, party: Callable[..., Party], agent: Callable[..., AgentParty], quick: None
) -> None:
    a = agent()
    bridge.queue.add(job_of("one"), b"")
    bridge.close()
    claimed = a.take()
    assert claimed is not None
    assert a.end(claimed)
    later = party()
    until_true(lambda: server.last["comfybridge.kept.job.one"].data == b"")
    assert later.board.count() == 0
    result = later.board.result("one")
    assert result is not None
    until_true(lambda: later.cleared == [result])


def test_one_bridge_of_several_clears_away(
    server: Server, bridge: Party, party: Callable[..., Party], agent: Callable[..., AgentParty], quick: None
) -> None:
    bridges = [bridge, party(), party()]
    a = agent()
    for number in range(20):
        bridges[number % 3].queue.add(job_of(str(number)), b"")
    while claimed := a.take():
        a.end(claimed)
    until_true(lambda: sum(len(each.cleared) for each in bridges) == 20)
    assert len({result.id for each in bridges for result in each.cleared}) == 20


def test_in_its_own_engine_a_bridge_leaves_nothing_of_a_job_but_its_result(
    server: Server, party: Callable[..., Party], quick: None
) -> None:
    bridges = [party(), party()]
    for each in bridges:
        each.fake.is_chosen = False
    plain, keyed = job_of("plain"), job_of("keyed", fingerprint="f")
    for job in (plain, keyed):
        bridges[0].queue.add(job, b"request")
    takers = [Taker("a", "1", "a"), Taker("b", "1", "b")]
    for each, taker in zip(bridges, takers, strict=True):
        claimed = each.queue.take(taker, 0)
        assert claimed is not None
        each.queue.end(claimed, result_of(claimed.job, "succeeded", ended=time.time(), claim=claimed.claim))
    until_true(lambda: sum(len(each.cleared) for each in bridges) == 2)
    assert sorted(server.last) == [
        "comfybridge.kept.result.plain.keyed",
        "comfybridge.kept.result.plain.plain",
    ]
    assert bridges[0].queue.is_stored("plain")  # a process that has not heard of it yet
    assert not bridges[0].queue.is_stored("other")


def test_in_its_own_engine_a_bridge_stops_a_job_that_another_of_its_processes_ends(
    party: Callable[..., Party],
) -> None:
    bridges = [party(), party()]
    for each in bridges:
        each.fake.is_chosen = False
    job = bridges[0].queue.add(job_of(), b"")
    assert bridges[0].queue.take(Taker("a", "1", "a"), 0) is not None
    bridges[1].queue.cancel(job.id)
    assert (bridges[0].cancelled, bridges[0].lost) == ([job.id], [])
    store_result(bridges[1].engine, result_of(job, "cancelled", ended=time.time()))
    assert bridges[0].lost == [job.id]


def test_what_the_engine_lost_from_memory_is_forgotten(
    server: Server, bridge: Party, agent: Callable[..., AgentParty]
) -> None:
    a = agent()
    bridge.queue.add(job_of("live", kind="live"), b"")
    bridge.queue.add(job_of("kept"), b"")
    changes: list[tuple[str, str]] = []
    bridge.board.changes(lambda job_id, what: changes.append((job_id, what)))
    claimed = a.take()
    assert claimed is not None
    assert claimed.job.id == "live"
    server.forget()
    assert changes[-1] == ("live", "gone")
    assert bridge.board.entry("live") is None
    assert bridge.board.entry("kept") is not None
    assert a.lost == []  # its caller may still wait
    assert a.end(claimed)
    assert bridge.board.result("live") is not None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.usefixtures("quick")
def test_clearing_away_removes_no_job_that_came_after_the_engine_had_lost_the_others(
    server: Server, bridge: Party, agent: Callable[..., AgentParty], kind: Kind
) -> None:
    """In memory, sequences begin again, and on a new disk."""
    a = agent()
    bridge.queue.add(job_of("one", kind=kind), b"")
    claimed = a.take()
    assert claimed is not None
    bridge.fake.is_away = True
    assert a.end(claimed)
    server.forget(STREAMS[kind])
    a.fake.publish(f"comfybridge.{kind}.job.two", job_of("two", kind=kind).to_bytes())
    bridge.fake.is_away = False
    until_true(lambda: not bridge.queue._clearing._wanted)
    assert server.last[f"comfybridge.{kind}.job.two"].data


def test_a_broken_record_is_skipped(
    bridge: Party, agent: Callable[..., AgentParty], caplog: pytest.LogCaptureFixture
) -> None:
    a = agent()
    bridge.fake.publish("comfybridge.kept.job.broken", b"{")
    bridge.fake.publish("comfybridge.kept.claim.broken", b'{"state":"running","agent":"a","session":"s"}')
    bridge.queue.add(job_of("whole"), b"")
    bridge.fake.publish("comfybridge.kept.claim.whole", b"[]", expected=0)
    bridge.fake.publish("comfybridge.kept.result.plain.whole", b"[]")
    assert "comfybridge.kept.job.broken" in caplog.text
    assert bridge.board.entry("broken") is None
    entry = bridge.board.entry("whole")
    assert entry is not None
    assert entry.state == "queued"
    bridge.queue.add(job_of("next"), b"")
    del a


def known(party: Party) -> list[object]:
    return [(each.job, each.claim, each.sequence, each.claim_sequence, each.state) for each in party.board.open()]


def test_a_mirror_that_starts_late_knows_what_the_others_know(
    bridge: Party, party: Callable[..., Party], agent: Callable[..., AgentParty]
) -> None:
    a = agent()
    for each in ("one", "two", "three", "four"):
        bridge.queue.add(job_of(each), b"")
    first, second = a.take(), a.take()
    assert first is not None
    assert second is not None
    a.end(first)
    a.queue.give_back(second, counts=True)
    bridge.queue.cancel("three")
    late = party()
    assert known(late) == known(bridge)
    assert late.board.counts() == bridge.board.counts() == {("kept", "queued"): 2}
    assert [each.status for each in late.board.past(None)] == ["cancelled", "succeeded"]


def test_an_agent_that_died_loses_its_jobs_to_the_others(
    server: Server, bridge: Party, agent: Callable[..., AgentParty]
) -> None:
    a, b = agent("a", lease=1000.0), agent("b", lease=0.2)
    bridge.queue.add(job_of("one"), b"")
    claimed = a.take(60)
    assert claimed is not None
    second = b.take(60)  # a announces itself every 200 s only
    assert second is not None
    assert (second.job.id, second.attempt, second.is_first) == ("one", 2, False)
    assert a.lost == ["one"]
    assert b.end(second)
    assert not a.end(claimed)


def test_an_agent_that_says_goodbye_loses_its_jobs_at_once(bridge: Party, agent: Callable[..., AgentParty]) -> None:
    a, b = agent("a"), agent("b")
    bridge.queue.add(job_of("one"), b"")
    assert a.take(60) is not None
    assert b.take() is None
    a.announcer.goodbye()
    assert b.take() is not None


def test_an_agent_that_was_started_again_takes_up_its_jobs_at_once(
    server: Server, bridge: Party, agent: Callable[..., AgentParty]
) -> None:
    a = agent("a")
    bridge.queue.add(job_of("one"), b"")
    assert a.take() is not None
    again = agent("a")
    claimed = again.take()
    assert claimed is not None
    assert claimed.attempt == 2
    entry = bridge.board.entry("one")
    assert entry is not None
    assert entry.claim is not None
    assert entry.claim.session == again.announcer.session


def test_a_thread_waits_for_a_result_and_for_nothing_else(bridge: Party, agent: Callable[..., AgentParty]) -> None:
    a = agent()
    bridge.queue.add(job_of("one"), b"")
    found: list[object] = []

    def wait() -> None:
        found.append(bridge.board.wait("one", lambda: bridge.board.result("one"), 60))

    thread = threading.Thread(target=wait)
    thread.start()
    claimed = a.take()
    assert claimed is not None
    assert not bridge.board.wait("one", lambda: bridge.board.result("one"), 0)
    a.end(claimed)
    thread.join()
    assert found == [True]

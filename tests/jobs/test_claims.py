"""Claims whose answers were lost, claims that are older than their jobs, and claims without a job."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from comfybridge.jobs.job import Claim, result_of
from tests.jobs.fake_engine import Server
from tests.jobs.parties import AgentParty, Party, job_of
from tests.waiting import until_true

OLDER = "comfybridge.live.claim.one"


@pytest.fixture
def older(bridge: Party) -> Callable[[str, str], None]:
    """Stores a claim that an agent has repeated after the engine lost the job, and then that job again."""

    def store(agent: str, session: str) -> None:
        claim = Claim("running", agent=agent, session=session, attempt=1)
        bridge.fake.publish(OLDER, claim.to_bytes())
        bridge.queue.add(job_of("one", kind="live"), b"")

    return store


def test_a_claim_whose_answer_was_lost_is_taken_up_before_anything_else(
    server: Server, bridge: Party, agent: Callable[..., AgentParty]
) -> None:
    a = agent()
    bridge.queue.add(job_of("one"), b"")
    bridge.queue.add(job_of("two"), b"")
    a.fake.faults = ["answer lost"]
    claimed = a.take(10)
    assert claimed is not None
    assert claimed.job.id == "one"
    assert claimed.sequence == server.last["comfybridge.kept.claim.one"].sequence
    assert a.end(claimed)
    claimed = a.take()
    assert claimed is not None
    assert claimed.job.id == "two"


def test_a_claim_that_arrives_late_is_taken_up_when_it_is_heard(
    server: Server, bridge: Party, agent: Callable[..., AgentParty]
) -> None:
    a = agent()
    bridge.queue.add(job_of("one"), b"")
    assert a.take() is not None
    claim = server.last["comfybridge.kept.claim.one"].data
    bridge.queue.add(job_of("two", priority=0), b"")
    a.queue._claims._held.clear()  # as after a claim that was given up
    server.last.pop("comfybridge.kept.claim.one")
    a.fake.publish("comfybridge.kept.claim.one", claim)
    claimed = a.take()
    assert claimed is not None
    assert claimed.job.id == "one"
    assert a.end(claimed)
    claimed = a.take()
    assert claimed is not None
    assert claimed.job.id == "two"


def test_a_claim_that_did_not_arrive_is_made_again(bridge: Party, agent: Callable[..., AgentParty]) -> None:
    a = agent()
    bridge.queue.add(job_of("one"), b"")
    a.fake.faults = ["not stored", "not stored"]
    claimed = a.take(10)
    assert claimed is not None
    assert claimed.attempt == 1
    assert claimed.is_first


def test_the_claim_of_a_job_that_is_gone_is_removed(
    server: Server, bridge: Party, agent: Callable[..., AgentParty], quick: None
) -> None:
    subject = "comfybridge.kept.claim.gone"
    bridge.fake.publish(subject, b'{"state":"running","agent":"a","session":"s"}')
    until_true(lambda: subject in server.purged)


def test_a_job_that_has_ended_never_stands_there_without_its_claim(
    server: Server, bridge: Party, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise an agent that starts at that moment runs it again."""
    job, purge, alone = job_of("one"), bridge.fake.purge, []

    def watched(stream: str, subject: str, **options: int) -> int:
        if server.last["comfybridge.kept.job.one"].data:
            alone.append(subject)
        return purge(stream, subject, **options)

    monkeypatch.setattr(bridge.fake, "purge", watched)
    monkeypatch.setattr("comfybridge.jobs.clearing.PAUSE", 0.05)
    chances = iter([1.0, 0.0])  # what is planned last is done first
    monkeypatch.setattr("random.random", lambda: next(chances, 1.0))
    # as a bridge hears them at its start
    result = result_of(job, "cancelled", ended=time.time())
    bridge.fake.publish("comfybridge.kept.result.plain.one", result.to_bytes())
    bridge.fake.publish("comfybridge.kept.job.one", job.to_bytes())
    claim = Claim("ended", agent="a", session="s", attempt=1, cancelled=True)
    bridge.fake.publish("comfybridge.kept.claim.one", claim.to_bytes())
    until_true(lambda: "comfybridge.kept.claim.one" in server.purged)
    assert alone == []


@pytest.mark.usefixtures("quick")
def test_a_claim_that_is_older_than_its_job_counts(
    server: Server, bridge: Party, agent: Callable[..., AgentParty], older: Callable[[str, str], None]
) -> None:
    a = agent()
    older("a", a.announcer.session)

    def is_known() -> bool:
        entry = bridge.board.entry("one")
        return entry is not None and entry.is_running

    until_true(is_known)
    assert OLDER not in server.purged
    claimed = a.take(10)
    assert claimed is not None
    assert claimed.sequence == server.last[OLDER].sequence
    assert a.end(claimed)


def test_a_claim_that_was_removed_after_an_agent_had_learned_of_it_is_forgotten(
    server: Server, bridge: Party, agent: Callable[..., AgentParty], older: Callable[[str, str], None]
) -> None:
    a, b = agent("a"), agent("b")
    older("b", b.announcer.session)
    until_true(lambda: a.take() is not None or a.board.open()[0].claim is not None)  # the claim is in the way
    bridge.fake.purge("COMFYBRIDGE_LIVE", OLDER)
    b.announcer.goodbye()
    claimed = a.take(10)
    assert claimed is not None
    assert claimed.attempt == 1
    assert a.end(claimed)

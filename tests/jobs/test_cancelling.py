"""Cancels of jobs among several processes, whose engine fails where a test says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from comfybridge.jobs.cancelling import claim_to_cancel
from comfybridge.jobs.job import Ending, Kind
from tests.jobs.fake_engine import Server
from tests.jobs.parties import AgentParty, Party, job_of
from tests.waiting import until_true

KINDS: list[Kind] = ["kept", "live"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_waiting_job_is_cancelled(bridge: Party, agent: Callable[..., AgentParty], kind: Kind) -> None:
    bridge.queue.add(job_of("one", kind=kind), b"")
    assert bridge.queue.cancel("one")
    result = bridge.board.result("one")
    assert result is not None
    assert (result.status, result.attempts, result.started) == ("cancelled", 0, None)
    assert agent().take() is None
    assert bridge.queue.cancel("one")
    assert bridge.board.result("one") == result
    assert not bridge.queue.cancel("unknown")


@pytest.mark.parametrize("became", ["cancelled", "succeeded", "failed"])
def test_a_running_job_that_is_cancelled_ends_as_its_agent_says(
    bridge: Party, party: Callable[..., Party], agent: Callable[..., AgentParty], became: Ending
) -> None:
    a = agent()
    bridge.queue.add(job_of("one"), b"")
    claimed = a.take()
    assert claimed is not None
    for _ in range(2):
        assert party().queue.cancel("one")
    until_true(lambda: a.cancelled == ["one"])
    assert bridge.board.result("one") is None
    assert a.queue.is_cancelled("one")
    assert a.end(claimed, became)
    result = bridge.board.result("one")
    assert result is not None
    assert (result.status, result.agent) == (became, "a")
    assert a.lost == []
    until_true(lambda: a.board.entry("one") is None)


def test_a_cancel_after_the_end_changes_nothing(bridge: Party, agent: Callable[..., AgentParty]) -> None:
    bridge.queue.add(job_of("one"), b"")
    a = agent()
    claimed = a.take()
    assert claimed is not None
    assert a.end(claimed)
    assert bridge.queue.cancel("one")
    result = bridge.board.result("one")
    assert result is not None
    assert result.status == "succeeded"


def test_no_agent_begins_a_cancelled_job_of_which_it_has_not_heard(
    server: Server, bridge: Party, agent: Callable[..., AgentParty]
) -> None:
    a = agent()
    bridge.queue.add(job_of("one"), b"")
    server.is_direct = False
    assert bridge.queue.cancel("one")
    assert a.take() is None  # its mirror does not know yet
    assert a.cancelled == a.lost == []


def test_a_bridge_that_has_not_heard_of_a_claim_leaves_the_job_to_its_agent(
    server: Server, bridge: Party, agent: Callable[..., AgentParty]
) -> None:
    a = agent()
    bridge.queue.add(job_of("one"), b"")
    server.is_direct = False
    claimed = a.take()
    assert claimed is not None
    assert bridge.queue.cancel("one")
    assert bridge.queue.cancel("one")
    assert [each for each in server.history if ".result." in each.subject] == []
    server.deliver_all()
    assert a.cancelled == ["one"]
    assert a.end(claimed)


def test_a_cancel_that_is_heard_while_the_claim_is_made_reaches_the_agent(
    bridge: Party, agent: Callable[..., AgentParty], monkeypatch: pytest.MonkeyPatch
) -> None:
    a = agent()
    bridge.queue.add(job_of("one"), b"")
    publish = a.fake.publish

    def slow(*args: Any, **options: Any) -> int:
        sequence = publish(*args, **options)
        bridge.queue.cancel("one")
        until_true(lambda: a.queue.is_cancelled("one"))
        return sequence

    monkeypatch.setattr(a.fake, "publish", slow)
    claimed = a.take()
    assert claimed is not None
    assert a.queue.is_held("one")
    assert a.queue.is_cancelled("one")


@pytest.mark.parametrize("was_sent", [True, False])
def test_a_job_that_is_given_back_as_it_is_cancelled_is_not_begun_again(
    server: Server, bridge: Party, agent: Callable[..., AgentParty], was_sent: bool
) -> None:
    a = agent()
    bridge.queue.add(job_of("one"), b"")
    claimed = a.take()
    assert claimed is not None
    server.is_direct = False
    assert bridge.queue.cancel("one")
    a.queue.give_back(claimed, counts=False, sent=was_sent)
    server.deliver_all()
    again = a.take()
    assert again is not None
    assert (again.claim.cancelled, again.claim.sent) == (True, was_sent)


def test_a_waiting_job_whose_prompt_may_run_is_left_to_an_agent_which_can_ask_for_it(
    bridge: Party, agent: Callable[..., AgentParty]
) -> None:
    a = agent()
    bridge.queue.add(job_of("one"), b"")
    claimed = a.take()
    assert claimed is not None
    a.queue.give_back(claimed, counts=False, sent=True)
    assert bridge.queue.cancel("one")
    assert bridge.board.result("one") is None
    again = a.take()
    assert again is not None
    assert again.claim.cancelled
    assert a.end(again)
    result = bridge.board.result("one")
    assert result is not None
    assert result.status == "succeeded"


def test_a_waiting_job_whose_prompt_was_never_sent_is_cancelled_at_once(
    bridge: Party, agent: Callable[..., AgentParty]
) -> None:
    a = agent()
    bridge.queue.add(job_of("one"), b"")
    claimed = a.take()
    assert claimed is not None
    a.queue.give_back(claimed, counts=False, sent=False)
    assert bridge.queue.cancel("one")
    result = bridge.board.result("one")
    assert result is not None
    assert result.status == "cancelled"


def test_a_cancelled_job_whose_agent_has_died_is_ended_by_a_bridge(
    server: Server, party: Callable[..., Party], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("comfybridge.jobs.clearing.PAUSE", 0.001)
    bridge, a = party(lease=0.2), AgentParty(server, "a", lease=1000.0)
    a.start()
    bridge.queue.add(job_of("one"), b"")
    claimed = a.take()
    assert claimed is not None
    assert bridge.queue.cancel("one")
    until_true(lambda: bridge.board.result("one") is not None)  # a announces itself every 200 s only
    until_true(lambda: a.lost == ["one"])
    assert not a.end(claimed)
    a.close()


def test_a_cancelled_job_whose_bridge_has_died_is_ended_by_another(
    server: Server, bridge: Party, party: Callable[..., Party], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("comfybridge.jobs.clearing.PAUSE", 0.001)
    dying = party()
    bridge.queue.add(job_of("one"), b"")
    job, entry = job_of("one"), bridge.board.look("one")
    assert claim_to_cancel(dying.engine, job, entry) is not None  # and then it dies
    until_true(lambda: bridge.board.result("one") is not None)
    result = bridge.board.result("one")
    assert result is not None
    assert result.status == "cancelled"


@pytest.mark.parametrize("was_sent", [True, False])
def test_a_claim_whose_answer_was_lost_is_taken_up_although_it_was_cancelled(
    bridge: Party, agent: Callable[..., AgentParty], monkeypatch: pytest.MonkeyPatch, was_sent: bool
) -> None:
    monkeypatch.setattr("comfybridge.jobs.claims.OWN_SECONDS", 3600.0)
    a = agent()
    bridge.queue.add(job_of("one"), b"")
    first = a.take()
    assert first is not None
    a.queue.give_back(first, counts=True, sent=was_sent)
    a.fake.faults = ["answer lost"]
    assert a.take() is None
    assert bridge.queue.cancel("one")
    again = a.take()
    assert again is not None
    assert (again.attempt, again.claim.cancelled, again.claim.sent) == (2, True, was_sent)
    assert a.end(again, "cancelled")

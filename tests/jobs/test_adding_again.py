"""Jobs of one id that are added more than once, by processes whose mirrors may be late."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from comfybridge.engine.messages import Message
from comfybridge.jobs.claims import Taker
from comfybridge.jobs.first_result import store_result
from comfybridge.jobs.job import Job, Result, result_of
from tests.jobs.fake_engine import Server
from tests.jobs.parties import AgentParty, Party, job_of
from tests.waiting import until_true


def test_the_same_id_again_is_the_first_job_and_later_its_result(
    bridge: Party, party: Callable[..., Party], agent: Callable[..., AgentParty], server: Server
) -> None:
    job = job_of("one", fingerprint="f")
    other = party()
    bridge.queue.add(job, b"first")
    assert other.queue.add(job_of("one", fingerprint="g"), b"second") == job
    server.is_direct = False  # the other one's mirror is late
    a = agent()
    claimed = a.take()
    assert claimed is not None
    assert a.queue.request_of(job) == b"first"
    server.is_direct = True
    a.end(claimed)
    again = other.queue.add(job_of("one", fingerprint="f"), b"third")
    assert isinstance(again, Result)
    assert again.status == "succeeded"


@pytest.mark.parametrize("webhook", [None, "https://example.com"])
@pytest.mark.parametrize("first_webhook", [None, "https://example.com"])
def test_the_same_id_again_is_the_first_result_also_with_another_webhook(
    server: Server, bridge: Party, first_webhook: str | None, webhook: str | None
) -> None:
    server.is_direct = False  # the mirror is late
    job = job_of("one", fingerprint="f", webhook=first_webhook)
    result = result_of(job, "succeeded", ended=time.time())
    store_result(bridge.engine, result)
    assert bridge.queue.add(job_of("one", fingerprint="g", webhook=webhook), b"") == result


@pytest.mark.parametrize("is_chosen", [True, False])
def test_the_same_id_again_is_the_first_result_for_as_long_as_the_engine_keeps_that_for_a_webhook(
    server: Server, bridge: Party, is_chosen: bool
) -> None:
    bridge.fake.is_chosen = is_chosen
    job = job_of("one", fingerprint="f", webhook="https://example.com", expires=1.0)
    result = result_of(job, "succeeded", ended=time.time() - 2)
    server.at = time.time() - 2
    store_result(bridge.engine, result)
    server.at = None
    for _ in range(1000):  # after so many, those whose time is up are forgotten
        store_result(bridge.engine, result_of(job_of(), "succeeded", ended=time.time()))
    assert bridge.queue.add(job_of("one", fingerprint="f", webhook="https://example.com"), b"") == result
    assert bridge.board.result("one") == result


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("is_chosen", [True, False])
def test_the_same_id_again_is_a_new_job_once_there_was_no_room_for_the_first_result(
    server: Server, bridge: Party, party: Callable[..., Party], monkeypatch: pytest.MonkeyPatch, *, is_chosen: bool
) -> None:
    """The engine removes the oldest results first, also before their time is up."""
    other = party()
    bridge.fake.is_chosen = other.fake.is_chosen = is_chosen
    monkeypatch.setattr("comfybridge.jobs.past.WHOLE", 0)
    store_result(bridge.engine, result_of(job_of("one", fingerprint="f"), "succeeded", ended=time.time()))
    del server.last["comfybridge.kept.result.plain.one"]
    job = job_of("one", fingerprint="f")
    assert bridge.queue.add(job, b"") == job
    until_true(lambda: other.board.entry("one") is not None)
    until_true(lambda: not other.queue._clearing._due)
    for each in (bridge, other):
        entry = each.board.entry("one")
        assert entry is not None
        assert entry.job == job
    assert server.last["comfybridge.kept.job.one"].data


def test_a_job_that_two_add_at_once_is_stored_once(
    server: Server, bridge: Party, party: Callable[..., Party]
) -> None:
    other = party()
    server.is_direct = False
    first = bridge.queue.add(job_of("one", fingerprint="f", owner="a"), b"")
    second = other.queue.add(job_of("one", fingerprint="f", owner="b"), b"")
    assert isinstance(second, Job)
    assert second == first


def test_a_job_that_two_add_at_once_on_a_grave_is_stored_once(
    server: Server, bridge: Party, party: Callable[..., Party], monkeypatch: pytest.MonkeyPatch
) -> None:
    other, get = party(), bridge.fake.get
    server.is_direct = False
    bridge.fake.publish("comfybridge.kept.job.one", b"")

    def get_late(stream: str, subject: str) -> Message | None:
        found = get(stream, subject)
        if subject == "comfybridge.kept.job.one" and found is not None and not found.data:
            other.queue.add(job_of("one", fingerprint="f", owner="b"), b"")
        return found

    monkeypatch.setattr(bridge.fake, "get", get_late)
    added = bridge.queue.add(job_of("one", fingerprint="f", owner="a"), b"")
    assert isinstance(added, Job)
    assert added.owner == "b"


def test_in_its_own_engine_a_job_with_a_key_is_not_queued_again_by_a_process_that_has_not_heard_of_its_end(
    server: Server, party: Callable[..., Party]
) -> None:
    bridges = [party(), party()]
    for each in bridges:
        each.fake.is_chosen = False
    job = job_of(fingerprint="f")
    deaf = [each for each in server.followers if each.hear.__self__ is bridges[1].queue]  # type: ignore[attr-defined]
    server.followers = [each for each in server.followers if each not in deaf]
    bridges[0].queue.add(job, b"")
    claimed = bridges[0].queue.take(Taker("a", "1", "a"), 0)
    assert claimed is not None
    result = result_of(job, "succeeded", ended=time.time(), claim=claimed.claim)
    bridges[0].queue.end(claimed, result)
    until_true(lambda: bridges[0].cleared == [result])
    assert bridges[1].queue.add(job_of(job.id, fingerprint="another"), b"") == result
    until_true(lambda: list(server.last) == [f"comfybridge.kept.result.plain.{job.id}"])
    server.followers += deaf

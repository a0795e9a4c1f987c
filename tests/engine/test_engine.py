"""Storing, reading and asking, on a real nats-server."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from comfybridge.engine.connection import Connection, Lost
from comfybridge.engine.engine import KEPT, RESULTS, Conflict, Engine, Full
from comfybridge.errors import BridgeError, EngineUnreachable, PromptLost, TooLarge
from tests.engine.servers import Server, until

JOB = "comfybridge.kept.job.a"


def test_what_was_published_last_is_found(engine: Engine) -> None:
    engine.publish(JOB, b"1")
    sequence = engine.publish(JOB, b"2")
    found = engine.get(KEPT, JOB)
    assert found is not None
    assert (found.subject, found.data, found.sequence) == (JOB, b"2", sequence)
    assert abs(found.at - time.time()) < 60
    assert engine.get(KEPT, "comfybridge.kept.job.other") is None


def test_only_one_of_several_claims_wins(engine: Engine) -> None:
    first = engine.publish(JOB, b"1", expected=0)
    with pytest.raises(Conflict):
        engine.publish(JOB, b"2", expected=0)
    engine.publish(JOB, b"3", expected=first)
    with pytest.raises(Conflict):
        engine.publish(JOB, b"4", expected=first)
    found = engine.get(KEPT, JOB)
    assert found is not None
    assert found.data == b"3"


def test_a_message_is_gone_after_its_time(engine: Engine) -> None:
    engine.publish(JOB, b"1", ttl=0.1)  # at least a second
    assert engine.get(KEPT, JOB) is not None
    until(lambda: engine.get(KEPT, JOB) is None)


def test_purging_takes_what_matches(engine: Engine) -> None:
    for name in ("kept.job.a", "kept.job.b", "kept.claim.a"):
        engine.publish(f"comfybridge.{name}", b"")
    engine.purge(KEPT, "comfybridge.kept.job.*")
    assert engine.subjects(KEPT, ">") == ["comfybridge.kept.claim.a"]


def test_purging_leaves_what_came_later(engine: Engine) -> None:
    engine.publish("comfybridge.kept.job.a", b"")
    last = engine.publish("comfybridge.kept.claim.a", b"")
    engine.publish("comfybridge.kept.job.b", b"")
    assert engine.purge(KEPT, "comfybridge.kept.>", last=last) == 2
    assert engine.subjects(KEPT, ">") == ["comfybridge.kept.job.b"]


def test_a_message_that_is_too_large_is_refused(engine: Engine) -> None:
    with pytest.raises(TooLarge, match="at most 8,388,608 bytes at once"):
        engine.publish(JOB, b"x" * 9 * 1024 * 1024)


def fill(engine: Engine) -> None:
    for number in range(64):
        engine.publish(f"comfybridge.kept.job.{number}", b"x" * 1024 * 1024)


def test_a_full_stream_refuses(make_engine: Callable[..., Engine], server: Server) -> None:
    engine = make_engine(engine=server.url, job_disk_bytes=64 * 1024 * 1024)
    with pytest.raises(Full):
        fill(engine)
    assert 8 < len(engine.subjects(KEPT, "comfybridge.kept.job.*")) < 64
    engine.publish("comfybridge.kept.job.0", b"")  # what is there may still be replaced


def test_results_make_room_for_new_ones(make_engine: Callable[..., Engine], server: Server) -> None:
    engine = make_engine(engine=server.url, job_disk_bytes=64 * 1024 * 1024)
    for number in range(20):
        engine.publish(f"comfybridge.kept.result.plain.{number}", b"x" * 1024 * 1024)
    assert engine.get(RESULTS, "comfybridge.kept.result.plain.0") is None
    assert engine.get(RESULTS, "comfybridge.kept.result.plain.19") is not None


def test_requests_are_answered_and_errors_arrive_as_they_are(engine: Engine) -> None:
    def answer(subject: str, data: bytes) -> bytes:
        if data == b"lost":
            raise PromptLost("It is gone.", prompt_id="a", retry_after=3)
        if data == b"bug":
            raise KeyError("secret")
        return subject.encode() + data

    end = engine.answer("comfybridge.ask.me.>", answer)
    engine.publish(JOB, b"")  # there is a connection
    assert engine.ask("comfybridge.ask.me.now", b"!", 5) == b"comfybridge.ask.me.now!"
    with pytest.raises(PromptLost, match=r"It is gone\.") as raised:
        engine.ask("comfybridge.ask.me.now", b"lost", 5)
    assert (raised.value.prompt_id, raised.value.retry_after) == ("a", 3)
    with pytest.raises(BridgeError) as bug:
        engine.ask("comfybridge.ask.me.now", b"bug", 5)
    assert bug.value.type == "internal_error"
    assert "secret" not in str(bug.value)
    end()
    until(lambda: not answers(engine))


def answers(engine: Engine) -> bool:
    try:
        return bool(engine.ask("comfybridge.ask.me.now", b"!", 1))
    except EngineUnreachable:
        return False


def test_nobody_who_answers_is_noticed_at_once(engine: Engine) -> None:
    engine.publish(JOB, b"")
    began = time.monotonic()
    with pytest.raises(EngineUnreachable, match="Nobody answers"):
        engine.ask("comfybridge.ask.nobody", b"", 30)
    assert time.monotonic() - began < 10


def test_what_is_told_is_heard_also_after_the_server_was_killed(server: Server, engine: Engine) -> None:
    heard = threading.Event()
    engine.listen("comfybridge.progress.*", lambda _subject, data: heard.set() if data == b"2" else None)
    engine.publish(JOB, b"")
    server.kill()
    server.start()
    engine.publish(JOB, b"", seconds=20)
    engine.tell("comfybridge.progress.a", b"2")
    assert heard.wait(20)


def test_a_publish_goes_on_over_a_restart_and_is_stored_once(server: Server, engine: Engine) -> None:
    """With an expected sequence, a second copy of it would be a conflict."""
    last = engine.publish(JOB, b"0")
    for number in range(5):
        server.signal(signal.SIGSTOP)
        pending = engine.publishing(JOB, str(number).encode(), expected=last, seconds=30)
        restarted = threading.Thread(target=lambda: (server.kill(), server.start()))
        restarted.start()
        last = pending.result(40)
        restarted.join()
    found = engine.get(KEPT, JOB, seconds=20)
    assert found is not None
    assert (found.data, found.sequence) == (b"4", last)


def test_a_publish_whose_answer_is_lost_is_no_conflict_with_itself(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    last = engine.publish(JOB, b"0")
    request, lost = Connection.request, []

    async def request_losing_an_answer(connection: Connection, subject: str, *given: Any) -> Any:
        answer = await request(connection, subject, *given)
        if subject == JOB and not lost:
            lost.append(answer)
            connection.drop()
            raise Lost
        return answer

    monkeypatch.setattr(Connection, "request", request_losing_an_answer)
    sequence = engine.publish(JOB, b"1", expected=last, seconds=20)
    assert lost
    assert engine.subjects(KEPT, ">") == [JOB]
    found = engine.get(KEPT, JOB)
    assert found is not None
    assert (found.data, found.sequence) == (b"1", sequence)


def test_an_engine_that_is_away_is_said_in_two_seconds(server: Server, engine: Engine) -> None:
    engine.publish(JOB, b"")
    server.kill()
    calls: list[Callable[[], object]] = [
        lambda: engine.publish(JOB, b""),
        lambda: engine.get(KEPT, JOB),
        lambda: engine.ask("comfybridge.ask.a", b"", 2),
        lambda: engine.subjects(KEPT, ">"),
        lambda: engine.drop_blobs("a"),
    ]
    began = time.monotonic()
    with ThreadPoolExecutor() as pool:
        for future in [pool.submit(call) for call in calls]:
            error = future.exception()
            assert isinstance(error, EngineUnreachable)
            assert error.retry_after == 5
    assert time.monotonic() - began < 6  # 2 s, and a slow machine
    began = time.monotonic()
    engine.tell("comfybridge.progress.a", b"")
    engine.listen("comfybridge.progress.a", lambda *_: None)
    assert time.monotonic() - began < 2


def test_a_suspended_engine_is_said_too_and_goes_on_when_it_wakes(server: Server, engine: Engine) -> None:
    engine.publish(JOB, b"")
    server.signal(signal.SIGSTOP)
    try:
        with pytest.raises(EngineUnreachable, match="does not answer"):
            engine.publish(JOB, b"")
    finally:
        server.signal(signal.SIGCONT)
    engine.publish(JOB, b"", seconds=20)


def test_a_stream_that_was_deleted_is_made_again(engine: Engine) -> None:
    engine.publish(JOB, b"")
    link = engine._opened()
    link.submit(lambda connection: connection.api(f"STREAM.DELETE.{KEPT}"), 5).result(10)
    engine.publish(JOB, b"", seconds=20)


def test_callbacks_cannot_block_the_engine(engine: Engine) -> None:
    raised: list[BaseException] = []
    done = threading.Event()

    def hear(_subject: str, _data: bytes) -> None:
        try:
            engine.publish(JOB, b"")
        except RuntimeError as error:
            raised.append(error)
        done.set()

    engine.publish(JOB, b"")
    engine.listen("comfybridge.progress.a", hear)
    engine.tell("comfybridge.progress.a", b"")
    assert done.wait(20)
    assert "must not wait" in str(raised[0])


def test_an_agent_waits_for_the_streams_that_a_bridge_makes(
    server: Server, make_engine: Callable[..., Engine]
) -> None:
    agent = make_engine(engine=server.url, makes_streams=False)
    with pytest.raises(EngineUnreachable, match="No bridge has prepared the engine yet"):
        agent.publish(JOB, b"")
    make_engine(engine=server.url).publish(JOB, b"")
    agent.publish(JOB, b"", seconds=20)


def test_closing_ends_all_threads(server: Server, make_engine: Callable[..., Engine]) -> None:
    before = set(threading.enumerate())
    engine = make_engine(engine=server.url)
    engine.answer("comfybridge.ask.me", lambda _subject, data: data)
    engine.publish(JOB, b"")
    engine.ask("comfybridge.ask.me", b"", 5)
    engine.close()
    until(lambda: not set(threading.enumerate()) - before)
    with pytest.raises(EngineUnreachable):
        engine.publish(JOB, b"")
    engine.tell(JOB, b"")


def test_changes_of_the_connection_are_told(server: Server, engine: Engine) -> None:
    changes: list[bool] = []
    engine.on_change(changes.append)
    assert not engine.is_connected
    engine.publish(JOB, b"")
    assert engine.is_connected
    server.kill()
    until(lambda: changes == [True, False])
    server.start()
    until(lambda: changes == [True, False, True])

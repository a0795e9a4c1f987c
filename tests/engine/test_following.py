"""Following a stream through whatever happens to its server."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest

from comfybridge.engine import following
from comfybridge.engine.engine import KEPT, LIVE, Engine
from comfybridge.engine.messages import Message
from tests.engine.servers import Heard, Server, until

MANY = 3_000


def follow(engine: Engine, stream: str = KEPT, kind: str = "kept") -> Heard:
    heard = Heard()
    subjects = [f"comfybridge.{kind}.job.*", f"comfybridge.{kind}.claim.*"]
    heard.end = engine.follow(stream, subjects, heard.hear, heard.caught_up.set, heard.reset)  # type: ignore[attr-defined]
    return heard


def publish(engine: Engine, name: str, data: bytes = b"", kind: str = "kept") -> None:
    engine.publish(f"comfybridge.{kind}.{name}", data, seconds=20)


def is_in_order(heard: Heard) -> bool:
    return heard.sequences == sorted(set(heard.sequences))


def test_last_values_come_first_and_then_each_new_one(engine: Engine) -> None:
    publish(engine, "job.a", b"1")
    publish(engine, "job.a", b"2")
    publish(engine, "claim.a", b"3")
    engine.publish("comfybridge.tries.a", b"not followed")
    heard = follow(engine)
    assert heard.caught_up.wait(20)
    assert heard.values == {"comfybridge.kept.job.a": b"2", "comfybridge.kept.claim.a": b"3"}
    publish(engine, "job.b", b"4")
    heard.wait_for(lambda: heard.values.get("comfybridge.kept.job.b") == b"4")
    assert len(heard.sequences) == 3


def test_an_empty_stream_is_caught_up_with_at_once(engine: Engine) -> None:
    assert follow(engine).caught_up.wait(20)


def test_following_can_begin_before_there_is_a_server(server: Server, engine: Engine) -> None:
    server.kill()
    heard = follow(engine)
    server.start()
    assert heard.caught_up.wait(20)


def test_an_ended_follower_hears_nothing_more(engine: Engine) -> None:
    heard, other = follow(engine), follow(engine)
    assert heard.caught_up.wait(20)
    heard.end()  # type: ignore[attr-defined]
    until(lambda: not _consumers_beyond(engine, 1))
    publish(engine, "job.a")
    other.wait_for(lambda: other.values)
    assert heard.values == {}


def _consumers_beyond(engine: Engine, count: int) -> bool:
    info = engine._opened().submit(lambda connection: connection.api(f"STREAM.INFO.{KEPT}"), 5).result(10)
    return int(info["state"]["consumer_count"]) > count


def test_a_killed_server_costs_no_message_and_repeats_none(server: Server, engine: Engine) -> None:
    heard = follow(engine)
    assert heard.caught_up.wait(20)
    for number in range(6):
        publish(engine, f"job.{number}")
        server.kill()
        server.start()
    publish(engine, "job.last")
    heard.wait_for(lambda: "comfybridge.kept.job.last" in heard.values)
    assert len(heard.values) == 7
    assert is_in_order(heard)
    assert heard.resets == 0


def test_a_server_that_was_suspended_is_followed_again(
    server: Server, engine: Engine, make_engine: Callable[..., Engine]
) -> None:
    other = make_engine(engine=server.url)
    publish(other, "job.a")
    heard = follow(engine)
    assert heard.caught_up.wait(20)
    server.signal(signal.SIGSTOP)
    until(lambda: not engine.is_connected)  # by its silence
    server.signal(signal.SIGCONT)
    publish(other, "job.b")
    heard.wait_for(lambda: "comfybridge.kept.job.b" in heard.values)
    assert is_in_order(heard)


def test_a_stream_in_memory_is_forgotten_with_its_server(server: Server, engine: Engine) -> None:
    publish(engine, "job.a", kind="live")
    heard = follow(engine, LIVE, "live")
    heard.wait_for(lambda: heard.values)
    server.kill()
    server.start()
    heard.wait_for(lambda: heard.resets == 1)
    assert heard.caught_up.wait(20)
    publish(engine, "job.b", kind="live")
    heard.wait_for(lambda: list(heard.values) == ["comfybridge.live.job.b"])


def test_a_stream_that_was_made_anew_is_forgotten_also_if_it_is_longer_by_now(
    server: Server, engine: Engine, make_engine: Callable[..., Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "SILENCE_SECONDS", 3.0)
    other = make_engine(engine=server.url)
    publish(other, "job.old", kind="live")
    heard = follow(engine, LIVE, "live")
    heard.wait_for(lambda: heard.values)
    other._opened().submit(lambda connection: connection.api(f"STREAM.DELETE.{LIVE}"), 5).result(10)
    for number in range(3):
        publish(other, f"job.{number}", kind="live")
    heard.wait_for(lambda: heard.resets == 1 and len(heard.values) == 3)


def test_a_stream_in_memory_is_forgotten_although_nothing_of_it_tells_that_it_is_another_one(
    server: Server, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a cluster of which all servers were restarted, and which others have used again since."""
    call, is_another = following._call, threading.Event()

    async def told(connection: Any, subject: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        if is_another.is_set() and subject == f"STREAM.INFO.{LIVE}":
            for number in range(3):
                await connection.request(f"comfybridge.live.job.{number}", b"new")
        found = await call(connection, subject, body)
        return {**found, "created": "once"} if subject.startswith("STREAM.INFO.") else found

    monkeypatch.setattr(following, "_call", told)
    publish(engine, "job.old", kind="live")
    heard = follow(engine, LIVE, "live")
    heard.wait_for(lambda: heard.values)
    server.kill()
    is_another.set()
    server.start()
    heard.wait_for(lambda: heard.resets == 1 and len(heard.values) == 3)


def test_after_a_long_gap_all_begins_anew(server: Server, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was deleted meanwhile would otherwise stay for ever."""
    publish(engine, "job.a")
    publish(engine, "job.b")
    heard = follow(engine)
    heard.wait_for(lambda: len(heard.values) == 2)
    monkeypatch.setattr(following, "GAP_SECONDS", 0)
    server.kill()
    server.start()
    heard.wait_for(lambda: heard.resets)
    heard.wait_for(lambda: len(heard.values) == 2)
    assert heard.caught_up.wait(20)
    assert is_in_order(heard)


def test_a_consumer_that_vanishes_is_made_again(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "SILENCE_SECONDS", 3.0)
    heard = follow(engine)
    assert heard.caught_up.wait(20)
    link = engine._opened()
    names = link.submit(lambda connection: connection.api(f"CONSUMER.NAMES.{KEPT}"), 5).result(10)["consumers"]
    for name in names:
        link.submit(lambda connection, name=name: connection.api(f"CONSUMER.DELETE.{KEPT}.{name}"), 5).result(10)
    publish(engine, "job.a")
    heard.wait_for(lambda: heard.values)
    assert heard.resets == 0


def test_a_listener_that_raises_hears_the_next_message(engine: Engine) -> None:
    heard = Heard()

    def hear(message: Message) -> None:
        if message.data == b"bad":
            raise ValueError
        heard.hear(message)

    engine.follow(KEPT, ["comfybridge.kept.job.*"], hear, heard.caught_up.set, heard.reset)
    publish(engine, "job.a", b"bad")
    publish(engine, "job.b", b"good")
    heard.wait_for(lambda: heard.values)
    assert list(heard.values) == ["comfybridge.kept.job.b"]


def test_many_messages_reach_many_followers_while_the_server_is_killed(
    server: Server, engine: Engine, make_engine: Callable[..., Engine]
) -> None:
    engines = [make_engine(engine=server.url) for _ in range(3)]
    heard = [follow(each) for each in engines]
    pending = [engine.publishing(f"comfybridge.kept.job.{number}", b"x" * 200, seconds=60) for number in range(MANY)]
    until(lambda: any(each.done() for each in pending))
    server.kill()
    server.start()
    for each in pending:
        each.result(90)
    heard.append(follow(engine))
    for each in heard:
        each.wait_for(lambda each=each: len(each.values) == MANY, 60)
        assert each.caught_up.wait(20)
        assert is_in_order(each)


def test_what_one_thread_published_is_heard_in_that_order(engine: Engine) -> None:
    heard = follow(engine)
    threads = [
        threading.Thread(target=lambda name=name: [publish(engine, f"job.{name}{n}") for n in range(50)])
        for name in "abcd"
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    heard.wait_for(lambda: len(heard.values) == 200)
    assert is_in_order(heard)

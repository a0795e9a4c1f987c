"""Files in the engine, and files that pass it by."""

from __future__ import annotations

import os
import resource
import threading
from collections.abc import Callable, Iterator

import pytest

from comfybridge.engine import blobs, remote_files
from comfybridge.engine.engine import FILES, Engine, Full
from comfybridge.engine.remote_files import offer_files, read_file
from comfybridge.errors import ComfyUIError, EngineUnreachable, PromptLost
from tests.engine.servers import Server, until

MEGABYTE = 1024 * 1024
SIZES = [0, 1, blobs.CHUNK - 1, blobs.CHUNK, blobs.CHUNK + 1, 9 * blobs.CHUNK, 20 * blobs.CHUNK + 7]


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("piece", [10_000, blobs.CHUNK, MEGABYTE])
def test_a_file_comes_back_as_it_was(engine: Engine, size: int, piece: int) -> None:
    data = os.urandom(size)
    assert engine.put_blob("a", "out-0", pieces(data, piece), ttl=60) == size
    assert b"".join(engine.read_blob("a", "out-0")) == data


def test_a_file_may_be_stored_again(engine: Engine) -> None:
    engine.put_blob("a", "out-0", [b"x" * 3 * MEGABYTE], ttl=60)
    engine.put_blob("a", "out-0", [b"short"], ttl=60)
    assert b"".join(engine.read_blob("a", "out-0")) == b"short"


def test_files_that_are_missing_or_lack_a_part_are_not_found(engine: Engine) -> None:
    with pytest.raises(LookupError):
        next(engine.read_blob("a", "out-0"))
    engine.put_blob("a", "out-0", [b"x" * 3 * MEGABYTE], ttl=60)
    last = [each for each in engine.subjects(FILES, ">") if each.endswith(".5")]
    engine.purge(FILES, last[0])
    with pytest.raises(LookupError):
        b"".join(engine.read_blob("a", "out-0"))


def test_parts_of_two_writers_are_never_mixed(engine: Engine) -> None:
    engine.put_blob("a", "out-0", [b"x" * 3 * MEGABYTE], ttl=60)

    def broken() -> Iterator[bytes]:
        yield b"y" * MEGABYTE
        raise EngineUnreachable("cut off")  # nothing can be cleared up then

    with pytest.raises(EngineUnreachable):
        engine.put_blob("a", "out-0", broken(), ttl=60)
    with pytest.raises(LookupError):
        b"".join(engine.read_blob("a", "out-0"))


def test_a_writer_that_fails_leaves_nothing(engine: Engine) -> None:
    def broken() -> Iterator[bytes]:
        yield b"y" * 3 * MEGABYTE
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        engine.put_blob("a", "out-0", broken(), ttl=60)
    until(lambda: engine.subjects(FILES, ">") == [])


def test_a_file_without_room_is_refused_and_leaves_nothing(
    make_engine: Callable[..., Engine], server: Server
) -> None:
    engine = make_engine(engine=server.url, job_disk_bytes=64 * MEGABYTE)
    engine.put_blob("a", "out-0", [b"x" * MEGABYTE], ttl=60)
    with pytest.raises(Full):
        engine.put_blob("b", "out-0", (b"x" * MEGABYTE for _ in range(64)), ttl=60)
    until(lambda: {each.split(".")[-3] for each in engine.subjects(FILES, ">")} == {"a"})


def test_files_are_dropped_by_their_names(engine: Engine) -> None:
    for job in "ab":
        for name in ("request", "in-0", "in-1", "out-0"):
            engine.put_blob(job, name, [b"x"], ttl=60)
    engine.drop_blobs("a", "in-*")
    engine.drop_blobs("a", "request")
    engine.drop_blobs("b")
    assert b"".join(engine.read_blob("a", "out-0")) == b"x"
    assert len(engine.subjects(FILES, ">")) == 1


def test_a_file_outlives_a_killed_server(server: Server, engine: Engine) -> None:
    data = os.urandom(3 * MEGABYTE)
    engine.put_blob("a", "out-0", [data], ttl=60)
    server.kill()
    server.start()
    engine.publish("comfybridge.kept.job.a", b"", seconds=20)
    assert b"".join(engine.read_blob("a", "out-0")) == data


# -- past the streams


@pytest.fixture
def agent(server: Server, make_engine: Callable[..., Engine]) -> Engine:
    agent = make_engine(engine=server.url)
    agent.publish("comfybridge.kept.job.a", b"")
    return agent


def offered(agent: Engine, source: Callable[[], Iterator[bytes]]) -> str:
    offer_files(agent, "comfybridge.ask.me.file.*.*", lambda _subject: source())
    agent.publish("comfybridge.kept.job.a", b"")  # the server has read the subscription
    return "comfybridge.ask.me.file.job.0"


@pytest.mark.parametrize("size", SIZES)
def test_an_offered_file_is_read(agent: Engine, engine: Engine, size: int) -> None:
    data = os.urandom(size)
    subject = offered(agent, lambda: pieces(data, 100_000))
    assert b"".join(read_file(engine, subject)) == data


def test_a_large_file_takes_little_memory(agent: Engine, engine: Engine) -> None:
    subject = offered(agent, lambda: (b"x" * MEGABYTE for _ in range(256)))
    sum(map(len, read_file(engine, subject)))  # what is needed once
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert sum(map(len, read_file(engine, subject))) == 256 * MEGABYTE
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024


@pytest.mark.parametrize(
    ("raised", "expected"),
    [(PromptLost("It is gone."), PromptLost), (KeyError("x"), ComfyUIError)],
)
@pytest.mark.parametrize("sent", [0, 3 * MEGABYTE])
def test_an_error_of_the_sender_arrives(
    agent: Engine, engine: Engine, raised: Exception, expected: type[Exception], sent: int
) -> None:
    def source() -> Iterator[bytes]:
        yield b"x" * sent
        raise raised

    subject = offered(agent, source)
    with pytest.raises(expected):
        list(read_file(engine, subject))


def test_a_reader_that_closes_ends_the_sender(agent: Engine, engine: Engine) -> None:
    closed = threading.Event()

    def source() -> Iterator[bytes]:
        try:
            while True:
                yield b"x" * MEGABYTE
        finally:
            closed.set()

    reading = read_file(engine, offered(agent, source))
    next(reading)
    assert not closed.wait(0.2)
    reading.close()  # type: ignore[attr-defined]
    assert closed.wait(20)


def test_a_sender_notices_a_reader_that_is_gone(
    agent: Engine, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_files, "SILENCE_SECONDS", 1.0)
    monkeypatch.setattr(remote_files, "BEAT_SECONDS", 0.2)
    closed = threading.Event()

    def source() -> Iterator[bytes]:
        try:
            while True:
                yield b"x" * MEGABYTE
        finally:
            closed.set()

    reading = read_file(engine, offered(agent, source))
    next(reading)
    assert not closed.wait(2.0)  # it reads slowly, but is there
    engine.close()
    assert closed.wait(20)


def test_a_reader_notices_a_sender_that_is_gone(
    agent: Engine, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_files, "BEAT_SECONDS", 0.2)
    going_on = threading.Event()

    def source() -> Iterator[bytes]:
        yield b"x" * MEGABYTE
        going_on.wait(3.0)
        yield b"y" * MEGABYTE
        agent.close()
        yield b"z" * 8 * MEGABYTE

    reading = read_file(engine, offered(agent, source), silence=1.0)
    assert next(reading) == b"x" * blobs.CHUNK
    with pytest.raises(EngineUnreachable, match="does not answer"):
        list(reading)


def test_an_agent_that_is_not_there_is_noticed_at_once(engine: Engine) -> None:
    with pytest.raises(EngineUnreachable, match="is not there"):
        list(read_file(engine, "comfybridge.ask.nobody.file.a.0"))

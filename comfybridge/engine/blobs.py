"""Files in the engine: chunks, each a message on a subject of its own, several under way at once."""

from __future__ import annotations

import contextlib
import fnmatch
import uuid
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from typing import Protocol

from comfybridge.engine.messages import Full, Message
from comfybridge.engine.names import FILES
from comfybridge.errors import EngineUnreachable

CHUNK = 256 * 1024
AT_ONCE = 8
AHEAD = 4
SECONDS = 10.0  # for one chunk, on a slow disk
LAST = "Comfybridge-Last"  # on the last chunk
WRITING = "Comfybridge-Writing"  # the same on all chunks that were written together


class Store(Protocol):
    """What is needed of an engine."""

    def publishing(
        self, subject: str, data: bytes, *, ttl: float | None, headers: dict[str, str], seconds: float
    ) -> Future[int]: ...

    def publish(
        self, subject: str, data: bytes, *, ttl: float | None, headers: dict[str, str], seconds: float
    ) -> int: ...

    def get(self, stream: str, subject: str, *, seconds: float) -> Message | None: ...

    def getting(self, stream: str, subject: str, *, seconds: float) -> Future[Message | None]: ...

    def subjects(self, stream: str, subject_filter: str) -> list[str]: ...

    def purge(self, stream: str, subject_filter: str) -> int: ...


def put(engine: Store, job_id: str, name: str, chunks: Iterable[bytes], ttl: float | None) -> int:
    """Store a file. Returns its size in bytes. Raises Full or EngineUnreachable, and then leaves nothing of it."""
    writing = {WRITING: uuid.uuid4().hex}
    under_way: deque[Future[int]] = deque()
    size = 0
    try:
        for number, (chunk, is_last) in enumerate(_marked(even_chunks(chunks))):
            if len(under_way) >= AT_ONCE:
                under_way.popleft().result()
            headers = {**writing, LAST: "1"} if is_last else writing
            subject = _subject(job_id, name, str(number))
            size += len(chunk)
            if is_last and not under_way:  # most files have one chunk, and this is quicker
                engine.publish(subject, chunk, ttl=ttl, headers=headers, seconds=SECONDS)
            else:
                under_way.append(engine.publishing(subject, chunk, ttl=ttl, headers=headers, seconds=SECONDS))
        for each in under_way:
            each.result()
    except BaseException as error:
        for each in under_way:  # none may be stored after the purge
            with contextlib.suppress(Exception):
                each.result()
        if not isinstance(error, EngineUnreachable):
            with contextlib.suppress(EngineUnreachable, Full):
                engine.purge(FILES, _subject(job_id, name, "*"))
        raise
    return size


def read(engine: Store, job_id: str, name: str, begin: int = 0) -> Iterator[bytes]:
    """The bytes of a file from one on, chunk by chunk. Raises LookupError if it is not there, or not wholly."""
    number, skipped = divmod(begin, CHUNK)

    def begun(number: int) -> Future[Message | None]:
        return engine.getting(FILES, _subject(job_id, name, str(number)), seconds=SECONDS)

    def there(message: Message | None) -> Message:
        if message is None:
            raise LookupError(f"the file {name} of job {job_id} is not there")
        return message

    first = there(engine.get(FILES, _subject(job_id, name, str(number)), seconds=SECONDS))
    yield first.data[skipped:]
    if LAST in first.headers:
        return
    ahead = deque(begun(number + each) for each in range(1, 1 + AHEAD))
    number += AHEAD
    while True:
        message = there(ahead.popleft().result())
        if message.headers.get(WRITING) != first.headers.get(WRITING):
            raise LookupError(f"the file {name} of job {job_id} is being written")
        if LAST not in message.headers:
            number += 1
            ahead.append(begun(number))
        yield message.data
        if LAST in message.headers:
            return


def drop(engine: Store, job_id: str, name_filter: str) -> None:
    """Delete files of a job, by a pattern of their names."""
    if name_filter == "*":
        for side in ("in", "out"):
            engine.purge(FILES, f"comfybridge.file.{side}.{job_id}.>")
        return
    names = {name_filter}
    if any(sign in name_filter for sign in "*?["):
        subjects = engine.subjects(FILES, f"comfybridge.file.*.{job_id}.>")
        names = set(fnmatch.filter({subject.split(".")[4] for subject in subjects}, name_filter))
    for name in names:
        engine.purge(FILES, _subject(job_id, name, "*"))


def _subject(job_id: str, name: str, number: str) -> str:
    """Where a chunk is: agents may write what comes out only, and read only what goes in."""
    side = "out" if name.startswith("out-") else "in"
    return f"comfybridge.file.{side}.{job_id}.{name}.{number}"


def even_chunks(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in chunks of one size, but for the last."""
    held = bytearray()
    for chunk in chunks:
        view, start = memoryview(chunk), 0
        if held:
            start = min(CHUNK - len(held), len(view))
            held += view[:start]
            if len(held) == CHUNK:
                yield bytes(held)
                held.clear()
        while len(view) - start >= CHUNK:
            yield bytes(view[start : start + CHUNK])
            start += CHUNK
        held += view[start:]
    if held:
        yield bytes(held)


def _marked(chunks: Iterable[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Each chunk with whether it is the last; there is at least one."""
    before: bytes | None = None
    for chunk in chunks:
        if before is not None:
            yield before, False
        before = chunk
    yield before or b"", True

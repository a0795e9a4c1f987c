"""An engine in memory, which fails where a test says so: what a real one cannot be made to do at a certain moment."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from comfybridge.engine.messages import Conflict, Message
from comfybridge.engine.names import LIVE, stream_of
from comfybridge.errors import EngineUnreachable

Fault = Literal["not stored", "answer lost"]
Hear = Callable[[Message], None]
RESTARTED = Message("", b"", 0, 0.0)  # among what a follower is to hear: its stream is another one now


@dataclass
class Follower:
    """One process's view of a stream; it hears of messages when `deliver` is called."""

    stream: str
    subjects: list[str]
    hear: Hear
    caught_up: Callable[[], None]
    reset: Callable[[], None]
    waiting: list[Message] = field(default_factory=list)

    def wants(self, subject: str) -> bool:
        return any(_matches(subject, each) for each in self.subjects)


class Server:
    """What all engines of a test share. `is_direct`: messages are delivered at once, not when `deliver` is called."""

    def __init__(self, *, is_direct: bool = True) -> None:
        self.is_direct = is_direct
        self.lock = threading.RLock()
        self.last: dict[str, Message] = {}
        self.history: list[Message] = []
        self.sequences: Counter[str] = Counter()  # the last ones, by stream
        self.followers: list[Follower] = []
        self.listeners: list[tuple[str, Callable[[str, bytes], None]]] = []
        self.blobs: dict[tuple[str, str], bytes] = {}
        self.purged: list[str] = []
        self.used = 0  # of a million bytes
        self.at: float | None = None  # what its clock shows; None: that of this machine

    def deliver(self, follower: Follower) -> bool:
        """Let a follower hear its next message; whether there was one."""
        if not follower.waiting:
            return False
        message = follower.waiting.pop(0)
        if message is RESTARTED:
            self._follow_again(follower)
        else:
            follower.hear(message)
        return True

    def _follow_again(self, follower: Follower) -> None:
        follower.waiting.clear()
        follower.reset()
        for message in self.lasting(follower):
            follower.hear(message)
        follower.caught_up()

    def lasting(self, follower: Follower) -> list[Message]:
        """The last messages on what a follower follows, in their order."""
        wanted = [each for each in self.last.values() if follower.wants(each.subject)]
        return sorted(wanted, key=lambda each: each.sequence)

    def deliver_all(self) -> None:
        """Let everybody hear what there is."""
        for follower in self.followers:
            while self.deliver(follower):
                pass

    def forget(self, stream: str = LIVE) -> None:
        """As a restart does to what is only in memory, or to all if the disk is gone.

        Followers learn of it when it is delivered.
        """
        with self.lock:
            self.last = {subject: each for subject, each in self.last.items() if stream_of(subject) != stream}
            self.sequences[stream] = 0
            for each in self.followers:
                if each.stream == stream:
                    each.waiting = [RESTARTED]
            if self.is_direct:
                self.deliver_all()


class FakeEngine:
    """One process's connection to the server."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.faults: list[Fault] = []  # of the next publishes
        self.is_away = False
        self.is_chosen = True
        self.is_connected = True
        self.on_changes: list[Callable[[bool], None]] = []

    def publish(
        self,
        subject: str,
        data: bytes,
        *,
        expected: int | None = None,
        ttl: float | None = None,
        seconds: float = 2.0,
    ) -> int:
        self._check()
        fault = self.faults.pop(0) if self.faults else None
        if fault == "not stored":
            raise EngineUnreachable("The engine does not answer.")
        server = self.server
        with server.lock:
            last = server.last.get(subject)
            if expected is not None and (0 if last is None else last.sequence) != expected:
                if fault is not None:
                    raise EngineUnreachable("The engine does not answer.")
                raise Conflict
            server.sequences[stream_of(subject)] += 1
            at = time.time() if server.at is None else server.at
            message = Message(subject, data, server.sequences[stream_of(subject)], at)
            server.last[subject] = message
            server.history.append(message)
            for each in server.followers:
                if each.wants(subject):
                    each.waiting.append(message)
            if server.is_direct:
                for each in server.followers:
                    while server.deliver(each):
                        pass
        if fault == "answer lost":
            raise EngineUnreachable("The engine does not answer.")
        return message.sequence

    def get(self, stream: str, subject: str) -> Message | None:
        self._check()
        return self.server.last.get(subject)

    def delete(self, stream: str, sequence: int) -> bool:
        self._check()
        with self.server.lock:
            found = [
                subject
                for subject, each in self.server.last.items()
                if stream_of(subject) == stream and each.sequence == sequence
            ]
            for subject in found:
                del self.server.last[subject]
        return bool(found)

    def space(self, stream: str) -> tuple[int, int]:
        self._check()
        return self.server.used, 1_000_000

    def purge(self, stream: str, subject_filter: str, *, last: int = 0) -> int:
        self._check()
        with self.server.lock:
            found = [
                subject
                for subject, each in self.server.last.items()
                if _matches(subject, subject_filter) and (not last or each.sequence <= last)
            ]
            for subject in found:
                del self.server.last[subject]
                self.server.purged.append(subject)
        return len(found)

    def tell(self, subject: str, data: bytes) -> None:
        if not self.is_away:
            for wanted, hear in self.server.listeners:
                if _matches(subject, wanted):
                    hear(subject, data)

    def listen(self, subject: str, hear: Callable[[str, bytes], None]) -> Callable[[], None]:
        self.server.listeners.append((subject, hear))
        return lambda: self.server.listeners.remove((subject, hear))

    def follow(
        self,
        stream: str,
        subjects: Iterable[str],
        hear: Hear,
        caught_up: Callable[[], None],
        reset: Callable[[], None],
    ) -> Callable[[], None]:
        follower = Follower(stream, list(subjects), hear, caught_up, reset)
        with self.server.lock:
            for message in self.server.lasting(follower):
                hear(message)
            self.server.followers.append(follower)
        caught_up()
        return lambda: self.server.followers.remove(follower)

    def put_blob(self, job_id: str, name: str, chunks: Iterable[bytes], *, ttl: float | None) -> int:
        self._check()
        self.server.blobs[job_id, name] = data = b"".join(chunks)
        return len(data)

    def read_blob(self, job_id: str, name: str) -> Iterator[bytes]:
        yield self.server.blobs[job_id, name]

    def drop_blobs(self, job_id: str, name_filter: str = "*") -> None:
        self._check()
        self.server.blobs.pop((job_id, name_filter), None)

    def on_change(self, hear: Callable[[bool], None]) -> None:
        self.on_changes.append(hear)

    def _check(self) -> None:
        if self.is_away:
            raise EngineUnreachable("The engine does not answer.")


def _matches(subject: str, wanted: str) -> bool:
    pattern = re.escape(wanted).replace(r"\*", "[^.]+").replace(">", ".+")
    return re.fullmatch(pattern, subject) is not None

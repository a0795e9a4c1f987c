"""The engine that keeps jobs, results and files: what the rooms above may ask of it.

Its library is imported, and its server started, when it is first used.
"""

from __future__ import annotations

import logging
import os
import threading
import uuid
import weakref
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from comfybridge.engine.messages import Conflict, Full, Message, error_in, error_message
from comfybridge.engine.names import ASSETS, FILES, KEPT, LIVE, RESULTS
from comfybridge.errors import BridgeError, EngineUnreachable, InternalError
from comfybridge.settings import Settings
from comfybridge.state import StateFolder

if TYPE_CHECKING:
    from comfybridge.engine.connection import Requests
    from comfybridge.engine.following import Follower
    from comfybridge.engine.link import Link

__all__ = ["ASSETS", "FILES", "KEPT", "LIVE", "RESULTS", "Conflict", "Engine", "Full", "Message"]

log = logging.getLogger(__name__)

SECONDS = 2.0
ANSWERING_THREADS = 8
# What is refused while the disk still has room to end what there is.
NEW_WORK = ("comfybridge.kept.job.", "comfybridge.file.in.")

T = TypeVar("T")


class Engine:
    """The connection of this process to the engine; opened at first use, after any fork.

    Safe to share between threads. All calls block, and raise EngineUnreachable if the engine does not answer.
    Callbacks run in the engine's thread: they must be quick and must not call what blocks.

    Args:
        state: the folder of the bridge's own engine, which runs if the settings name no address.
        makes_streams: whether to make the streams; otherwise they are waited for.
    """

    def __init__(self, settings: Settings, state: StateFolder, *, makes_streams: bool = True) -> None:
        self._settings = settings
        self._state = state
        self._makes_streams = makes_streams
        self._changes: list[Callable[[bool], None]] = []
        self._is_closed = False
        self._lock = threading.Lock()
        self._link: Link | None = None
        self._pool: ThreadPoolExecutor | None = None
        _engines.add(self)

    @property
    def is_chosen(self) -> bool:
        """Whether the settings name the engine's address."""
        return self._settings.engine is not None

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection."""
        return self._link is not None and self._link.is_connected

    @property
    def hindrance(self) -> str | None:
        """Why there is no connection, as far as is known; None if there is one, or none was needed yet."""
        return None if self._link is None else self._link.hindrance

    def is_wanted_at_start(self) -> bool:
        """Whether there may be jobs from before: the engine runs elsewhere, or has data. Starts nothing."""
        return self.is_chosen or self._state.has("engine/js/jetstream")

    def publish(
        self,
        subject: str,
        data: bytes,
        *,
        expected: int | None = None,
        ttl: float | None = None,
        headers: dict[str, str] | None = None,
        seconds: float = SECONDS,
    ) -> int:
        """Store a message in the stream of its subject. Returns its sequence.

        Repeats by itself if the connection is lost meanwhile; the engine stores it once.

        Args:
            expected: the sequence that the last message on the subject must have; 0: there must be none.
            ttl: seconds after which it is deleted, whole ones and at least one.

        Raises:
            Conflict: the last message is not the expected one.
            Full: there is no room.
            EngineUnreachable: the engine does not answer; the message may have been stored.
        """
        from comfybridge.engine import calls

        self._check_room(subject, data)
        return self._call(calls.publishing(subject, data, expected, ttl, headers), seconds)

    def publishing(
        self,
        subject: str,
        data: bytes,
        *,
        expected: int | None = None,
        ttl: float | None = None,
        headers: dict[str, str] | None = None,
        seconds: float = SECONDS,
    ) -> Future[int]:
        """Begin what `publish` does; the result comes, or is raised, in the future.

        Raises:
            Full: the disk has no room for another job.
        """
        from comfybridge.engine import calls

        self._check_room(subject, data)
        return self._opened().submit(calls.publishing(subject, data, expected, ttl, headers), seconds)

    def get(self, stream: str, subject: str, *, seconds: float = SECONDS) -> Message | None:
        """The last message on a subject, or None."""
        from comfybridge.engine import calls

        return self._call(calls.getting(stream, subject), seconds)

    def getting(self, stream: str, subject: str, *, seconds: float = SECONDS) -> Future[Message | None]:
        """Begin what `get` does."""
        from comfybridge.engine import calls

        return self._opened().submit(calls.getting(stream, subject), seconds)

    def subjects(self, stream: str, subject_filter: str, *, seconds: float = SECONDS) -> list[str]:
        """The subjects of a stream that have a message and match the filter."""
        from comfybridge.engine import calls

        return self._call(calls.subjects(stream, subject_filter), seconds)

    def purge(self, stream: str, subject_filter: str, *, last: int = 0, seconds: float = SECONDS) -> int:
        """Delete all messages on the subjects that match the filter. Returns how many there were.

        Args:
            last: the sequence of the last message that may be deleted; 0: any.
        """
        from comfybridge.engine import calls

        return self._call(calls.purging(stream, subject_filter, last), seconds)

    def delete(self, stream: str, sequence: int, *, seconds: float = SECONDS) -> bool:
        """Delete one message for good. Returns whether it was there.

        A message that another one replaced, and not this, may come back when the server is killed and the other one
        is gone by then: the server does without a record of what its limits will delete again.
        """
        from comfybridge.engine import calls

        return self._call(calls.deleting(stream, sequence), seconds, repeats=False)

    def space(self, stream: str, *, seconds: float = SECONDS) -> tuple[int, int]:
        """How many bytes of a stream are taken, and how many it has."""
        from comfybridge.engine import calls

        return self._call(calls.measuring(stream), seconds)

    def tell(self, subject: str, data: bytes, headers: dict[str, str] | None = None, *, reply: str = "") -> None:
        """Send a message to whoever listens. It may be lost; never raises, and does not wait.

        Args:
            reply: the subject on which it is to be answered.
        """
        try:
            link = self._opened()
        except EngineUnreachable:
            return
        link.soon(lambda: link.tell(subject, data, headers, reply))

    def send(self, subject: str, data: bytes, headers: dict[str, str], *, reply: str, seconds: float) -> None:
        """As `tell`, but wait until there is room to send it. Raises EngineUnreachable."""
        link = self._opened()
        sent = link.submit(lambda each: each.publish(subject, data, headers, reply), seconds, repeats=False)
        link.result(sent, seconds)

    def new_inbox(self) -> str:
        """A subject on which only this process listens."""
        inbox = self._settings.engine_addresses[0].inbox if self.is_chosen else "_INBOX.all"
        return f"{inbox}.{uuid.uuid4().hex}"

    def repeat(self, seconds: float, call: Callable[[], object]) -> Callable[[], None]:
        """Call something each so many seconds, in the engine's thread. Returns what ends it."""
        link = self._opened()
        repeating = link.run(link.repeat(seconds, call))
        return lambda: link.soon(repeating.cancel)

    def listen(self, subject: str, hear: Callable[[str, bytes], None]) -> Callable[[], None]:
        """Have `hear(subject, data)` called for each message that is told. Returns what ends it.

        It is made again with each new connection; what is told between is lost.
        """
        return self.listen_to_messages(subject, lambda message: hear(message.subject, message.data))

    def listen_to_messages(self, subject: str, hear: Callable[[Any], None]) -> Callable[[], None]:
        """As `listen`, with the whole message: `subject`, `data`, `headers`, `reply`."""
        from comfybridge.engine.link import Listener

        link = self._opened()
        listener = Listener(subject, hear)
        self._begun(link, link.listen(listener))
        return lambda: link.soon(lambda: link.unlisten(listener))

    def ask(self, subject: str, data: bytes, seconds: float) -> bytes:
        """Send a request and wait for its answer.

        Raises:
            BridgeError: the error that the other side raised.
            EngineUnreachable: nobody answers, or not in time.
        """
        from comfybridge.engine import calls

        link = self._opened()
        answer = link.result(link.submit(calls.asking(subject, data), seconds, repeats=False), seconds)
        error = error_in(answer.data, answer.headers)
        if error is not None:
            raise error
        return answer.data

    def answer(self, subject: str, reply: Callable[[str, bytes], bytes]) -> Callable[[], None]:
        """Answer requests with what `reply(subject, data)` returns, in a thread of a pool. Returns what ends it.

        A BridgeError that it raises is raised at the other side; any other error as an InternalError.
        """

        def replied(subject: str, data: bytes, to: str) -> None:
            try:
                self.tell(to, reply(subject, data))
            except BridgeError as error:
                self.tell(to, *error_message(error))
            except Exception:
                log.exception("A request of the engine could not be answered.")
                self.tell(to, *error_message(InternalError("The agent has a bug, which its log shows.")))

        def hear(message: Any) -> None:
            if message.reply:
                self.in_pool(replied, message.subject, message.data, message.reply)

        return self.listen_to_messages(subject, hear)

    def follow(
        self,
        stream: str,
        subjects: Sequence[str],
        hear: Callable[[Message], None],
        caught_up: Callable[[], None],
        reset: Callable[[], None],
    ) -> Callable[[], None]:
        """Have `hear` called with every last message on those subjects, then with each new one, in order.

        This goes on whatever happens to the connection or the server. Returns what ends it.

        Args:
            caught_up: called once all that was there has been heard, and again after each reset.
            reset: called where it begins anew, and all that was heard is to be forgotten: the stream was made anew,
                or the connection was gone for so long that deletions may have been missed.
        """
        from comfybridge.engine.following import Follower

        link = self._opened()
        follower: Follower = Follower(stream, subjects, hear, caught_up, reset)
        self._begun(link, link.follow(follower))
        return lambda: link.soon(lambda: link.unfollow(follower))

    def put_blob(self, job_id: str, name: str, chunks: Iterable[bytes], *, ttl: float | None) -> int:
        """Store a file. Returns its size in bytes.

        Args:
            name: without dots.

        Raises:
            Full: there is no room; nothing of it is left.
            EngineUnreachable
        """
        from comfybridge.engine import blobs

        return blobs.put(self, job_id, name, chunks, ttl)

    def read_blob(self, job_id: str, name: str, begin: int = 0) -> Iterator[bytes]:
        """The bytes of a file, in chunks.

        Args:
            begin: the first byte that is wanted.

        Raises:
            LookupError: it is not there, or not wholly.
            EngineUnreachable
        """
        from comfybridge.engine import blobs

        return blobs.read(self, job_id, name, begin)

    def drop_blobs(self, job_id: str, name_filter: str = "*") -> None:
        """Delete files of a job: all, or those whose name matches a pattern such as `in-*`."""
        from comfybridge.engine import blobs

        blobs.drop(self, job_id, name_filter)

    def on_change(self, hear: Callable[[bool], None]) -> None:
        """Have `hear` called with whether there is a connection, at each change."""
        self._changes.append(hear)

    def close(self) -> None:
        """End the connection and all threads, and the server if this process started it."""
        self._is_closed = True
        with self._lock:
            link, self._link = self._link, None
            pool, self._pool = self._pool, None
        if link is not None:
            link.close()
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)

    def in_pool(self, call: Callable[..., object], *given: object) -> None:
        """Call something in a thread of the small pool that answers requests."""
        with self._lock:
            if self._is_closed:
                return
            if self._pool is None:
                self._pool = ThreadPoolExecutor(ANSWERING_THREADS, "comfybridge-answer")
            self._pool.submit(call, *given)

    def _opened(self) -> Link:
        link = self._link
        if link is not None:
            return link
        from comfybridge.engine.link import Link
        from comfybridge.engine.server import EmbeddedServer

        with self._lock:
            if self._is_closed:
                raise EngineUnreachable("The connection to the engine is closed.")
            if self._link is None:
                server = None if self.is_chosen else EmbeddedServer(self._settings, self._state)
                self._link = Link(
                    self._settings, server, makes_streams=self._makes_streams, changed=self._tell_change
                )
            return self._link

    def _check_room(self, subject: str, data: bytes) -> None:
        if subject.startswith(NEW_WORK) and data and not self._opened().has_room():
            raise Full(subject)

    def _call(self, work: Callable[[Requests], Awaitable[T]], seconds: float, *, repeats: bool = True) -> T:
        return self._opened().call(work, seconds, repeats=repeats)

    def _begun(self, link: Link, beginning: Coroutine[Any, Any, None]) -> None:
        """Wait until something has begun, if that can be."""
        future = link.run(beginning)
        if not link.is_own_thread:
            link.result(future, SECONDS)

    def _tell_change(self, is_connected: bool) -> None:
        for hear in self._changes:
            hear(is_connected)

    def _forget(self) -> None:
        """Begin without a connection in a forked process, where its thread is missing."""
        self._lock = threading.Lock()
        self._link = None
        self._pool = None


_engines: weakref.WeakSet[Engine] = weakref.WeakSet()


def _forget_all() -> None:
    for engine in list(_engines):
        engine._forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)

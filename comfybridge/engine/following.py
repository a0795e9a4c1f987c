"""Following a stream: every last value on some subjects, then each new one, whatever happens to the connection."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any

from comfybridge.engine.connection import ApiError, Connection, Lost, NobodyAnswers, NotAllowed, status_of
from comfybridge.engine.messages import Message

log = logging.getLogger(__name__)

NANOSECONDS = 1_000_000_000
HEARTBEAT_SECONDS = 2.0
SILENCE_SECONDS = 3.5 * HEARTBEAT_SECONDS
CHECK_SECONDS = 15.0
GAP_SECONDS = 20.0  # tombstones live 60 s: after a longer gap, one may have been missed
CALL_SECONDS = 2.0
PAUSE_SECONDS = 0.3
CONTROL = "100"


class Follower:
    """One follower, with what it has seen. Its methods run in the engine's loop."""

    def __init__(
        self,
        stream: str,
        subjects: Sequence[str],
        hear: Callable[[Message], None],
        caught_up: Callable[[], None],
        reset: Callable[[], None],
    ) -> None:
        self._stream = stream
        self._subjects = list(subjects)
        self._hear = hear
        self._caught_up = caught_up
        self._reset = reset
        self._made: str | None = None  # when the stream was made, which tells it from a later one
        self._server = ""  # by which it was seen last: another one after each start
        self._last = 0  # the sequence that was seen last
        self._is_caught_up = False
        self._heard = _now()
        self._count = 0  # messages of the present consumer
        self._broken = asyncio.Event()
        self._is_ended = False

    def end(self) -> None:
        """Follow no longer."""
        self._is_ended = True
        self._broken.set()

    async def follow(self, connection: Connection) -> None:
        """Follow until the connection is lost."""
        while not connection.lost.is_set() and not self._is_ended:
            try:
                await self._follow(connection)
            except Lost:
                return
            except (ApiError, NobodyAnswers, NotAllowed, asyncio.TimeoutError) as error:
                log.debug("Following %s failed: %r", self._stream, error)
                await asyncio.sleep(PAUSE_SECONDS)

    async def _follow(self, connection: Connection) -> None:
        info = await _call(connection, f"STREAM.INFO.{self._stream}")
        self._recognise(info, str(connection.info.get("server_id")))
        self._count = 0
        self._broken = broken = asyncio.Event()
        inbox, name = connection.new_inbox(), uuid.uuid4().hex

        async def take(message: Any) -> None:
            if broken.is_set():
                return
            if status_of(message) == CONTROL:
                await self._take_control(connection, message)
            else:
                self._take(message)

        end = await connection.subscribe(inbox, take)
        try:
            made = await _call(connection, f"CONSUMER.CREATE.{self._stream}.{name}", self._consumer(name, inbox))
            self._heard = _now()
            if made.get("num_pending", 0) == 0 and self._count == 0:
                self._catch_up()
            await self._watch(connection, name)
        finally:
            broken.set()
            end()
            if not connection.lost.is_set():
                with contextlib.suppress(Exception):
                    await connection.publish(f"$JS.API.CONSUMER.DELETE.{self._stream}.{name}", b"")

    def _recognise(self, info: dict[str, Any], server: str) -> None:
        """Begin anew where what was seen cannot be gone on with."""
        made, last = str(info["created"]), int(info["state"]["last_seq"])
        is_known = self._made is not None
        # a cluster of which all servers were restarted has the stream still, but not what was in its memory
        is_elsewhere = server != self._server and info["config"].get("storage") == "memory"
        has_gap = last < self._last or _since(self._heard) > GAP_SECONDS
        if is_known and (made != self._made or is_elsewhere or has_gap):
            self._last = 0
            self._is_caught_up = False
            self._guarded(self._reset)
        self._made, self._server = made, server

    def _consumer(self, name: str, inbox: str) -> dict[str, Any]:
        return {
            "stream_name": self._stream,
            "config": {
                "name": name,
                "deliver_subject": inbox,
                # there is one message a subject, so what comes after the last one is all that has changed
                "deliver_policy": "by_start_sequence",
                "opt_start_seq": self._last + 1,
                "filter_subjects": self._subjects,
                "ack_policy": "none",
                "max_deliver": 1,
                "replay_policy": "instant",
                "flow_control": True,
                "idle_heartbeat": int(HEARTBEAT_SECONDS * NANOSECONDS),
                "inactive_threshold": 30 * NANOSECONDS,
                "mem_storage": True,
                "num_replicas": 1,
            },
        }

    def _take(self, message: Any) -> None:
        sequence, count, at, pending = _metadata(message.reply)
        self._heard = _now()
        if count != self._count + 1:  # one was lost
            self._broken.set()
            return
        self._count = count
        self._last = sequence
        found = Message(message.subject, message.data, sequence, at, message.headers or {})
        self._guarded(lambda: self._hear(found))
        if pending == 0:
            self._catch_up()

    async def _take_control(self, connection: Connection, message: Any) -> None:
        headers = message.headers or {}
        self._heard = _now()
        reply = message.reply or headers.get("Nats-Consumer-Stalled")
        if reply:  # flow control
            await connection.publish(reply, b"")
        delivered = headers.get("Nats-Last-Consumer")
        if delivered is not None and not message.reply:
            if int(delivered) != self._count:
                self._broken.set()
            else:
                self._catch_up()

    async def _watch(self, connection: Connection, name: str) -> None:
        """Return when the consumer is of no use any longer."""
        stuck: tuple[int, int] | None = None
        checked = time.monotonic()
        gone = asyncio.ensure_future(connection.lost.wait())
        broken = asyncio.ensure_future(self._broken.wait())
        try:
            while not gone.done() and not broken.done():
                await asyncio.wait((gone, broken), timeout=1.0, return_when=asyncio.FIRST_COMPLETED)
                if time.monotonic() - self._heard[0] > SILENCE_SECONDS:
                    return
                if time.monotonic() - checked > CHECK_SECONDS:
                    checked = time.monotonic()
                    info = await _call(connection, f"CONSUMER.INFO.{self._stream}.{name}")
                    waiting = int(info.get("num_pending", 0))
                    if waiting and stuck == (waiting, self._count):
                        return
                    stuck = (waiting, self._count) if waiting else None
        finally:
            gone.cancel()
            broken.cancel()

    def _catch_up(self) -> None:
        if not self._is_caught_up:
            self._is_caught_up = True
            self._guarded(self._caught_up)

    def _guarded(self, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception:
            log.exception("A message of %s could not be taken.", self._stream)


async def _call(connection: Connection, subject: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    return await asyncio.wait_for(connection.api(subject, body), CALL_SECONDS)


def _metadata(reply: str) -> tuple[int, int, float, int]:
    """Of a message: its sequence in the stream, that of the consumer, its time, and how many are to come."""
    parts = reply.split(".")
    # $JS.ACK.STREAM.CONSUMER.DELIVERED.SEQUENCE.COUNT.TIME.PENDING; or with a domain and an account before STREAM
    sequence, count, at, pending = parts[5:9] if len(parts) == 9 else parts[7:11]
    return int(sequence), int(count), int(at) / NANOSECONDS, int(pending)


def _now() -> tuple[float, float]:
    return time.monotonic(), time.time()


def _since(then: tuple[float, float]) -> float:
    """Seconds since then, of the machine's sleep too, which the monotonic clock may leave out."""
    return max(time.monotonic() - then[0], time.time() - then[1])

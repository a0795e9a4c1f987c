"""A file's bytes from an agent to a bridge, past the streams: on no disk, and in a few megabytes of memory.

The reader asks with an inbox of its own. The sender sends numbered chunks there, no more than a window beyond what
the reader has told to have read. Each end says every few seconds that it is still there, and gives up if the other
does not.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from comfybridge.engine.blobs import LAST, even_chunks
from comfybridge.engine.engine import Engine
from comfybridge.engine.messages import error_in, error_message
from comfybridge.errors import BridgeError, ComfyUIError, EngineUnreachable, InternalError

log = logging.getLogger(__name__)

WINDOW = 16  # chunks
TOLD_EACH = 4  # chunks
SECONDS = 2.0
BEAT_SECONDS = 3.0
SILENCE_SECONDS = 15.0
NUMBER = "Comfybridge-Chunk"
STOP = b"stop"


def offer_files(engine: Engine, subject: str, open_file: Callable[[str], Iterable[bytes]]) -> Callable[[], None]:
    """Send files to whoever asks on a subject. Returns what ends it, but for files under way.

    Args:
        open_file: gives the bytes for the subject that was asked on, in a thread of its own. What it raises is raised
            at the reader: a BridgeError as it is, a LookupError as a file that is gone.
    """

    def asked(message: Any) -> None:
        if message.reply:
            sending = _Sending(engine, message.reply)
            threading.Thread(
                target=sending.send, args=(message.subject, open_file), name="comfybridge-file", daemon=True
            ).start()

    return engine.listen_to_messages(subject, asked)


def read_file(engine: Engine, subject: str, *, silence: float = SILENCE_SECONDS) -> Iterator[bytes]:
    """The bytes of a file that is offered on a subject. Close it to end the sender early.

    Args:
        silence: seconds after which a sender that says nothing is taken to be gone.

    Raises:
        EngineUnreachable: the sender does not answer, or was cut off.
        BridgeError: what the sender raised.
    """
    arrived: queue.SimpleQueue[Any] = queue.SimpleQueue()
    inbox = engine.new_inbox()
    control: list[str] = []
    read = 0

    def beat() -> None:
        if control:
            engine.tell(control[0], str(read).encode())

    end = engine.listen_to_messages(inbox, arrived.put)
    end_beat = engine.repeat(BEAT_SECONDS, beat)
    is_over = False
    try:
        engine.send(subject, b"", {}, reply=inbox, seconds=SECONDS)
        while not is_over:
            try:
                message = arrived.get(timeout=silence)
            except queue.Empty:
                raise EngineUnreachable("The agent that has the file does not answer.") from None
            headers = message.headers or {}
            if headers.get("Status"):
                raise EngineUnreachable("The agent that has the file is not there.")
            error = error_in(message.data, headers)
            if error is not None:
                is_over = True
                raise error
            control[:] = [message.reply]
            if NUMBER not in headers:
                continue
            if int(headers[NUMBER]) != read:
                raise EngineUnreachable("The connection to the agent was cut while it sent a file.")
            yield message.data
            read += 1
            is_over = LAST in headers
            if read % TOLD_EACH == 0:
                beat()
    finally:
        end_beat()
        end()
        if control and not is_over:
            engine.tell(control[0], STOP)


class _Sending:
    """One file on its way to a reader."""

    def __init__(self, engine: Engine, to: str) -> None:
        self._engine = engine
        self._to = to
        self._control = engine.new_inbox()
        self._changed = threading.Condition()
        self._read = 0
        self._is_stopped = False
        self._heard = time.monotonic()

    def send(self, subject: str, open_file: Callable[[str], Iterable[bytes]]) -> None:
        """Send the file, or what was raised instead."""
        try:
            ends = [
                self._engine.listen_to_messages(self._control, self._hear),
                self._engine.repeat(BEAT_SECONDS, self._beat),
            ]
        except EngineUnreachable:
            return
        try:
            self._send(subject, open_file)
        except EngineUnreachable:
            log.info("A file could not be sent: its reader is gone.")
        except BridgeError as error:
            self._engine.tell(self._to, *error_message(error))
        except LookupError:
            self._engine.tell(self._to, *error_message(ComfyUIError("The agent no longer has the file.")))
        except Exception:
            log.exception("A file could not be sent.")
            self._engine.tell(self._to, *error_message(InternalError("The agent has a bug, which its log shows.")))
        finally:
            for end in ends:
                end()

    def _send(self, subject: str, open_file: Callable[[str], Iterable[bytes]]) -> None:
        self._beat()
        source = open_file(subject)
        try:
            number, before = 0, b""
            for chunk in even_chunks(source):
                if before:
                    if not self._pass_on(number, before, {}):
                        return
                    number += 1
                before = chunk
            self._pass_on(number, before, {LAST: "1"})
        finally:
            close = getattr(source, "close", None)
            if close is not None:
                close()

    def _pass_on(self, number: int, chunk: bytes, headers: dict[str, str]) -> bool:
        """Send a chunk once there is room. Returns whether the reader wants more."""
        with self._changed:
            while number - self._read >= WINDOW and not self._is_stopped:
                self._changed.wait(BEAT_SECONDS)
                if time.monotonic() - self._heard > SILENCE_SECONDS:
                    raise EngineUnreachable("The reader is gone.")
            if self._is_stopped:
                return False
        self._engine.send(
            self._to, chunk, {NUMBER: str(number), **headers}, reply=self._control, seconds=SILENCE_SECONDS
        )
        return True

    def _hear(self, message: Any) -> None:
        with self._changed:
            self._heard = time.monotonic()
            # a status instead of data: nobody listens at the reader's inbox any longer
            if message.data in (STOP, b""):
                self._is_stopped = True
            else:
                self._read = max(self._read, int(message.data))
            self._changed.notify_all()

    def _beat(self) -> None:
        self._engine.tell(self._to, b"", {"Comfybridge-Beat": "1"}, reply=self._control)

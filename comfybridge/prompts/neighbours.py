"""The other processes of this bridge on this machine, which may be asked what only they know.

Each process that has something to tell listens on a socket in the folder that they share (`processes.py`). A question
and its answer are one line of JSON each. Nothing is written where nobody asks.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import secrets
import socket
import threading
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from comfybridge.prompts.processes import Machine

log = logging.getLogger(__name__)

ENDING, NOT_YET = ".sock", ".new"
CONNECT_SECONDS = 1.0
LONGEST_QUESTION = 64 * 1024

Answer = Callable[[Mapping[str, Any]], Mapping[str, Any]]


class Neighbours:
    """Asks the other processes, and answers them. Safe to share between threads.

    Args:
        bridge: the same text in all processes of one bridge, and another in each other bridge of this machine.
        answer: called in a thread of its own with each question of another process.
    """

    def __init__(self, machine: Machine, bridge: str, answer: Answer) -> None:
        self._machine = machine
        self._prefix = hashlib.sha256(bridge.encode()).hexdigest()[:8]
        self._answer = answer
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._path: Path | None = None
        self._is_alone = not hasattr(socket, "AF_UNIX")  # as on Windows, where a bridge has one process

    def listen(self) -> None:
        """Begin to answer, unless that has begun. If it can't, the others do not learn what this process knows."""
        if self._socket is not None or self._is_alone:
            return
        with self._lock:
            if self._socket is not None or self._is_alone:
                return
            try:
                for each in self._machine.folder().glob(f"*{ENDING}"):
                    _remove_if_dead(each)
                path = self._machine.folder() / f"{self._prefix}-{secrets.token_hex(3)}{ENDING}"
                listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                listening.bind(str(path.with_suffix(NOT_YET)))
                listening.listen()
                path.with_suffix(NOT_YET).rename(path)  # before it listened, it would have been taken for a dead one
            except OSError as error:
                log.warning("Other processes of the bridge do not learn of the requests of this one: %s", error)
                self._is_alone = True
                return
            self._socket, self._path = listening, path
            weakref.finalize(self, _remove, path, os.getpid())
            threading.Thread(target=self._serve, args=[listening], name="comfybridge neighbours", daemon=True).start()

    def ask(self, question: Mapping[str, Any], seconds: float) -> list[dict[str, Any]]:
        """The answers of all other processes that give one in time.

        Args:
            seconds: how long each of them has.
        """
        if not hasattr(socket, "AF_UNIX"):
            return []
        try:
            paths = [path for path in self._machine.folder().glob(f"{self._prefix}-*{ENDING}") if path != self._path]
        except OSError:
            return []
        answers = (_asked(path, question, seconds) for path in paths)
        return [each for each in answers if each is not None]

    def close(self) -> None:
        """Stop answering."""
        with self._lock:
            self._is_alone = True
            if self._socket is not None and self._path is not None:
                _remove(self._path, os.getpid())
                with contextlib.suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)  # wakes the thread
                self._socket.close()

    def _serve(self, listening: socket.socket) -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:  # it was closed
                return
            threading.Thread(
                target=self._serve_one, args=[connection], name="comfybridge neighbour", daemon=True
            ).start()

    def _serve_one(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError, ValueError):
            connection.settimeout(CONNECT_SECONDS)
            with connection.makefile("rwb") as stream:
                question = json.loads(stream.readline(LONGEST_QUESTION))
                stream.write(json.dumps(self._answer(question)).encode() + b"\n")


def _asked(path: Path, question: Mapping[str, Any], seconds: float) -> dict[str, Any] | None:
    """The answer of one process; None if it gives none."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            if not _connects(connection, path):
                return None
            connection.settimeout(seconds)
            with connection.makefile("rwb") as stream:
                stream.write(json.dumps(question).encode() + b"\n")
                stream.flush()
                answer: dict[str, Any] = json.loads(stream.readline())
                return answer
        except (OSError, ValueError) as error:
            log.warning("Another process of the bridge does not answer: %s", error)
            return None


def _connects(connection: socket.socket, path: Path) -> bool:
    """Connect to a process; returns whether that worked. What a killed process left is removed."""
    connection.settimeout(CONNECT_SECONDS)
    try:
        connection.connect(str(path))
    except ConnectionRefusedError:
        with contextlib.suppress(OSError):
            path.unlink()
        return False
    except OSError:
        return False
    return True


def _remove_if_dead(path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        _connects(connection, path)


def _remove(path: Path, owner: int) -> None:
    if os.getpid() == owner:  # not in a fork
        with contextlib.suppress(OSError):
            path.unlink()

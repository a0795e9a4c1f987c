"""A nats-server of the tests' own, at an address that stays the same when it is started again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from comfybridge.engine.messages import Message
from comfybridge.engine.server import find_program
from tests.waiting import suspend

PATIENCE = 20.0

T = TypeVar("T")


class Server:
    """A running nats-server with JetStream."""

    def __init__(self, folder: Path, *lines: str) -> None:
        self._folder = folder
        self._lines = lines
        self._process: subprocess.Popen[bytes] | None = None
        self.port = -1
        self.start()

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        for left in self._folder.glob("*.ports"):
            left.unlink()
        config = self._folder / "server.conf"
        lines = [
            f'listen: "127.0.0.1:{self.port}"',
            f"ports_file_dir: {json.dumps(str(self._folder))}",
            "max_payload: 8MB",
            f"jetstream {{ store_dir: {json.dumps(str(self._folder / 'js'))}, max_file_store: 100GB }}",
        ]
        config.write_text("\n".join([*lines, *self._lines]))
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [find_program(None), "-c", str(config)], stdout=log, stderr=log, start_new_session=True
            )
        ports = until(lambda: [each for each in self._folder.glob(f"*_{self.pid}.ports") if each.read_text()])
        self.port = int(json.loads(ports[0].read_text())["nats"][0].rpartition(":")[2])

    def signal(self, number: signal.Signals) -> None:
        if number == signal.SIGSTOP:
            suspend(self.pid)
        else:
            os.kill(self.pid, number)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(PATIENCE)


def until(found: Callable[[], T], seconds: float = PATIENCE) -> T:
    """What is found at last, asked for again and again."""
    ends = time.monotonic() + seconds
    while not (result := found()):
        assert time.monotonic() < ends, "it did not come in time"
        time.sleep(0.01)
    return result


class Heard:
    """What a follower has heard, with events to wait for."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}
        self.sequences: list[int] = []
        self.resets = 0
        self.caught_up = threading.Event()
        self._changed = threading.Condition()

    def hear(self, message: Message) -> None:
        with self._changed:
            self.values[message.subject] = message.data
            self.sequences.append(message.sequence)
            self._changed.notify_all()

    def reset(self) -> None:
        with self._changed:
            self.resets += 1
            self.values.clear()
            self.sequences.clear()
            self.caught_up.clear()
            self._changed.notify_all()

    def wait_for(self, condition: Callable[[], object], seconds: float = PATIENCE) -> None:
        with self._changed:
            assert self._changed.wait_for(condition, seconds), "it was not heard in time"

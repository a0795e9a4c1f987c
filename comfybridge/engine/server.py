"""The engine that the bridge starts itself: one nats-server for all processes that share a state folder."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from comfybridge.engine import child
from comfybridge.engine.connection import OLDEST, Unusable
from comfybridge.engine.program import program_of, why_none
from comfybridge.engine_address import EngineAddress
from comfybridge.settings import Settings
from comfybridge.state import StateFolder, private_folder

log = logging.getLogger(__name__)

FOLDER = "engine"
START_SECONDS = 10.0
STOP_SECONDS = 2.0
POLL_SECONDS = 0.01
DISK_SHARE = 2  # at most half of what the disk has free
LEAST_BYTES = 64 * 1024 * 1024
LOOK_SECONDS = 0.2  # for which what the disk has free is relied on
SPARE_BYTES = 48 * 1024 * 1024
DISK_FULL = "critical write error"  # in the words of a server that will store nothing more until it is started again
PASSED_ON = ("PATH", "HOME", "TMPDIR", "SYSTEMROOT", "TEMP", "TMP")


class EmbeddedServer:
    """The server in the state folder. The first process that needs it starts it; the others find it.

    It ends with the process that started it, and another process then starts it again. Where the system cannot end
    it with its parent (not Linux), it stays, and the next process finds it. Used from one thread, which must live as
    long as the server shall: on Linux, that thread's end is the server's.
    """

    def __init__(self, settings: Settings, state: StateFolder) -> None:
        self._settings = settings
        self._state = state
        self._child: subprocess.Popen[bytes] | None = None
        self._free, self._looked = 0, float("-inf")  # of the disk, and when that was seen
        self._lock: FileLock | None = None  # where a server cannot hold it itself

    async def address(self, failed: EngineAddress | None) -> EngineAddress:
        """Where the server is; it is started if it does not run.

        Args:
            failed: an address that was given before, and does not answer.

        Raises:
            Unusable: it cannot be started.
        """
        try:
            folder = self._folder()
            found = self._found(folder)
            is_ours = self._child is not None and self._child.poll() is None
            if found is not None and (found != failed or is_ours):
                return found
            if not is_ours and not self._start(folder) and found is not None:
                return found
            return await self._started(folder, failed)
        except OSError as error:
            raise Unusable(f"The engine cannot be started: its folder can't be used ({_reason(error)}).") from None

    def disk_bytes(self) -> int:
        """How many bytes the streams may have on disk, as reckoned when it was started."""
        return int((self._folder() / "disk-bytes").read_text())

    def _reckoned(self, folder: Path) -> int:
        """How many bytes it may have on disk: half of what is there at most."""
        used = sum(each.stat().st_size for each in _files(folder / "js"))
        room = (shutil.disk_usage(folder).free + used) // DISK_SHARE
        return max(LEAST_BYTES, min(self._settings.job_disk_bytes, room))

    def has_room(self) -> bool:
        """Whether the disk has room for more jobs. What is needed to end those that there are fits beside that."""
        now = time.monotonic()
        try:
            if now - self._looked >= LOOK_SECONDS:
                self._free, self._looked = shutil.disk_usage(self._folder()).free, now
            return self._free >= SPARE_BYTES
        except OSError:
            return False

    def mend(self) -> None:
        """End a server that stores nothing since its disk was full, now that there is room; it is started again."""
        folder = self._folder()
        with contextlib.suppress(OSError, ValueError):
            if self.has_room() and DISK_FULL in (folder / "server.log").read_text("utf-8", "replace"):
                log.warning("The engine's disk was full; it is started again.")
                os.kill(int((folder / "lock").read_text()), getattr(signal, "SIGKILL", signal.SIGTERM))

    def stop(self) -> None:
        """End the server if this process started it."""
        if self._child is not None:
            _end(self._child)
            self._child = None
        if self._lock is not None:
            self._lock.release()

    def _folder(self) -> Path:
        return private_folder(self._state.path() / FOLDER)

    def _found(self, folder: Path) -> EngineAddress | None:
        """The server that holds the lock, or held it last; whether it still lives is seen by asking it."""
        with contextlib.suppress(OSError, ValueError, LookupError):
            pid = int((folder / "lock").read_text())
            (ports,) = folder.glob(f"*_{pid}.ports")
            url = json.loads(ports.read_text())["nats"][0]
            token = (folder / "token").read_text().strip()
            return EngineAddress(url=url, token=token, server=_name(token))
        return None

    def _start(self, folder: Path) -> bool:
        """Start the server. Returns False where another process is known to have done so."""
        program = find_program(self._settings.nats_server)
        if sys.platform == "win32" and not self._hold(folder):
            return False
        config = self._configured(folder)
        if sys.platform == "win32":
            command = [program, "-c", str(config)]
        else:
            place = [sys.executable, "-I", "-S", child.__file__, str(folder / "lock"), str(os.getpid())]
            command = [*place, program, "-c", str(config)]
        with (folder / "server.log").open("wb") as output:
            try:
                self._child = subprocess.Popen(
                    command,
                    cwd=folder,
                    env={name: os.environ[name] for name in PASSED_ON if name in os.environ},
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,  # Ctrl-C is for the bridge, which ends it last
                )
            except OSError as error:
                raise Unusable(f"The engine cannot be started: {program} ({_reason(error)}).") from None
        if sys.platform == "win32":
            (folder / "lock").write_text(str(self._child.pid))
        return True

    async def _started(self, folder: Path, failed: EngineAddress | None) -> EngineAddress:
        ends = time.monotonic() + START_SECONDS
        while time.monotonic() < ends:
            status = None if self._child is None else self._child.poll()
            found = self._found(folder)
            if found is not None and (found != failed or status == child.TAKEN):  # it runs, in another process's care
                return found
            if status not in (None, child.TAKEN):
                raise self._why_it_ended(folder / "server.log")
            await asyncio.sleep(POLL_SECONDS)
        raise Unusable("The engine does not start.")

    def _why_it_ended(self, output: Path) -> Unusable:
        version = _version(find_program(self._settings.nats_server))
        if version is not None and version < OLDEST:
            found = ".".join(map(str, version))
            return Unusable(f"The program nats-server is version {found}; jobs need 2.11 or newer.", is_lasting=True)
        log.warning("The engine's program ended: %s", _last_words(output))
        return Unusable("The engine cannot be started; the bridge's log says why.")

    def _configured(self, folder: Path) -> Path:
        token = self._state.kept(f"{FOLDER}/token", lambda: secrets.token_hex(24))
        private_folder(folder / "js")
        disk_bytes = self._reckoned(folder)
        _write(folder / "disk-bytes", f"{disk_bytes}\n")
        lines = [
            f"server_name: {_quoted(_name(token))}",
            "listen: 127.0.0.1:-1",
            f"ports_file_dir: {_quoted(folder.as_posix())}",
            "max_payload: 8MB",
            f"authorization {{ token: {_quoted(token)} }}",
            "jetstream {",
            f"  store_dir: {_quoted((folder / 'js').as_posix())}",
            "  sync_interval: always",
            # the streams have limits of their own; while two bridges make one at once, it is counted twice
            f"  max_file_store: {3 * disk_bytes}",
            "}",
        ]
        path = folder / "nats-server.conf"
        _write(path, "\n".join(lines) + "\n")
        return path

    def _hold(self, folder: Path) -> bool:
        """Hold the lock for the server, where it cannot do so itself. Returns False if another process holds it."""
        if self._lock is None:
            self._lock = FileLock(folder / "holder.lock")
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            return False
        return True


def find_program(chosen: Path | None) -> str:
    """The nats-server that is to be started.

    Raises:
        Unusable: there is none.
    """
    found = program_of(chosen)
    if found is None:
        raise Unusable(why_none(chosen), is_lasting=True)
    return found


def _name(token: str) -> str:
    """The name of the server with that token, by which it is told from others at the same port."""
    return f"comfybridge-{hashlib.sha256(token.encode()).hexdigest()[:12]}"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _write(path: Path, text: str) -> None:
    """Write a file that only the user may read, at once for other processes."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.part")
    with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    unfinished.replace(path)


def _files(folder: Path) -> Sequence[Path]:
    return [Path(place, name) for place, _, names in os.walk(folder) for name in names]


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__


def _last_words(path: Path) -> str:
    """The last line that a server wrote before it ended."""
    with contextlib.suppress(OSError):
        lines = path.read_text("utf-8", "replace").strip().splitlines()
        if lines:
            return lines[-1]
    return "without a word"


def _version(program: str) -> tuple[int, int] | None:
    """The version of a nats-server; None if it does not say."""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        said = subprocess.run(
            [program, "--version"], capture_output=True, text=True, timeout=STOP_SECONDS, check=True
        )
        match = re.search(r"v?(\d+)\.(\d+)", said.stdout)
        if match is not None:
            return int(match[1]), int(match[2])
    return None


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(OSError):
        process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()

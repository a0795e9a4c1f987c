"""The folder for what the bridge keeps beyond the life of a process, shared by its processes on one machine."""

from __future__ import annotations

import getpass
import logging
import os
import secrets
import stat
import tempfile
import threading
import uuid
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock, Timeout
from platformdirs import user_state_path

log = logging.getLogger(__name__)

NAME = "comfybridge"
LOCK_SECONDS = 10.0
LINK_KEY = "link-key"
KEY_BYTES = 32


class StateFolder:
    """The state folder. Safe to share between threads, and nothing is made before it is needed.

    Where the folder can't be used, files are kept in the user's own folder for temporary files, with a warning.

    Args:
        chosen: the folder; None: the one that the system intends for the state of the user's programs.
    """

    def __init__(self, chosen: Path | None = None) -> None:
        self._chosen = chosen
        self._found: Path | None = None
        self._lock = threading.Lock()

    def path(self) -> Path:
        """The folder, which exists and can be written to.

        Raises:
            OSError: there is none, not even for temporary files.
        """
        with self._lock:
            if self._found is None or not self._found.is_dir():
                self._found = self._made()
            return self._found

    def kept(self, name: str, make: Callable[[], str]) -> str:
        """The text in a file of the folder. The first process that asks for it makes it, for all others too.

        A file that holds no such text, as after a power failure, is made anew.

        Args:
            name: of the file, which only the user may read.
            make: makes the text, a line of printable characters.

        Raises:
            OSError: it can be neither read nor written.
        """
        path = self.path() / name
        if text := _read(path):
            return text
        try:
            with FileLock(f"{path}.lock", timeout=LOCK_SECONDS):
                if text := _read(path):
                    return text
                text = make()
                _write(path, text)
                return text
        except Timeout:
            raise TimeoutError(f"{path.name} is locked by another process") from None

    def has(self, name: str) -> bool:
        """Whether there is a file or folder of that name, without making the folder that it would lie in."""
        return (self.intended / name).exists()

    @property
    def intended(self) -> Path:
        """The folder that is used if it can be; it may not be there yet."""
        return self._found or self._chosen or user_state_path(NAME, appauthor=False)

    def _made(self) -> Path:
        folder = self.intended
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
        except OSError as error:
            instead = private_temporary_folder()
            log.warning(
                "The state folder %s can't be used (%s); %s is used instead, which may be emptied at any time. "
                "COMFYBRIDGE_STATE_DIR names another.",
                folder,
                error.strerror or error,
                instead,
            )
            return instead
        return folder


def link_key(folder: StateFolder, chosen: str | None) -> str:
    """The key that links are signed with: the chosen one, or the one in the state folder, drawn once.

    Without any folder, it is drawn for this process only, with a warning.
    """
    if chosen is not None:
        return chosen
    try:
        return folder.kept(LINK_KEY, lambda: secrets.token_hex(KEY_BYTES))
    except OSError as error:
        log.warning("Links to files work in this process only, until it ends: their key can't be kept (%s).", error)
        return secrets.token_hex(KEY_BYTES)


def private_temporary_folder() -> Path:
    """The user's own folder below the folder for temporary files, made if it is not there.

    Raises:
        OSError: there is none, or another user has made it.
    """
    user = os.getuid() if hasattr(os, "getuid") else getpass.getuser()
    return private_folder(Path(tempfile.gettempdir()) / f"{NAME}-{user}")


def private_folder(folder: Path) -> Path:
    """A folder that no other user can write to, made if it is not there.

    Raises:
        OSError: it can't be made, or belongs to another user.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or (hasattr(os, "getuid") and found.st_uid != os.getuid()):
        raise PermissionError(f"{folder.name} belongs to another user")
    return folder


def _read(path: Path) -> str:
    """The line in a file; "" if there is none."""
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (FileNotFoundError, UnicodeDecodeError):
        return ""
    return text if text.isprintable() else ""


def _write(path: Path, text: str) -> None:
    """Write a file that only the user may read, at once for other processes."""
    unfinished = path.with_name(f".{uuid.uuid4().hex}.part")
    try:
        with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(f"{text}\n")
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)

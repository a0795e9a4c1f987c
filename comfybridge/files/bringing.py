"""Brings stored files into ComfyUI's input folder, streamed, and only where they are not there already."""

from __future__ import annotations

import threading
from weakref import WeakValueDictionary

from comfybridge.comfyui.client import ComfyUIClient
from comfybridge.deadline import Deadline
from comfybridge.errors import FileUnusable, TimedOut
from comfybridge.files.stored import StoredInput


class Bringer:
    """Brings each file to a server once, also if several requests need it at the same time. Safe to share between
    threads.
    """

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[tuple[ComfyUIClient, str], threading.Lock] = WeakValueDictionary()
        self._lock = threading.Lock()

    def bring(self, file: StoredInput, client: ComfyUIClient, deadline: Deadline) -> str:
        """See that a server has a file.

        Returns:
            Its name for inputs of nodes; another one than the file's if that name was taken by other bytes.

        Raises:
            LookupError: the file's bytes can't be had.
            TooLarge: the server takes no files of that size.
            ComfyUIUnreachable, ComfyUIError, TimedOut: it could not be brought.
        """
        with self._lock:
            lock = self._locks.setdefault((client, file.name), threading.Lock())
        if not lock.acquire(timeout=max(0.0, deadline.remaining())):
            raise TimedOut("The time was up while an input file was being brought to ComfyUI.")
        try:
            if client.has_input(file.name, deadline) == file.size:
                return file.name
            subfolder, _, name = file.name.rpartition("/")
            return client.upload_stream(name, file.chunks(), file.size, subfolder, deadline)
        except FileUnusable as error:
            raise LookupError("what is there is something else") from error
        finally:
            lock.release()

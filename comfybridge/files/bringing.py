"""Brings stored files into ComfyUI's input folder, streamed, and only where they are not there already."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable
from typing import Any
from weakref import WeakValueDictionary

from comfybridge.comfyui.client import ComfyUIClient
from comfybridge.deadline import Deadline
from comfybridge.errors import FileUnusable, MissingAsset, TimedOut
from comfybridge.files.stored import OutOfReach, StoredInput
from comfybridge.workflow.graph import Graph
from comfybridge.workflow.parameters import Target
from comfybridge.workflow.wording import clip


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
            with contextlib.ExitStack() as opened:
                chunks = file.chunks()
                opened.callback(getattr(chunks, "close", lambda: None))
                return client.upload_stream(name, chunks, file.size, subfolder, deadline)
        except FileUnusable as error:
            raise LookupError("what is there is something else") from error
        finally:
            lock.release()


def missing(file: StoredInput, targets: Iterable[Target], graph: Graph, error: LookupError) -> MissingAsset:
    """The error for a file whose bytes can't be had.

    Args:
        targets: the inputs that it is for.
    """
    fate = "on a ComfyUI that does not answer" if isinstance(error, OutOfReach) else "gone; upload it again"
    target = next(iter(targets), None)
    if target is None:
        return MissingAsset(f"The bytes of the asset {clip(file.shown)} are {fate}.")
    where = f"{target.input} of node {target.node} ({graph[target.node]['class_type']})"
    sentence = f"The bytes of the asset {clip(file.shown)}, which is for {clip(where)}, are {fate}."
    return MissingAsset(sentence, field=f"{target.node}.{target.input}")


def rename(graph: Graph, name: str, new: str) -> None:
    """Put another name for a file into a graph, wherever it stands, also within lists and objects."""
    for node in graph.values():
        node["inputs"] = _renamed(node["inputs"], name, new)


def _renamed(value: Any, name: str, new: str) -> Any:
    """A value with another name for a file, wherever it stands in it."""
    if isinstance(value, dict):
        return {key: _renamed(each, name, new) for key, each in value.items()}
    if isinstance(value, list):
        return [_renamed(each, name, new) for each in value]
    return new if value == name else value

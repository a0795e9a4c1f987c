"""Opens the stored files of a job where they are: in the engine, or in the input folder of a ComfyUI."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator

from comfybridge.comfyui.servers import Servers
from comfybridge.deadline import Deadline
from comfybridge.engine.engine import Engine
from comfybridge.errors import ComfyUIUnreachable, EngineUnreachable, FileUnusable
from comfybridge.files.stored import SUBFOLDER, InEngine, InFolder, OpenPlace, OutOfReach, Place

AWAY_SECONDS = 60.0  # for which the only ComfyUI that has a file is waited for: it may be restarting
LOOK_SECONDS = 1.0

# Makes a call until the engine answers.
Persist = Callable[[Callable[[], "bytes | None"]], "bytes | None"]


def opener(
    engine: Engine, servers: Servers, deadline: Deadline, persist: Persist, pause: Callable[[float], None]
) -> OpenPlace:
    """What opens stored files for an agent.

    Args:
        deadline: by when all bytes must have come.
        persist: makes the calls to the engine.
        pause: waits so many seconds, and raises an error if the job is not to go on.
    """

    def open_place(place: Place) -> Iterable[bytes]:
        if isinstance(place, InEngine):
            return _from_engine(engine, place, persist)
        return _from_folder(servers, place, deadline, pause)

    return open_place


def _from_engine(engine: Engine, place: InEngine, persist: Persist) -> Iterator[bytes]:
    sent = 0
    chunks = engine.read_blob(place.id, place.name)

    def next_chunk() -> bytes | None:
        nonlocal chunks
        try:
            return next(chunks, None)
        except EngineUnreachable:
            chunks = engine.read_blob(place.id, place.name, sent)
            raise

    while (chunk := persist(next_chunk)) is not None:
        sent += len(chunk)
        yield chunk


def _from_folder(
    servers: Servers, place: InFolder, deadline: Deadline, pause: Callable[[float], None]
) -> Iterable[bytes]:
    """The bytes of a file in the input folder of a ComfyUI, or of another one to which it has been brought."""
    until = time.monotonic() + AWAY_SECONDS
    while True:
        is_out_of_reach = False
        for server in sorted(servers.all, key=lambda each: each.url != place.server):
            try:
                return server.client.view(place.name, SUBFOLDER, "input", deadline)
            except FileUnusable:
                pass
            except ComfyUIUnreachable:
                is_out_of_reach = True
        if not is_out_of_reach:
            raise LookupError("no ComfyUI has it")
        if time.monotonic() >= until:
            raise OutOfReach("a ComfyUI does not answer")
        pause(LOOK_SECONDS)

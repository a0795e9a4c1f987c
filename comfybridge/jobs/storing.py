"""Stores the files that a job has made, so that they outlive the ComfyUI that made them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator

from comfybridge.engine.engine import Engine, Full
from comfybridge.errors import BridgeError, Busy, ComfyUIError
from comfybridge.jobs.job import Job
from comfybridge.jobs.results import Stored, has_file, run_prefix
from comfybridge.request import Generation, Output

FULL = (
    "The store for the files of jobs is full, so the outputs could not be kept; it holds what "
    "COMFYBRIDGE_JOB_DISK_BYTES allows, until results expire."
)
FULL_RETRY_SECONDS = 60
SPARE_SECONDS = 60  # a file is stored before its job has ended, and is to last as long as the result


class StoreFull(Busy):
    """The files of a job could not be kept."""


def store(
    generation: Generation, job: Job, run: str, engine: Engine, check_goes_on: Callable[[], None]
) -> dict[int, Stored]:
    """Store the files of a job as ComfyUI made them, one after another, without holding one in memory.

    Args:
        run: as `results.record_of` takes it.
        check_goes_on: called between the chunks of a file; what it raises ends the storing.

    Returns:
        What became of each file.

    Raises:
        StoreFull
        EngineUnreachable
        ComfyUIUnreachable, TimedOut: ComfyUI does not answer any more.
        ComfyUIError: none of the outputs could be had.
    """
    stored: dict[int, Stored] = {}
    for number, output in enumerate(generation.outputs):
        if has_file(output):
            stored[number] = _store(output, job, f"{run_prefix(run)}{number}", engine, check_goes_on)
    failed = [each.error for each in stored.values() if each.error is not None]
    if failed and len(failed) == len(generation.outputs):
        raise failed[0]
    return stored


def _store(output: Output, job: Job, name: str, engine: Engine, check_goes_on: Callable[[], None]) -> Stored:
    try:
        with output.source() as file:
            return Stored(
                engine.put_blob(job.id, name, _checked(file, check_goes_on), ttl=job.expires + SPARE_SECONDS)
            )
    except Full:
        with contextlib.suppress(BridgeError):  # an agent may have no right to; it expires
            engine.drop_blobs(job.id, name)
        raise StoreFull(FULL, retry_after=FULL_RETRY_SECONDS) from None
    except ComfyUIError as error:  # of this file; the others may be fine
        return Stored(error=_plain(error))


def _checked(chunks: Iterable[bytes], check_goes_on: Callable[[], None]) -> Iterator[bytes]:
    for chunk in chunks:
        check_goes_on()
        yield chunk


def _plain(error: BridgeError) -> BridgeError:
    error.__traceback__ = None  # its frames hold the file
    return error

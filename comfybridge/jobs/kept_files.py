"""The files that are kept for jobs, as their results name them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from comfybridge.deadline import Deadline
from comfybridge.engine.engine import Engine
from comfybridge.errors import FileUnusable
from comfybridge.jobs.job import Result
from comfybridge.jobs.results import blob_name, generation_of
from comfybridge.request import Generation, KeptFile, Output, OutputOptions


def kept_generation(
    engine: Engine, result: Result, deadline: Deadline, options: OutputOptions | None = None
) -> Generation:
    """The generation of a kept job that succeeded, as `generation_of` makes it."""
    return generation_of(result, lambda number: _chunks(engine, result, number), deadline, options)


def kept_output(engine: Engine, result: Result, kept: KeptFile, deadline: Deadline) -> Output:
    """The output that a kept file is.

    Raises:
        FileUnusable: the result has no such output.
    """
    generation = kept_generation(engine, result, deadline, replace(kept.options, nodes=None))
    if not 0 <= kept.number < len(generation.outputs):
        raise FileUnusable(f"The result of job {result.id} has no output {kept.number}.")
    return generation.outputs[kept.number]


def _chunks(engine: Engine, result: Result, number: int) -> Iterator[bytes]:
    try:
        yield from engine.read_blob(result.id, blob_name(result, number))
    except LookupError:
        raise FileUnusable(f"The files of job {result.id} are no longer kept.") from None

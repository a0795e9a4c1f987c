"""What a prompt has made, as a record, and as a `Generation` again.

Files lie apart, as ComfyUI made them; they are converted where they are read, as those of a blocking request are.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import partial
from typing import Any

from comfybridge.deadline import Deadline
from comfybridge.errors import BridgeError
from comfybridge.expected_size import ExpectedSize
from comfybridge.jobs.errors import error_from_dict, error_to_dict
from comfybridge.jobs.job import Result
from comfybridge.prompts.outputs import conversion_of
from comfybridge.request import (
    Generation,
    GenerationRequest,
    KeptFile,
    LoadedFile,
    OpenFile,
    Output,
    OutputOptions,
    Timings,
)

LONGEST_TEXT = 32_000  # characters that a record has of one output
# Opens the file of an output, by its number; the iterator is closed when it is not read to its end.
OpenNumber = Callable[[int], Iterable[bytes]]


@dataclass(frozen=True)
class Stored:
    """What became of an output's file.

    Attributes:
        size: in bytes; None if unknown.
        error: why it could not be had.
    """

    size: int | None = None
    error: BridgeError | None = None


def record_of(
    generation: Generation, request: GenerationRequest, run: str, stored: Mapping[int, Stored] | None = None
) -> dict[str, Any]:
    """The record of a generation, without its files.

    Args:
        run: distinguishes the run from others of the same job, which may be under way elsewhere.
        stored: what is known of its files, by the number of the output.
    """
    known = stored or {}
    outputs = [_output_to_dict(each, known.get(number, Stored())) for number, each in enumerate(generation.outputs)]
    return {
        "run": run,
        "outputs": outputs,
        "parts": [_part_to_dict(each) for each in generation.parts],
        "warnings": list(generation.warnings),
        "timings": asdict(generation.timings),
        "options": asdict(request.output),
        "with_image": request.wants_first_image,
    }


def has_file(output: Output) -> bool:
    """Whether an output has bytes that are not in its record."""
    return output.type != "" or _is_long(output)


def run_prefix(run: str) -> str:
    """How the names of the blobs of a run begin."""
    return f"out-{run}-"


def blob_name(result: Result, number: int) -> str:
    """The name of the blob that is the file of an output."""
    return f"{run_prefix((result.generation or {}).get('run', ''))}{number}"


def options_of(result: Result) -> OutputOptions:
    """How the request of a job wants its outputs to be returned."""
    told = _known(OutputOptions, (result.generation or {}).get("options") or {})
    if told.get("nodes") is not None:
        told["nodes"] = tuple(told["nodes"])
    return OutputOptions(**told)


def wants_first_image(result: Result) -> bool:
    """Whether the answer also has the first image in a field of its own."""
    return bool((result.generation or {}).get("with_image"))


def generation_of(
    result: Result, open_number: OpenNumber, deadline: Deadline, options: OutputOptions | None = None
) -> Generation:
    """The generation of a job that succeeded. No file is fetched yet: its outputs do that when they are read.

    Args:
        open_number: opens the file of an output.
        options: how to return the outputs; None: as the request asked.
    """
    record = result.generation
    assert record is not None
    chosen = options_of(result) if options is None else options
    outputs = [_output_of(told, result, number, open_number, chosen) for number, told in enumerate(record["outputs"])]
    timings = _timings_of(record["timings"])
    begins, parts = 0, []
    for told in record["parts"]:
        ends = begins + told["outputs"]
        parts.append(_part_of(told, outputs[begins:ends], deadline, chosen))
        begins = ends
    if chosen.nodes is not None:
        outputs = [each for each in outputs if each.node_id in chosen.nodes]
    return Generation(
        prompt_id=parts[0].prompt_id,
        outputs=outputs,
        seed=parts[0].seed,
        params=parts[0].params,
        warnings=list(record["warnings"]),
        timings=timings,
        started=time.monotonic() - timings.total,
        deadline=deadline,
        size=parts[0].size,
        of_prompts=tuple(parts) if len(parts) > 1 else (),
    )


def _part_to_dict(part: Generation) -> dict[str, Any]:
    return {
        "prompt_id": part.prompt_id,
        "outputs": len(part.outputs),
        "seed": part.seed,
        "params": part.params,
        "warnings": list(part.warnings),
        "timings": asdict(part.timings),
        "size": None if part.size is None else asdict(part.size),
    }


def _part_of(
    told: Mapping[str, Any], outputs: Sequence[Output], deadline: Deadline, options: OutputOptions
) -> Generation:
    timings, size = _timings_of(told["timings"]), told.get("size")
    expected = None if size is None else ExpectedSize(**{**_known(ExpectedSize, size), "max_size": options.max_size})
    return Generation(
        prompt_id=told["prompt_id"],
        outputs=[each for each in outputs if options.nodes is None or each.node_id in options.nodes],
        seed=told["seed"],
        params=told["params"],
        warnings=list(told["warnings"]),
        timings=timings,
        started=time.monotonic() - timings.total,
        deadline=deadline,
        size=expected,
    )


def _output_to_dict(output: Output, stored: Stored) -> dict[str, Any]:
    told: dict[str, Any] = {
        "node_id": output.node_id,
        "kind": output.kind,
        "filename": output.filename,
        "subfolder": output.subfolder,
        "type": output.type,
        "media_type": output.media_type,
        "text": None if _is_long(output) else output.text,
        "is_long": _is_long(output),
        "size": stored.size,
    }
    if stored.error is not None:
        told["error"] = error_to_dict(stored.error)
    return told


def _output_of(
    told: Mapping[str, Any], result: Result, number: int, open_number: OpenNumber, options: OutputOptions
) -> Output:
    media_type, filename, text = told["media_type"], told["filename"], told.get("text")
    if told.get("is_long"):
        text = b"".join(open_number(number)).decode(errors="replace")
    output = Output(
        node_id=told["node_id"],
        kind=told["kind"],
        filename=filename,
        subfolder=told["subfolder"],
        type=told["type"],
        media_type=media_type,
        source=partial(_open, told, partial(open_number, number)),
        text=text,
    )
    if output.type == "":
        output.source = partial(OpenFile.of, LoadedFile((text or "").encode(), media_type, filename))
        return output
    output.convert = conversion_of(output.kind, options)
    if result.kind == "kept":
        output.kept = KeptFile(result.id, number, filename, result.expires_at, options)
    return output


def _open(told: Mapping[str, Any], open_file: Callable[[], Iterable[bytes]]) -> OpenFile:
    """Begin to read a file.

    Raises:
        BridgeError: it could not be had when the prompt ended, or can't be had now.
    """
    if told.get("error") is not None:
        raise error_from_dict(told["error"])
    chunks = open_file()
    close = getattr(chunks, "close", lambda: None)
    return OpenFile(
        told["media_type"], told["filename"], chunks, size=getattr(chunks, "size", told.get("size")), close=close
    )


def _is_long(output: Output) -> bool:
    return output.text is not None and len(output.text) > LONGEST_TEXT


def _timings_of(told: Mapping[str, Any]) -> Timings:
    return Timings(told.get("queued"), told.get("executing"), told.get("total") or 0.0)


def _known(kind: type, told: Mapping[str, Any]) -> dict[str, Any]:
    """Those values that a dataclass of this version has."""
    names = {each.name for each in fields(kind)}
    return {name: value for name, value in told.items() if name in names}

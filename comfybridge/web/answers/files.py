"""A generation as the bytes of one of its files, or as a zip of all."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from comfybridge.errors import InvalidRequest, NotAcceptable
from comfybridge.expected_size import size_warnings
from comfybridge.files.delivery import DeliveredFile, Delivery
from comfybridge.request import Generation, Output
from comfybridge.saving import safe_name
from comfybridge.web.answers.negotiation import Wanted
from comfybridge.web.answers.sending import Body, Content, Streamed
from comfybridge.web.answers.warnings import HEADER as WARNINGS
from comfybridge.web.answers.warnings import warnings_header
from comfybridge.web.answers.zipping import zip_chunks, zip_in_memory, zip_length


def file_content(generation: Generation, wanted: Wanted, index: int) -> Content:
    """The bytes of one file, with all other facts in headers.

    Args:
        index: which of the files of the wanted kind, counted from 0; an unusable first one gives way to the next.

    Raises:
        NotAcceptable: the workflow made nothing of that kind.
        InvalidRequest: it made fewer files than that.
        ComfyUIError, ComfyUIUnreachable, TimedOut: it could not be fetched.
    """
    files = [output for output in generation.outputs if output.kind == wanted.kind]
    if not files:
        kinds = ", ".join(sorted({output.kind for output in generation.outputs}))
        raise NotAcceptable(
            f"The workflow made no {wanted.kind}, but {kinds}; GET /results/{generation.prompt_id} still has it, as "
            "application/json or application/zip.",
            prompt_id=generation.prompt_id,
        )
    if index >= len(files):
        raise InvalidRequest(
            f"index is {index}, but the workflow made {len(files)} of kind {wanted.kind}; the first has index 0.",
            prompt_id=generation.prompt_id,
            field="index",
        )
    delivery = _first_usable(files) if index == 0 else Delivery([files[index]])
    [file] = delivery.files
    if not wanted.takes(file.media_type):
        delivery.close()
        raise NotAcceptable(
            f"The workflow's {wanted.kind} is {file.media_type}, which Accept ({wanted.accept.text[:200]!r}) does "
            f"not allow; GET /results/{generation.prompt_id} still has it.",
            prompt_id=generation.prompt_id,
        )
    body = file.data if file.data is not None else Streamed(delivery.chunks(file), file.size, delivery, generation)
    headers = {"Content-Disposition": disposition("inline", file.filename)}
    # with several nodes, another picture may have the requested size
    measured = delivery.files if len({each.node_id for each in generation.images}) == 1 else []
    return Content(body, file.media_type, headers | _facts(generation, delivery, measured))


def zip_content(generation: Generation) -> Content:
    """All files and texts in a zip, each under its own name.

    Raises:
        ComfyUIError, ComfyUIUnreachable, TimedOut: a file could not be fetched.
    """
    delivery = Delivery(generation.outputs)
    body: Body
    if delivery.is_in_memory:
        body = zip_in_memory(delivery)
    else:
        body = Streamed(zip_chunks(delivery), zip_length(delivery), delivery, generation)
    headers = {"Content-Disposition": disposition("attachment", f"{generation.prompt_id}.zip")}
    return Content(body, "application/zip", headers | _facts(generation, delivery, delivery.files))


def _first_usable(outputs: Sequence[Output]) -> Delivery:
    """The first of the files that is not unusable; raises what `Delivery` raises."""
    warnings: list[str] = []
    for output in outputs[:-1]:
        delivery = Delivery([output], has_more=True)
        warnings += delivery.warnings
        if delivery.files:
            break
    else:
        delivery = Delivery(outputs[-1:])
    delivery.warnings = warnings
    return delivery


def disposition(kind: str, filename: str) -> str:
    """The header that names a file: in ASCII for all clients, and unchanged for those that support RFC 6266.

    Args:
        kind: `inline` or `attachment`.
    """
    name = safe_name(filename)
    plain = name.encode("ascii", "replace").decode("ascii").replace("?", "_")
    header = f'{kind}; filename="{plain}"'
    return header if plain == name else f"{header}; filename*=UTF-8''{quote(name, safe='')}"


def _facts(generation: Generation, delivery: Delivery, measured: list[DeliveredFile]) -> dict[str, str]:
    """Headers with the facts that JSON would contain, as far as they are known by now.

    Args:
        measured: the files of which one should have the requested size.
    """
    headers: dict[str, str] = {}
    if generation.seed is not None:
        headers["X-Seed"] = str(generation.seed)
    warnings = [*generation.warnings, *delivery.warnings]
    warnings += (warning for file in delivery.files for warning in file.warnings)
    warnings += size_warnings(generation.size, [file.pixels for file in measured if file.pixels])
    if warnings:
        headers[WARNINGS] = warnings_header(warnings)
    return headers

"""The outputs of jobs as assets: their ids name the job, and the place among its outputs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from comfybridge.assets.asset import Asset, Content
from comfybridge.files.stored import InEngine
from comfybridge.jobs.job import Result
from comfybridge.jobs.results import blob_name
from comfybridge.media import suffix_of
from comfybridge.saving import safe_name

_OUTPUT_ID = re.compile(r"([A-Za-z0-9_-]{1,100})-(0|[1-9][0-9]{0,5})")


def output_id(job_id: str, number: int) -> str:
    """The id of an output as an asset."""
    return f"{job_id}-{number}"


def parse_output_id(asset_id: str) -> tuple[str, int] | None:
    """The job and the number of an output; None if the id is not that of an output."""
    found = _OUTPUT_ID.fullmatch(asset_id)
    return None if found is None else (found[1], int(found[2]))


def outputs_in(result: Result) -> list[Mapping[str, Any]]:
    """What is recorded of the outputs of a job that has ended."""
    return [] if result.generation is None else list(result.generation["outputs"])


def output_asset(result: Result, number: int, told: Mapping[str, Any]) -> Asset:
    """An output as an asset.

    Args:
        told: what is recorded of it.
    """
    text = None if told["type"] or told.get("is_long") else (told.get("text") or "").encode()
    place = None
    if text is None and told.get("error") is None:
        place = InEngine(result.id, blob_name(result, number))
    name = safe_name(told["filename"]) if told["filename"] else f"{output_id(result.id, number)}.txt"
    content = Content(
        hash=None,
        size=len(text) if text is not None else told.get("size") or 0,
        name=f"{output_id(result.id, number)}.{suffix_of(b'', name) or 'bin'}",
        place=place,
        until=result.expires_at,
        text=text,
    )
    return Asset(
        id=output_id(result.id, number),
        owner=result.owner,
        content=content,
        content_type=told["media_type"],
        file_path=name,
        created=result.ended,
        expires=result.expires_at,
        job_id=result.id,
    )

"""The note that the bridge leaves with each prompt in ComfyUI's own queue and history.

ComfyUI keeps a prompt's `extra_data` for as long as it knows the prompt. The bridge writes there what it needs to
answer for the prompt later, so that any of its processes can do so, even after a restart, without a store of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter, ValidationError

from comfybridge.comfyui.extra_data import note_of, with_note
from comfybridge.errors import InvalidRequest
from comfybridge.media import parse_color
from comfybridge.request import OutputOptions


@dataclass(frozen=True)
class Record:
    """What the caller asked for with a prompt. The defaults describe a prompt queued by another client.

    Attributes:
        seed: the seed that is used, if the graph has one.
        params: the parameters that are used.
        output: how to return the outputs.
        warnings: those that were known before ComfyUI had the graph.
        queued_at: when it was queued, in seconds since 1970; None if unknown.
        with_image: whether the answer gives the first image as `image` too.
        owner: the name of the caller's API key; None without keys.
        fingerprint: distinguishes the request from others with the same `Idempotency-Key`.
    """

    seed: int | None = None
    params: dict[str, Any] = field(default_factory=dict)
    output: OutputOptions = field(default_factory=OutputOptions)
    warnings: list[str] = field(default_factory=list)
    queued_at: float | None = None
    with_image: bool = False
    owner: str | None = None
    fingerprint: str | None = None

    def to_extra_data(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The caller's `extra_data` with this record in it, which replaces anything that the caller put there."""
        return with_note(given, {**vars(self), "output": vars(self.output)})

    @classmethod
    def from_extra_data(cls, extra_data: object) -> Record:
        """The record in `extra_data`; an empty one if there is none that is valid."""
        try:
            record = _ADAPTER.validate_python(note_of(extra_data))
        except ValidationError:
            return cls()
        return record if _is_sane(record.output) else cls()


_ADAPTER = TypeAdapter(Record)


def _is_sane(output: OutputOptions) -> bool:
    """Whether the options could have come from a request: any client of ComfyUI can write to `extra_data`."""
    try:
        parse_color(output.background)
    except InvalidRequest:
        return False
    return 1 <= output.quality <= 100 and (output.max_size is None or output.max_size >= 1)

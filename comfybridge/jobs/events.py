"""What an agent tells of a job while it runs, as bytes."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict
from typing import Any

from comfybridge.prompts.progress import Preview, Progress, Queued

Heard = Queued | Progress | Preview

_KINDS: dict[str, type[Any]] = {"queued": Queued, "progress": Progress, "preview": Preview}

log = logging.getLogger(__name__)


def event_to_bytes(event: Heard) -> bytes:
    """An event as a line of JSON, with the bytes of a preview's picture behind it."""
    fields, data = asdict(event), b""
    if isinstance(event, Preview):
        data = fields.pop("data")
    name = next(name for name, kind in _KINDS.items() if isinstance(event, kind))
    return json.dumps({"event": name, **fields}, separators=(",", ":")).encode() + b"\n" + data


def event_from_bytes(sent: bytes) -> Heard | None:
    """The event of `event_to_bytes`; None if it makes no sense, as from an agent of another version."""
    line, _, data = sent.partition(b"\n")
    try:
        fields = json.loads(line)
        kind = _KINDS[fields.pop("event")]
        if kind is Preview:
            fields["data"] = data
        if kind is Queued:
            fields["prompt_ids"] = tuple(fields.get("prompt_ids", ()))
        names = kind.__dataclass_fields__
        heard: Heard = kind(**{name: value for name, value in fields.items() if name in names})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        log.debug("An event of a job can't be read: %r", error)
        return None
    return heard

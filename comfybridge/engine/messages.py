"""What is stored in the engine, and how storing fails."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from comfybridge.errors import BridgeError, InternalError, error_classes

ERROR = "Comfybridge-Error"


class Conflict(Exception):
    """The last message on the subject is not the expected one."""


class Full(Exception):
    """The stream, or the disk, has no room for the message."""


@dataclass(frozen=True)
class Message:
    """A message of a stream.

    Attributes:
        at: when the engine stored it, by its clock, in seconds since 1970.
    """

    subject: str
    data: bytes
    sequence: int
    at: float
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


def error_message(error: BridgeError) -> tuple[bytes, dict[str, str]]:
    """An error as a message: its data and its headers."""
    kept = {
        "message": error.message,
        "retry_after": error.retry_after,
        "lacks": error.lacks,
        "field": error.field,
        "prompt_id": error.prompt_id,
        "node": error.node,
        "node_errors": error.node_errors,
    }
    data = json.dumps({name: value for name, value in kept.items() if value is not None}).encode()
    return data, {ERROR: error.type}


def error_in(data: bytes, headers: Mapping[str, str]) -> BridgeError | None:
    """The error that a message is, if it is one."""
    if ERROR not in headers:
        return None
    kind = error_classes().get(headers[ERROR], InternalError)
    try:
        return kind(**json.loads(data))
    except (ValueError, TypeError):
        return InternalError("An agent sent an error that cannot be read.")

"""Errors as a job's result keeps them."""

from __future__ import annotations

from typing import Any

from comfybridge.errors import BridgeError, error_classes

_DETAILS = ("prompt_id", "node", "node_errors", "retry_after", "lacks", "field")


def error_to_dict(error: BridgeError) -> dict[str, Any]:
    """An error as JSON: its type, message, and those details that it has."""
    details = {name: getattr(error, name) for name in _DETAILS}
    return {"type": error.type, "message": error.message} | {
        name: value for name, value in details.items() if value is not None
    }


def error_from_dict(kept: dict[str, Any]) -> BridgeError:
    """The error again. A type that this version does not know becomes a plain BridgeError."""
    kind = error_classes().get(str(kept.get("type")), BridgeError)
    details = {name: kept[name] for name in _DETAILS if name in kept}
    return kind(str(kept.get("message", "The job failed.")), **details)

"""ComfyUI's websocket frames, as typed events.

They follow ComfyUI's server.py (`send_json`, `send_image`, `send_image_with_metadata`, `send_progress_text`) and
protocol.py (`BinaryEventTypes`). Frames of an unknown kind or shape become `Unknown`: newer versions add events, and
custom nodes send their own.
"""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from comfybridge.json_size import MOST_VALUES_OF_COMFYUI, holds_too_much

IMAGE, TEXT, IMAGE_WITH_METADATA = 1, 3, 4
LEGACY_IMAGE_TYPES = {1: "image/jpeg", 2: "image/png"}

# It becomes the media type of an answer, so it must be valid in a header, and not that of a web page.
_IMAGE_TYPE = re.compile(r"image/(?!svg)[a-z0-9.+-]{1,40}")
# More of a node's error message would be of no use, and cleaning it would delay all events.
LONGEST_MESSAGE = 20_000
LATEST_TIMESTAMP = 10**15  # milliseconds: some 30,000 years

# The first frame sent on every socket, so that images arrive with their prompt and node (event 4 instead of 1).
FEATURE_FLAGS = json.dumps({"type": "feature_flags", "data": {"supports_preview_metadata": True}})


@dataclass(frozen=True)
class Event:
    """A frame from the websocket."""


@dataclass(frozen=True)
class Unknown(Event):
    """A frame of a kind or shape that the bridge does not know."""

    type: str


@dataclass(frozen=True)
class Status(Event):
    """Sent to every socket whenever the queue changes."""

    queue_remaining: int


@dataclass(frozen=True)
class PromptEvent(Event):
    """An event that is about one prompt."""

    prompt_id: str


@dataclass(frozen=True)
class ExecutionStart(PromptEvent):
    """The prompt's turn has come. `timestamp` is ComfyUI's wall clock, in milliseconds."""

    timestamp: int | None


@dataclass(frozen=True)
class ExecutionCached(PromptEvent):
    """These nodes need not run again."""

    nodes: tuple[str, ...]


@dataclass(frozen=True)
class Executing(PromptEvent):
    """A node begins; None: the prompt is over and its history is written."""

    node: str | None
    display_node: str | None


@dataclass(frozen=True)
class Progress(PromptEvent):
    """A node is at step `value` of `max`."""

    node: str | None
    value: float
    max: float


@dataclass(frozen=True)
class NodeProgress:
    """One node's part in a `ProgressState`; `state` is `running`, `finished` or `error`."""

    display_node: str
    value: float
    max: float
    state: str


@dataclass(frozen=True)
class ProgressState(PromptEvent):
    """The state of every node that has begun, by its id."""

    nodes: Mapping[str, NodeProgress]


@dataclass(frozen=True)
class Executed(PromptEvent):
    """A node has something to show. `output` is `{kind: [...]}`; empty if it has nothing after all."""

    node: str
    display_node: str
    output: Mapping[str, Any]


@dataclass(frozen=True)
class ExecutionSuccess(PromptEvent):
    """The prompt ran to its end; its history entry is written a moment later."""

    timestamp: int | None


@dataclass(frozen=True)
class ExecutionError(PromptEvent):
    """A node failed. Not the end if `exception_type` is `ExecutionBlocked`."""

    node_id: str
    node_type: str
    exception_type: str
    exception_message: str

    @property
    def is_block(self) -> bool:
        """Whether a node only kept its successors from running; the prompt goes on without them."""
        return self.exception_type == "ExecutionBlocked"


@dataclass(frozen=True)
class ExecutionInterrupted(PromptEvent):
    """The prompt was interrupted."""

    node_id: str
    node_type: str


@dataclass(frozen=True)
class Image(Event):
    """A sampler's preview, or a finished image of a `SaveImageWebsocket` node, depending on the node's class.

    `prompt_id` and `node` are None in frames without metadata; such an image belongs to the node last announced
    by `Executing` on the same socket.
    """

    media_type: str
    data: bytes
    prompt_id: str | None = None
    node: str | None = None


@dataclass(frozen=True)
class ProgressText(Event):
    """A node's text about its progress."""

    node: str
    text: str


def parse_text(frame: str | bytes) -> Event:
    """The event in a text frame; never raises."""
    try:
        message = _json(frame)
        kind, data = message["type"], message["data"]
        return event_of(kind, data)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        return Unknown("malformed")


def event_of(kind: str, data: Mapping[str, Any]) -> Event:
    """The event for a type and its data, as in a frame or in a history entry's `status.messages`.

    Raises:
        KeyError, TypeError, ValueError, AttributeError, OverflowError: the data is not of the known shape.
    """
    if kind == "status":
        return Status(int(_number(data["status"]["exec_info"]["queue_remaining"])))
    parser = _PARSERS.get(kind)
    if parser is None or not isinstance(data.get("prompt_id"), str):
        # `executing` without a prompt id is sent to a client that connects while its own prompt runs
        return Unknown(str(kind))
    return parser(data["prompt_id"], data)


def parse_binary(frame: bytes) -> Event:
    """The event in a binary frame: four bytes of its number (big-endian), then its data; never raises."""
    try:
        (number,) = struct.unpack_from(">I", frame)
        if number == IMAGE:
            (image_type,) = struct.unpack_from(">I", frame, 4)
            return _image(LEGACY_IMAGE_TYPES.get(image_type, "image/jpeg"), frame[8:], None, None)
        if number == IMAGE_WITH_METADATA:
            (length,) = struct.unpack_from(">I", frame, 4)
            metadata = _json(frame[8 : 8 + length])
            node = _node(metadata["node_id"])
            return _image(metadata["image_type"], frame[8 + length :], metadata["prompt_id"], node)
        if number == TEXT:
            (length,) = struct.unpack_from(">I", frame, 4)
            return ProgressText(frame[8 : 8 + length].decode(), frame[8 + length :].decode())
        return Unknown(f"binary {number}")
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError, struct.error):
        return Unknown("malformed")


def _json(text: str | bytes) -> Any:
    if holds_too_much(text, MOST_VALUES_OF_COMFYUI):
        raise ValueError("more values than any event has")
    return json.loads(text if isinstance(text, str) else text.decode())  # of bytes, it would guess the encoding


def _image(media_type: Any, data: bytes, prompt_id: Any, node: str | None) -> Event:
    if not _IMAGE_TYPE.fullmatch(media_type) or not data:
        raise ValueError("no image")
    if prompt_id is not None and not isinstance(prompt_id, str):
        raise TypeError("no prompt id")
    return Image(media_type, data, prompt_id, node)


def _number(value: Any) -> float:
    """A finite number: Python also parses NaN and Infinity, which JSON does not have."""
    number = float(value)
    if not math.isfinite(number):
        raise ValueError("no finite number")
    return number


def _node(value: Any) -> str | None:
    """A node's id as a text; ComfyUI's own are texts, but custom nodes may send a number."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, int):
        return str(value)
    raise TypeError("no node id")


def _timestamp(data: Mapping[str, Any]) -> int | None:
    """ComfyUI's clock in milliseconds, if the value is one."""
    value = data.get("timestamp")
    return value if isinstance(value, int) and 0 <= value <= LATEST_TIMESTAMP else None


def _executing(prompt_id: str, data: Mapping[str, Any]) -> Event:
    return Executing(prompt_id, _node(data["node"]), _node(data.get("display_node", data["node"])))


def _progress_state(prompt_id: str, data: Mapping[str, Any]) -> Event:
    return ProgressState(
        prompt_id,
        {
            node: NodeProgress(
                str(each.get("display_node_id") or node),
                _number(each["value"]),
                _number(each["max"]),
                str(each["state"]),
            )
            for node, each in data["nodes"].items()
        },
    )


def _executed(prompt_id: str, data: Mapping[str, Any]) -> Event:
    output = data.get("output") or {}
    if not isinstance(output, Mapping):
        raise TypeError("output is no object")
    return Executed(prompt_id, str(data["node"]), str(data.get("display_node") or data["node"]), output)


def _execution_error(prompt_id: str, data: Mapping[str, Any]) -> Event:
    return ExecutionError(
        prompt_id,
        str(data.get("node_id", "?")),
        str(data.get("node_type", "?")),
        str(data.get("exception_type", "Exception")),
        str(data.get("exception_message", "")).strip()[:LONGEST_MESSAGE],
    )


_PARSERS: dict[str, Callable[[str, Mapping[str, Any]], Event]] = {
    "execution_start": lambda id, data: ExecutionStart(id, _timestamp(data)),
    "execution_cached": lambda id, data: ExecutionCached(id, tuple(map(str, data["nodes"]))),
    "executing": _executing,
    "progress": lambda id, data: Progress(id, _node(data.get("node")), _number(data["value"]), _number(data["max"])),
    "progress_state": _progress_state,
    "executed": _executed,
    "execution_success": lambda id, data: ExecutionSuccess(id, _timestamp(data)),
    "execution_error": _execution_error,
    "execution_interrupted": lambda id, data: ExecutionInterrupted(
        id, str(data.get("node_id", "?")), str(data.get("node_type", "?"))
    ),
}

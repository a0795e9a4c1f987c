"""One websocket of a client, and everything that it has received."""

from __future__ import annotations

import json
import struct
import uuid
from dataclasses import dataclass
from typing import Any

import websocket

PATIENCE = 10.0  # seconds without a message before a test fails


@dataclass
class Frame:
    """One message: a text frame's type and data, or a binary frame's event number and content."""

    type: str
    data: Any = None
    binary: int | None = None
    content: bytes = b""

    @property
    def prompt_id(self) -> str | None:
        return self.data.get("prompt_id") if isinstance(self.data, dict) else None

    def image(self) -> tuple[dict[str, Any], bytes]:
        """A binary frame's metadata (event 1: only the format) and encoded picture."""
        (number,) = struct.unpack(">I", self.content[:4])
        if self.binary == 1:
            return {"image_type": {1: "image/jpeg", 2: "image/png"}[number]}, self.content[4:]
        assert self.binary == 4
        return json.loads(self.content[4 : 4 + number]), self.content[4 + number :]


class Ear:
    """A connected client. `heard` keeps everything, the greeting first."""

    def __init__(
        self, url: str, client_id: str | None = None, *, flags: bool = False, patience: float = PATIENCE
    ) -> None:
        self._patience = patience
        self.client_id = client_id or uuid.uuid4().hex
        query = "" if client_id == "" else f"?clientId={self.client_id}"
        address = "ws" + url.removeprefix("http") + "/ws" + query
        self._socket = websocket.create_connection(address, timeout=patience)
        self.heard: list[Frame] = []
        self.greeting = self.until("status").data
        if flags:
            self.tell("feature_flags", {"supports_preview_metadata": True})
            self.until("feature_flags")

    def tell(self, kind: str, data: Any) -> None:
        self._socket.send(json.dumps({"type": kind, "data": data}))

    def next(self) -> Frame:
        """The next message. Raises websocket.WebSocketTimeoutException after long silence."""
        message = self._socket.recv()
        if isinstance(message, bytes):
            (number,) = struct.unpack(">I", message[:4])
            frame = Frame(f"binary {number}", binary=number, content=message[4:])
        else:
            assert message, "the connection was closed"
            parsed = json.loads(message)
            frame = Frame(parsed["type"], parsed["data"])
        self.heard.append(frame)
        return frame

    def until(self, kind: str, prompt_id: str | None = None) -> Frame:
        """Reads up to the next message of this type (and of this prompt), and returns it."""
        while True:
            frame = self.next()
            if frame.type == kind and prompt_id in (None, frame.prompt_id):
                return frame

    def until_done(self, prompt_id: str) -> list[Frame]:
        """Reads up to the very last event of a prompt; returns everything heard so far of it, in order."""
        while True:
            frame = self.next()
            if frame.type == "executing" and frame.data["node"] is None and frame.prompt_id == prompt_id:
                return self.of(prompt_id)

    def of(self, prompt_id: str) -> list[Frame]:
        """What was heard of a prompt, without binary frames."""
        return [frame for frame in self.heard if frame.prompt_id == prompt_id]

    def pictures(self) -> list[Frame]:
        return [frame for frame in self.heard if frame.binary is not None]

    def quiet(self, seconds: float) -> bool:
        """Whether nothing but `status` arrives for a number of seconds."""
        self._socket.settimeout(seconds)
        try:
            return self.next().type == "status" and self.quiet(seconds)
        except websocket.WebSocketTimeoutException:
            return True
        finally:
            self._socket.settimeout(self._patience)

    def close(self) -> None:
        """Leaves with a closing handshake, if the server still answers one."""
        self._socket.close(timeout=1)


def cached_nodes(ear: Ear, prompt_id: str) -> list[str]:
    """The nodes of a prompt that were taken from the cache."""
    [frame] = [frame for frame in ear.of(prompt_id) if frame.type == "execution_cached"]
    nodes: list[str] = frame.data["nodes"]
    return nodes

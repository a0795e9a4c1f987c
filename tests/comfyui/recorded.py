"""The recordings of a real ComfyUI, as events and history entries."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

from comfybridge.comfyui.events import Event, parse_binary, parse_text
from comfybridge.comfyui.outcome import Prompt

FOLDER = Path(__file__).parent.parent / "recordings"


class Recording:
    """One case: the answer to `POST /prompt`, the websocket's frames, and the history entry."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.said: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text("utf-8"))
        self.status: int = self.said["post_status"]
        self.body: Any = self.said["post_body"]

    @property
    def entry(self) -> dict[str, Any]:
        return next(iter(self.said["history"].values()))

    @property
    def prompt(self) -> Prompt:
        return Prompt(self.entry["prompt"][1], self.entry["prompt"][2])

    def events(self) -> list[Event]:
        return [self._event(message) for message in self.said["ws"]]

    def _event(self, message: dict[str, Any]) -> Event:
        if "binary" in message:
            return parse_binary(self._frame(message["binary"]))
        return parse_text(json.dumps({"type": message["type"], "data": message["data"]}))

    def _frame(self, binary: dict[str, Any]) -> bytes:
        """A frame of the recorded kind and length; only the first bytes after its event number were recorded."""
        number, head = struct.pack(">I", binary["event"]), bytes.fromhex(binary["head_hex"])
        if binary["event"] != 4:
            return number + head.ljust(binary["len"], b"\0")
        node = head.decode("latin-1").split('"node_id": "')[1].split('"')[0]
        metadata = {"node_id": node, "prompt_id": self.prompt.id, "image_type": "image/png"}
        text = json.dumps(metadata).encode()
        return number + struct.pack(">I", len(text)) + text + b"image"


def names(*, finished: bool) -> list[str]:
    """The cases in which a prompt ran, or those in which it was refused."""
    found = sorted(path.stem for path in FOLDER.glob("*.json"))
    return [name for name in found if ("ws" in Recording(name).said) == finished]

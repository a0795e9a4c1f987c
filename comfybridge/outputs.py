"""From what ComfyUI's nodes have to show to the outputs of a generation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from comfybridge.comfyui.client import ComfyUIClient
from comfybridge.comfyui.outcome import Frame, NodeOutput, Outcome
from comfybridge.deadline import Deadline
from comfybridge.media import extension_of, media_type_of
from comfybridge.request import Output


def outputs_of(outcome: Outcome, client: ComfyUIClient, deadline: Deadline) -> list[Output]:
    """The outputs of an outcome; previews (`temp` files) only if there is no other file.

    ComfyUI's keys (`images`, `gifs`, `audio`, ...) don't tell what a file is, and are not asked: whatever has a
    file name is a file, and `text` holds texts.
    """
    found: list[Output] = []
    for node in outcome.outputs:
        found.extend(_files(node, client, deadline))
        found.extend(_texts(node))
    found.extend(_frames(outcome.frames))
    if any(output.type not in ("temp", "") for output in found):  # a text has no type, and says nothing of pictures
        return [output for output in found if output.type != "temp"]
    return found


def _files(node: NodeOutput, client: ComfyUIClient, deadline: Deadline) -> Iterator[Output]:
    for entries in node.output.values():
        for entry in entries if isinstance(entries, list) else []:
            if isinstance(entry, Mapping) and isinstance(entry.get("filename"), str):
                yield _file(node.node_id, entry, client, deadline)


def _file(node_id: str, entry: Mapping[str, Any], client: ComfyUIClient, deadline: Deadline) -> Output:
    filename, subfolder = entry["filename"], str(entry.get("subfolder") or "")
    type = str(entry.get("type") or "output")
    media_type, kind = media_type_of(filename)
    return Output(
        node_id=node_id,
        kind=kind,
        filename=filename,
        subfolder=subfolder,
        type=type,
        media_type=media_type,
        source=partial(client.view, filename, subfolder, type, deadline),
    )


def _texts(node: NodeOutput) -> Iterator[Output]:
    texts = node.output.get("text")
    for text in [texts] if isinstance(texts, str) else texts or []:
        if isinstance(text, str):
            yield Output(
                node_id=node.node_id,
                kind="text",
                filename="",
                subfolder="",
                type="",
                media_type="text/plain; charset=utf-8",
                source=partial(text.encode),
                text=text,
            )


def _frames(frames: list[Frame]) -> Iterator[Output]:
    for number, frame in enumerate(frames, 1):
        yield Output(
            node_id=frame.node_id,
            kind="image",
            filename=f"websocket_{number:05}.{extension_of(frame.media_type)}",
            subfolder="",
            type="websocket",
            media_type=frame.media_type,
            source=partial(bytes, frame.data),
        )

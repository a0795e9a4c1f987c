"""Workflows as the editor saves them, and what came to ComfyUI of them."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

from comfybridge.simulator import Simulator
from tests.media.pictures import drawn, encoded, exif, texts
from tests.workflow.editor.drawn import empty_image, file, node, save_image, subgraph

NEWER = "0.33.0"
OLDER = "0.3.64"  # has no BatchImagesNode


def picture(**more: Any) -> Any:
    """64 x 64 pixels of nothing."""
    return file([empty_image(1), save_image(2, 1)], [(1, 1, 0, 2)], **more)


def in_subgraph() -> Any:
    """The same in a subgraph, whose node shows the width and holds 48 for it."""
    inner = subgraph(
        "a-subgraph",
        [node(1, "EmptyImage", [64, 64, 1, 0], [("width", "INT", 2, "width")]), save_image(2, 1)],
        [(1, 1, 0, 2), (2, -10, 0, 1)],
        inputs=[("breadth", "INT", [2])],
    )
    return file([node(5, "a-subgraph", [48], [("breadth", "INT", None, "breadth")])], subgraphs=[inner])


def batch() -> Any:
    """Of a class that older servers lack."""
    batched = node(3, "BatchImagesNode", [], [("images.image0", "IMAGE", 1)], title="Both")
    return file([empty_image(1), batched, save_image(2, 2)], [(1, 1, 0, 3), (2, 3, 0, 2)])


def of_unknown_pack() -> Any:
    """Of a class that no server has."""
    strange = node(
        7, "StrangeNode", [1], [("image", "IMAGE", 1)], title="My filter", properties={"cnr_id": "odd-pack"}
    )
    return file([empty_image(1), strange, save_image(2, 2)], [(1, 1, 0, 7), (2, 7, 0, 2)])


def part(data: bytes, name: str = "file") -> tuple[io.BytesIO, str]:
    """A part of a form that is a file."""
    return io.BytesIO(data), name


# the arguments of a POST that has a workflow somewhere
PLACES: dict[str, Callable[[Any], dict[str, Any]]] = {
    "workflow": lambda saved: {"json": {"workflow": saved}},
    "prompt": lambda saved: {"json": {"prompt": saved}},
    "a text": lambda saved: {"json": {"workflow": json.dumps(saved)}},
    "the body itself": lambda saved: {"json": saved},
    "a worker's job": lambda saved: {"json": {"input": {"workflow": saved}}},
    "a name of another tool": lambda saved: {"json": {"workflow_json": saved}},
    "a form's field": lambda saved: {"data": {"workflow": json.dumps(saved)}},
    "a form's file": lambda saved: {"data": {"workflow": part(json.dumps(saved).encode())}},
    "a png": lambda saved: {"data": {"workflow": part(encoded(drawn(), pnginfo=texts(workflow=saved)))}},
    "a webp": lambda saved: {"data": {"prompt": part(encoded(drawn(), "webp", exif=exif(workflow=saved)))}},
    "a png as the body": lambda saved: {"data": encoded(drawn(), pnginfo=texts(workflow=saved))},
}


def queued(sim: Simulator, place: int = -1) -> tuple[dict[str, Any], dict[str, Any]]:
    """The graph and the extra_data of a prompt that ran."""
    entry = list(sim.history.values())[place]["prompt"]
    return entry[2], entry[3]

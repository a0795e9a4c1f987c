"""Small things that the command line is asked to make."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests import graphs
from tests.graphs import node

SMALL = ["-p", "width=64", "-p", "height=64", "-p", "steps=2"]

TEXT_AND_PICTURES = {
    "1": node("PreviewAny", source="a text"),
    **{name: graphs.picture()["1"] for name in ("2", "3")},
    "4": node("SaveImage", images=["2", 0], filename_prefix="x"),
    "5": node("SaveImage", images=["3", 0], filename_prefix="x"),
}
VIDEO = graphs.frames("SaveVideo", filename_prefix="x", format="mp4", codec="h264")
# node 9 is not known to save files, and leads nowhere: it may save anything
UNSURE = {**graphs.picture(), "9": node("EmptyImage", width=8, height=8, batch_size=1, color=0)}


def graph_file(graph: dict[str, Any]) -> str:
    """Write a graph into the folder in which the command runs; gives the file's name."""
    Path("graph.json").write_text(json.dumps(graph))
    return "graph.json"

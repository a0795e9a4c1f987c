"""What a ComfyUI that is scripted word for word tells of a prompt."""

from __future__ import annotations

from typing import Any

from tests import graphs

GRAPH = graphs.picture()
OUTPUT_NODE = {"SaveImage": {"output_node": True, "input": {"required": {"images": ["IMAGE"]}}}}


def entry(output: Any, **more: Any) -> dict[str, Any]:
    """A history entry of `GRAPH` whose SaveImage has that to show."""
    return {
        "prompt": [0, "p1", GRAPH, {}, ["2"]],
        "outputs": {"2": output},
        "status": {"status_str": "success", "completed": True, "messages": []},
        "meta": {},
        **more,
    }

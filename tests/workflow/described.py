"""Node classes as a ComfyUI 0.33 describes them."""

from __future__ import annotations

from functools import cache

from comfybridge.comfyui.catalog import NodeClass
from tests.workflow.editor.judge import load


@cache
def described(class_type: str) -> NodeClass | None:
    """What a ComfyUI 0.33 says of a class."""
    info = load("object_info-0.33.0").get(class_type)
    if info is None:
        return None
    inputs = info["input"]
    return NodeClass(
        class_type,
        bool(info["output_node"]),
        inputs.get("required", {}),
        inputs.get("optional", {}),
        tuple(map(str, info["output_name"])),
        info=info,
    )

"""Retired node classes, and those that take their places when a prompt is queued.

As ComfyUI's `app/node_replace_manager.py` has it: without an `input_mapping`, the new node has no inputs.
"""

from typing import Any

from comfybridge.simulator.links import is_link
from comfybridge.simulator.nodes.catalog import node_classes
from comfybridge.simulator.world import World


def replace_retired(prompt: dict[str, Any], world: World) -> None:
    """Puts other nodes in the place of those whose class is retired, if the server has not got it any more."""
    classes = node_classes(world.version)
    for node_id, node in list(prompt.items()):
        name = node.get("class_type")
        if name in classes or name not in world.replacements:
            continue
        replacement = world.replacements[name][0]
        if replacement["new_node_id"] not in classes:
            continue
        inputs = {}
        for each in replacement["input_mapping"] or []:
            inputs[each["new_id"]] = each["set_value"] if "set_value" in each else node["inputs"][each["old_id"]]
        prompt[node_id] = {**node, "class_type": replacement["new_node_id"], "inputs": inputs}
        _turn_links(prompt, node_id, replacement["output_mapping"] or [])


def _turn_links(prompt: dict[str, Any], node_id: str, mapping: list[dict[str, int]]) -> None:
    slots = {each["old_idx"]: each["new_idx"] for each in mapping}
    for node in prompt.values():
        for value in node["inputs"].values():
            if is_link(value) and value[0] == node_id:
                value[1] = slots.get(value[1], value[1])

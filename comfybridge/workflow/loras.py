"""The LoRA of a graph, where it has just one."""

from __future__ import annotations

from comfybridge.workflow.links import Walked, is_kind, links, literal_value
from comfybridge.workflow.names import plain, words
from comfybridge.workflow.parameters import Target

NAMES = ("lora_name", "lora")
STRENGTHS = {"strength", "weight"}
NOTHING = ("", "none")


def find_loras(graph: Walked) -> list[tuple[Target, list[Target]]]:
    """The inputs that name a LoRA, and those that hold its strength, of the nodes that feed others."""
    feeding = {origin for node in graph for origin, _ in links(graph, node).values()}
    found = []
    for node in graph:
        inputs = graph[node]["inputs"]
        name = next((each for each in inputs if _is_lora(each) and isinstance(inputs[each], str)), None)
        if name is not None and node in feeding and inputs[name].lower() not in NOTHING:
            found.append((Target(node, name), _strengths(graph, node)))
    return found


def _is_lora(name: str) -> bool:
    return plain(name).lower() in NAMES


def _strengths(graph: Walked, node: str) -> list[Target]:
    """The strength for the model, and those that hold the same, as for the text encoder."""
    inputs = graph[node]["inputs"]
    names = [name for name, value in inputs.items() if is_kind(value, "number") and STRENGTHS & set(words(name))]
    names.sort(key=lambda name: "clip" in words(name))
    targets = [Target(node, name) for name in names]
    return [target for target in targets if literal_value(graph, target) == literal_value(graph, targets[0])]

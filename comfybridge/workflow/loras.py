"""The LoRA of a graph, where it has just one."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from comfybridge.workflow.links import Walked, follow, is_kind, links, literal_value
from comfybridge.workflow.names import plain, words
from comfybridge.workflow.parameters import Target

_NAME = re.compile(r"(?:lora_name|lora)(?:_(\d+))?$", re.IGNORECASE)
NOTHING = ("", "none")
STRENGTHS = {"strength", "weight"}


@dataclass
class Loras:
    """The LoRAs that take effect.

    Attributes:
        found: the inputs that name one, and those that hold its strength.
        unnamed: the nodes that hold one in a way that no input names.
    """

    found: list[tuple[Target, list[Target]]] = field(default_factory=list)
    unnamed: list[str] = field(default_factory=list)


def find_loras(graph: Walked) -> Loras:
    """The LoRAs of the nodes that feed others: of loaders of one, and of stacks (`lora_name_1`, ...)."""
    feeding = {origin for node in graph for origin, _ in links(graph, node).values()}
    loras = Loras()
    for node in (node for node in graph if node in feeding and node not in graph.dead):
        inputs = graph[node]["inputs"]
        for name, value in inputs.items():
            named = _NAME.match(plain(name))
            if named is None:
                continue
            if isinstance(value, dict) and value.get("on", True):  # of rgthree's Power Lora Loader
                loras.unnamed.append(node)
                continue
            target = follow(graph, node, name, "string")
            text = literal_value(graph, target) if target else None
            if target and isinstance(text, str) and text.lower() not in NOTHING and _is_on(inputs, named[1]):
                loras.found.append((target, _strengths(graph, node, named[1])))
    return loras


def _is_on(inputs: dict[str, object], number: str | None) -> bool:
    """Whether a place in a stack is in use."""
    if number is None:
        return True
    count = inputs.get("lora_count")
    if isinstance(count, int) and int(number) > count:
        return False
    return str(inputs.get(f"switch_{number}", "on")).lower() not in ("off", "false")


def _strengths(graph: Walked, node: str, number: str | None) -> list[Target]:
    """The strength for the model, and those that hold the same, as for the text encoder."""
    names = [
        name
        for name in graph[node]["inputs"]
        if STRENGTHS & set(words(plain(name))) and (number is None or number in words(name))
    ]
    names.sort(key=lambda name: "clip" in words(name))
    found = [target for target in (follow(graph, node, name, "number") for name in names) if target]
    targets = [target for target in found if is_kind(literal_value(graph, target), "number")]
    return [target for target in targets if literal_value(graph, target) == literal_value(graph, targets[0])]

"""Reads the list in a subgraph node's properties of the inner widgets that it shows."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from comfybridge.workflow.editor import javascript
from comfybridge.workflow.editor.saved import Node, objects_in

PAIRS = "proxyWidgets"
QUARANTINE = "proxyWidgetErrorQuarantine"
ITSELF = "-1"  # stands for the subgraph node itself, in place of a node inside


@dataclass(frozen=True)
class Pair:
    """A widget: the id of its node inside, or `ITSELF`, and its name."""

    node: str
    widget: str


def read_pairs(node: Node) -> list[Pair]:
    """The pairs of a node, in order; none if the list is malformed."""
    value = node.properties.get(PAIRS)
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return []
    if not isinstance(value, list):
        return []
    pairs = []
    for each in value:
        if not isinstance(each, list) or len(each) not in (2, 3) or not isinstance(each[1], str):
            return []
        pairs.append(Pair(javascript.text(each[0]), each[1]))
    return pairs


def written_pairs(pairs: Iterable[Pair]) -> list[list[str]]:
    """The pairs in the form that `read_pairs` reads."""
    return [[pair.node, pair.widget] for pair in pairs]


def set_aside(node: Node) -> dict[str, object]:
    """Values of the node's own inputs, by name, that an editor could not place when it last opened the file."""
    values: dict[str, object] = {}
    for each in objects_in(node.properties, QUARANTINE):
        entry = objects_in(each, "originalEntry")
        if len(entry) in (2, 3) and entry[0] == ITSELF and isinstance(entry[1], str) and "hostValue" in each:
            values.setdefault(entry[1], each["hostValue"])
    return values

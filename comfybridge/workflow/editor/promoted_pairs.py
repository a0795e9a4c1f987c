"""The widgets inside a subgraph that a node of it shows, as a list of its properties names them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from comfybridge.workflow.editor import javascript
from comfybridge.workflow.editor.saved import Node, objects_in

PAIRS = "proxyWidgets"
QUARANTINE = "proxyWidgetErrorQuarantine"
ITSELF = "-1"  # the node that shows the widget, in place of one inside


@dataclass(frozen=True)
class Pair:
    """A widget by the id of its node inside, or `ITSELF`, and by its name."""

    node: str
    widget: str


def read_pairs(node: Node) -> list[Pair]:
    """The pairs of a node, in their order; none if the list is not of the shape that it should have."""
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
    """The pairs as `read_pairs` reads them."""
    return [[pair.node, pair.widget] for pair in pairs]


def set_aside(node: Node) -> dict[str, object]:
    """Values of the node's own inputs, by name, that an editor could not place when it opened the file before."""
    values: dict[str, object] = {}
    for each in objects_in(node.properties, QUARANTINE):
        entry = objects_in(each, "originalEntry")
        if len(entry) in (2, 3) and entry[0] == ITSELF and isinstance(entry[1], str) and "hostValue" in each:
            values.setdefault(entry[1], each["hostValue"])
    return values

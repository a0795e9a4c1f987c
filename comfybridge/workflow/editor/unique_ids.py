"""Makes node ids unique throughout a file, as newer editors do when they open one.

A node of a subgraph gets another id if the file's own graph or an earlier subgraph has its id already.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from comfybridge.workflow.editor.promoted_pairs import PAIRS, read_pairs, written_pairs
from comfybridge.workflow.editor.saved import Graph


class NewIds:
    """Provides unused ids."""

    def __init__(self, last: int, used: Iterable[str]) -> None:
        """Take the editor's last id, and all ids in use."""
        self._last = last
        self.used = set(used)
        for node_id in self.used:
            self._see(node_id)

    def next(self) -> str:
        """An unused id."""
        self._last += 1
        while str(self._last) in self.used:
            self._last += 1
        self.used.add(str(self._last))
        return str(self._last)

    def claim(self, node_id: str) -> bool:
        """Whether a node can keep its id, which then counts as used."""
        if node_id in self.used:
            return False
        self.used.add(node_id)
        self._see(node_id)
        return True

    def _see(self, node_id: str) -> None:
        if len(node_id) <= 15 and node_id.isdecimal() and node_id.isascii():
            self._last = max(self._last, int(node_id))


def make_unique(root: Graph, definitions: list[Graph], last: int) -> NewIds:
    """Give new ids where needed, and update links and lists of promoted widgets.

    Args:
        last: the editor's last id, from the file.
    """
    ids = NewIds(last, root.nodes)
    changed: dict[str, dict[str, str]] = {}
    for definition in definitions:
        renamed = {node_id: ids.next() for node_id in definition.nodes if not ids.claim(node_id)}
        if renamed:
            changed[definition.id] = renamed
            rename(definition, renamed)
    for graph in (root, *definitions) if changed else ():
        for node in graph.nodes.values():
            renamed = changed.get(node.type, {})
            pairs = read_pairs(node) if renamed else ()
            if pairs:
                new = [replace(pair, node=renamed.get(pair.node, pair.node)) for pair in pairs]
                node.properties = {**node.properties, PAIRS: written_pairs(new)}
    return ids


def rename(graph: Graph, renamed: dict[str, str]) -> None:
    """Give nodes of a graph new ids, and update its links."""
    for node in graph.nodes.values():
        node.id = renamed.get(node.id, node.id)
    graph.nodes = {node.id: node for node in graph.nodes.values()}
    graph.links = {
        link.id: replace(
            link, origin=renamed.get(link.origin, link.origin), target=renamed.get(link.target, link.target)
        )
        for link in graph.links.values()
    }

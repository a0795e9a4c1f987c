"""Group nodes, the predecessors of subgraphs: of type `workflow>NAME`, with their content in the file's `extra`.

Newer editors turn each into a subgraph when they open a file, and so does this module. Nodes inside get ids of their
own, and the surrounding node gets the next one. Its values are those of the nodes inside, in order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from comfybridge.errors import InvalidWorkflow
from comfybridge.json_size import MOST_VALUES
from comfybridge.workflow.editor.additions import PRIMITIVE, group_name, is_group_node
from comfybridge.workflow.editor.classes import NodeClasses
from comfybridge.workflow.editor.saved import (
    ALWAYS,
    ENTRANCE,
    EXIT,
    Boundary,
    Graph,
    Input,
    Link,
    Node,
    objects_in,
    read_graph,
)
from comfybridge.workflow.editor.sentences import named
from comfybridge.workflow.editor.unique_ids import NewIds, rename
from comfybridge.workflow.editor.values import positions
from comfybridge.workflow.graph import MOST_NODES
from comfybridge.workflow.wording import clip


def replace_group_nodes(
    graphs: list[Graph], groups: Mapping[str, Any], ids: NewIds, classes: NodeClasses
) -> dict[str, Graph]:
    """Turn the group nodes of graphs into nodes that stand for subgraphs.

    Args:
        groups: the content of each group node, by its name, as in the file.

    Returns:
        The definitions of those subgraphs, by their ids, which are now the types of the nodes.

    Raises:
        InvalidWorkflow: the content of a group node is malformed.
    """
    definitions: dict[str, Graph] = {}
    work = 0  # parts of group nodes read so far
    pending = list(graphs)
    while pending:
        graph = pending.pop()
        renamed = {}
        for node in graph.nodes.values():
            group = groups.get(group_name(node.type)) if is_group_node(node.type) else None
            if not isinstance(group, Mapping):
                continue
            work += sum(len(objects_in(group, name)) for name in ("nodes", "links", "external"))
            if work > MOST_VALUES or len(ids.used) > 2 * MOST_NODES:
                raise InvalidWorkflow(f"The workflow's group nodes hold more than {MOST_NODES} nodes.")
            definition = _Group(node, group, classes).subgraph(ids)
            definitions[definition.id] = definition
            pending.append(definition)
            renamed[node.id] = ids.next()
        if renamed:
            rename(graph, renamed)
    return definitions


@dataclass
class _Group:
    """One group node with its content."""

    node: Node
    group: Mapping[str, Any]
    classes: NodeClasses
    nodes: list[Node] = field(default_factory=list)
    links: dict[str, Link] = field(default_factory=dict)

    def subgraph(self, ids: NewIds) -> Graph:
        """The group as a definition; also sets the node's inputs and type accordingly."""
        where = f"Group node {clip(self.node.type)}"
        self._read(where, ids)
        linked = self._inner_links()
        inputs: list[Boundary] = []
        given: list[Input] = []
        names: dict[str, int] = {}
        values = iter(self.node.values if isinstance(self.node.values, list) else ())
        there = {each.name: each for each in reversed(self.node.inputs)}
        for index, node in enumerate(self.nodes):
            by_name = {each.name: each for each in node.inputs}
            self._fill(node, by_name, values, index, names)
            for place, (name, kind) in enumerate(self._input_kinds(node)):
                origin = linked.get((index, name))
                link_id = f"{index} {place}"
                if origin is not None:
                    self.links[link_id] = Link(link_id, origin[0], origin[1], node.id, place)
                elif self._config(index, "input", name).get("visible") is not False:
                    shown = self._shown_name(index, node, name, names)
                    self.links[link_id] = Link(link_id, ENTRANCE, len(inputs), node.id, place)
                    inputs.append(Boundary(shown, kind, (link_id,)))
                    given.append(there.get(shown, Input(shown, kind)))
                else:
                    link_id = ""
                by_name[name] = Input(name, kind, link_id or None, by_name[name].widget if name in by_name else None)
            node.inputs = list(by_name.values())
        self.node.inputs = given
        self.node.values = []
        definition = Graph(
            {node.id: node for node in self.nodes},
            self.links,
            id=f"{self.node.type} {self.node.id}",
            name=self.node.type,
            inputs=inputs,
            outputs=list(self._outputs()),
        )
        self.node.type = definition.id
        self.node.mode = ALWAYS  # newer editors run it even if it was muted or bypassed
        return definition

    def _read(self, where: str, ids: NewIds) -> None:
        described = []
        for each in objects_in(self.group, "nodes"):
            if not isinstance(each, Mapping):
                raise InvalidWorkflow(f"{where} contains something that is not a node.")
            described.append({**each, "id": ids.next()})
        self.nodes = list(read_graph({"nodes": described}, where).nodes.values())
        for node in self.nodes:
            if node.type == PRIMITIVE:
                raise InvalidWorkflow(
                    f"{named(self.node)} is a group node with a PrimitiveNode in it, which can't be read; ungroup "
                    "it, or make it a subgraph, and save the workflow again."
                )

    def _inner_links(self) -> dict[tuple[int, str], tuple[str, int]]:
        """The links between nodes inside, by input."""
        linked = {}
        for each in objects_in(self.group, "links"):
            if not isinstance(each, list) or len(each) < 4 or not all(map(_is_place, each[:4])):
                continue  # a link from outside
            origin, slot, target, place = each[:4]
            if origin < len(self.nodes) and target < len(self.nodes) and place < len(self.nodes[target].inputs):
                name = self.nodes[target].inputs[place].name
                linked[target, name] = (self.nodes[origin].id, slot)
        return linked

    def _input_kinds(self, node: Node) -> Iterator[tuple[str, str]]:
        """The inputs of a node inside that are not widgets, or that were converted from widgets."""
        node_class = self.classes.get(node.type)
        sockets = [] if node_class is None else [each for each in node_class.inputs if not each.is_widget]
        kinds = {each.name: each.kind for each in sockets}
        for each in node.inputs:
            kinds.setdefault(each.name, each.kind)
        yield from kinds.items()

    def _fill(
        self, node: Node, inputs: Mapping[str, Input], values: Iterator[Any], index: int, names: dict[str, int]
    ) -> None:
        """Give a node inside its share of the values."""
        node_class = self.classes.get(node.type)
        if node_class is None:
            return
        own = node.values if isinstance(node.values, list) else []
        filled, is_widget = [], True
        for place, name in enumerate(positions(node, node_class)):
            if name is not None:
                is_widget = name not in inputs  # a hidden one has its value among those of the group too
                if is_widget:
                    self._shown_name(index, node, name, names)
            kept = own[place] if place < len(own) else None
            filled.append(next(values, kept) if is_widget else kept)
        node.values = filled

    def _outputs(self) -> Iterator[Boundary]:
        """The outputs of the group: those that its author shows, or else those not only linked inside."""
        inside = {tuple(each[:2]) for each in objects_in(self.group, "links") if _is_pair(each)}
        outside = {tuple(each[:2]) for each in objects_in(self.group, "external") if _is_pair(each)}
        for index, node in enumerate(self.nodes):
            node_class = self.classes.get(node.type)
            kinds = node.output_kinds if node_class is None else node_class.output_kinds
            for slot, kind in enumerate(kinds):
                is_shown = self._config(index, "output", str(slot)).get("visible")
                if not ((index, slot) not in inside - outside if is_shown is None else is_shown):
                    continue
                link_id = f"out {index} {slot}"
                self.links[link_id] = Link(link_id, node.id, slot, EXIT, 0)
                yield Boundary(kind, kind, (link_id,))

    def _config(self, index: int, side: str, name: str) -> Mapping[str, Any]:
        found: Any = self.group.get("config")
        for key in (str(index), side, name):
            found = found.get(key) if isinstance(found, Mapping) else None
        return found if isinstance(found, Mapping) else {}

    def _shown_name(self, index: int, node: Node, name: str, names: dict[str, int]) -> str:
        """The outer name of an input inside, prefixed with the node's title if the name is taken."""
        other = self._config(index, "input", name).get("name")
        labels = (each.label for each in node.inputs if each.name == name and each.label)
        key = shown = other if isinstance(other, str) and other else next(labels, name)
        if shown in names:
            key = shown = f"{node.title or node.type} {name}"
            if shown in names:
                shown = f"{node.title or node.type} {names[shown]} {name}"
        names[key] = names.get(key, 1) + 1
        return shown


def _is_place(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_pair(value: object) -> bool:
    return isinstance(value, list) and len(value) >= 2 and all(map(_is_place, value[:2]))

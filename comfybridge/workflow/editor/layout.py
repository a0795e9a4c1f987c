"""Lays out nodes by their class and by the file: inputs with their links, outputs, values.

A subgraph node has the inputs of its definition. Inputs that lead to a widget inside are promoted: the node holds a
value of its own for them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from comfybridge.errors import InvalidWorkflow
from comfybridge.workflow.editor.additions import PRIMITIVE
from comfybridge.workflow.editor.classes import AUTOGROW, DYNAMIC_COMBO, MATCH_TYPE, NodeClass, NodeClasses
from comfybridge.workflow.editor.promoted_pairs import ITSELF, Pair, read_pairs, set_aside
from comfybridge.workflow.editor.saved import Graph, Input, Node
from comfybridge.workflow.editor.values import MISSING, Filled, fill

DEEPEST = 64  # levels of nested subgraphs

# Older editors prefix a widget's name with the ids of the nodes on its path.
_OLD_NAME = re.compile(r"^\s*\d+\s*:\s*(.+)$")


@dataclass
class Layout:
    """The inputs, outputs and values of a node.

    Attributes:
        node_class: its class; None if the server does not have it.
        definition: its subgraph, if it is a subgraph node.
        promoted: for a subgraph node, the values that it holds, by input number.
        by_widget: for a subgraph node, the names of its inputs, by the names of the inner widgets that they lead to.
        problem: why it can't be sent, as a sentence without the node's name; None if it can.
    """

    slots: list[Input]
    output_kinds: list[str]
    filled: Filled
    node_class: NodeClass | None = None
    definition: Graph | None = None
    promoted: Mapping[int, Any] | None = None
    by_widget: Mapping[str, str] = field(default_factory=dict)
    problem: str | None = None

    @cached_property
    def places(self) -> dict[str, int]:
        """The numbers of the inputs, by name."""
        return {slot.name: index for index, slot in reversed(list(enumerate(self.slots)))}

    @cached_property
    def by_link(self) -> dict[str, Input]:
        """The inputs, by the links that end at them."""
        return {slot.link: slot for slot in reversed(self.slots) if slot.link is not None}


@dataclass(frozen=True, slots=True)
class Target:
    """A widget inside a subgraph that an input of the subgraph leads to."""

    node: str
    input: str


_Together = tuple[Target, ...]  # widgets that share a value: several only behind a primitive node


class Layouts:
    """The layouts of a file's nodes, each made once however often the node runs."""

    def __init__(self, root: Graph, definitions: Mapping[str, Graph], classes: NodeClasses) -> None:
        """Take the graphs of a file, without circular subgraphs, and the classes of its server."""
        self._graphs = (root, *definitions.values())
        self._definitions = definitions
        self._classes = classes
        self._layouts: dict[int, Layout] = {}
        self._targets: dict[str, list[Target | None]] = {}
        self._held: dict[int, list[tuple[Target, Any]]] = {}
        self._behind_primitives: dict[str, dict[str, list[Target]]] = {}

    def of(self, node: Node) -> Layout:
        """The layout of a node."""
        layout = self._layouts.get(id(node))
        if layout is None:
            definition = self._definitions.get(node.type)
            layout = self._of_class(node) if definition is None else self._of_subgraph(node, definition)
            self._layouts[id(node)] = layout
        return layout

    def targets(self, definition: Graph) -> list[Target | None]:
        """The widget that each input of a subgraph leads to."""
        if definition.id not in self._targets:
            self._targets[definition.id] = [self._target(definition, each.links) for each in definition.inputs]
        return self._targets[definition.id]

    def own_value(self, definition: Graph, target: Target) -> Any:
        """The own value of a widget inside; MISSING if it has none."""
        layout = self.of(definition.nodes[target.node])
        if layout.promoted is not None:
            return layout.promoted.get(layout.places[target.input], MISSING)
        widget = layout.filled.widgets.get(target.input)
        return MISSING if widget is None else widget.value

    def held(self, node: Node, definition: Graph) -> list[tuple[Target, Any]]:
        """Widgets inside a subgraph that its nodes show although no input leads to them, with the values of one node.

        Editors add an input for each to the definition: if one node of the subgraph shows it, all hold a value.
        """
        if id(node) not in self._held:
            self._held[id(node)] = list(self._new_held(node, definition))
        return self._held[id(node)]

    def _new_held(self, node: Node, definition: Graph) -> Iterator[tuple[Target, Any]]:
        given = node.values if isinstance(node.values, list) else []
        values: dict[_Together, Any] = {}
        for place, targets in self._shown_without_input(node, definition):
            if place < len(given):
                values[targets] = given[place]
        for targets in self._held_targets.get(definition.id, ()):
            value = values[targets] if targets in values else self.own_value(definition, targets[0])
            if value is not MISSING:
                yield from ((target, value) for target in targets)

    @cached_property
    def _held_targets(self) -> dict[str, dict[_Together, None]]:
        """The widgets of each subgraph that some node shows although no input leads to them."""
        found: dict[str, dict[_Together, None]] = {}
        for graph in self._graphs:
            for node in graph.nodes.values():
                definition = self._definitions.get(node.type)
                if definition is not None:
                    for _, targets in self._shown_without_input(node, definition):
                        found.setdefault(definition.id, {})[targets] = None
        return found

    def _shown_without_input(self, node: Node, definition: Graph) -> Iterator[tuple[int, _Together]]:
        pairs = read_pairs(node)
        known = set(self.targets(definition)) if pairs else set()
        for place, pair in enumerate(pairs):
            inner = definition.nodes.get(pair.node)
            if inner is not None and inner.type == PRIMITIVE and self.of(inner).node_class is None:
                behind = self._behind(definition).get(inner.id)
                if behind:
                    yield place, tuple(behind)
                continue
            target = self._shown(definition, pair)
            if target is not None and target not in known:
                yield place, (target,)

    def _behind(self, definition: Graph) -> dict[str, list[Target]]:
        """The widgets that each node feeds, by its id: a primitive node writes its value to them."""
        if definition.id not in self._behind_primitives:
            found: dict[str, list[Target]] = {}
            for link in definition.links.values():
                node = definition.nodes.get(link.target)
                slot = None if node is None else self.of(node).by_link.get(link.id)
                if node is not None and slot is not None and slot.widget is not None:
                    found.setdefault(link.origin, []).append(Target(node.id, slot.name))
            self._behind_primitives[definition.id] = found
        return self._behind_primitives[definition.id]

    def _of_class(self, node: Node) -> Layout:
        node_class = self._classes.get(node.type)
        if node_class is None:
            return Layout(node.inputs, node.output_kinds, Filled())
        try:
            filled = fill(node, node_class)
        except InvalidWorkflow as error:  # this matters only if the node runs
            return Layout(node.inputs, node.output_kinds, Filled(), node_class, problem=error.message)
        return Layout(list(_slots(node, filled)), _output_kinds(node, node_class), filled, node_class)

    def _of_subgraph(self, node: Node, definition: Graph) -> Layout:
        given = _by_name(node.inputs)
        slots = []
        for boundary, target in zip(definition.inputs, self.targets(definition), strict=True):
            there = given.get(boundary.name)
            slots.append(
                Input(
                    boundary.name,
                    boundary.kind,
                    None if there is None else there.link,
                    None if target is None else boundary.name,
                    (there.label if there is not None else None) or boundary.label,
                )
            )
        kinds = [each.kind for each in definition.outputs]
        promoted = self._promoted(node, definition)
        by_widget: dict[str, str] = {}
        for slot, target in zip(slots, self.targets(definition), strict=True):
            if target is not None:
                by_widget.setdefault(target.input, slot.name)
        return Layout(slots, kinds, Filled(), None, definition, promoted, by_widget)

    def _promoted(self, node: Node, definition: Graph) -> dict[int, Any]:
        """The values that a subgraph node holds for its inputs that lead to widgets."""
        targets = self.targets(definition)
        by_name = set_aside(node)
        rest = iter(node.values if isinstance(node.values, list) else ())
        values = {}
        for place, (boundary, target) in enumerate(zip(definition.inputs, targets, strict=True)):
            if target is None:
                continue
            value = next(rest, MISSING)
            value = by_name.get(boundary.name, value)
            values[place] = self.own_value(definition, target) if value is MISSING else value
        places = {target: place for place, target in reversed(list(enumerate(targets))) if target is not None}
        names = {each.name: place for place, each in reversed(list(enumerate(definition.inputs)))}
        pairs = list(zip(read_pairs(node), node.values if isinstance(node.values, list) else (), strict=False))
        pairs.sort(key=lambda each: each[0].node == ITSELF)  # what the node says of its own input counts most
        for pair, value in pairs:
            target = self._shown(definition, pair)
            shown = names.get(pair.widget) if target is None else places.get(target)
            if shown in values and (target is not None or pair.node == ITSELF):
                values[shown] = value
        return {place: value for place, value in values.items() if value is not MISSING}

    def _target(self, definition: Graph, links: tuple[str, ...]) -> Target | None:
        for each in links:
            link = definition.links.get(each)
            node = None if link is None else definition.nodes.get(link.target)
            slot = None if node is None else self.of(node).by_link.get(each)
            if node is not None and slot is not None and self._is_widget(node, slot):
                return Target(node.id, slot.name)
        return None

    def _is_widget(self, node: Node, slot: Input) -> bool:
        """Whether an input has a widget that the server knows."""
        layout = self.of(node)
        return slot.widget is not None and (layout.node_class is not None or layout.definition is not None)

    def _shown(self, definition: Graph, pair: Pair) -> Target | None:
        """The inner widget that a pair names; None if it cannot take a link."""
        node = definition.nodes.get(pair.node)
        if node is None:
            return None
        layout = self.of(node)
        name = pair.widget
        for _ in range(DEEPEST):
            place = layout.places.get(name)
            if place is not None and layout.slots[place].widget is not None:
                return Target(node.id, name)
            older = _OLD_NAME.match(name)
            if older is None:
                break
            name = older[1]
        inner = layout.by_widget.get(pair.widget)
        return None if inner is None else Target(node.id, inner)


def _slots(node: Node, filled: Filled) -> Iterator[Input]:
    """The inputs of a node with a known class: declared ones first, then those that only the file has."""
    given = _by_name(node.inputs)
    rest = dict(given)
    for declared in filled.inputs:
        if declared.kind == AUTOGROW:
            prefix = f"{declared.name}."
            for name in [name for name in rest if name.startswith(prefix)]:
                yield _without_widget(rest.pop(name))
            continue
        there = given.get(declared.name)
        rest.pop(declared.name, None)
        kind = declared.kind if declared.kind != MATCH_TYPE or there is None else there.kind
        yield Input(
            declared.name,
            kind,
            None if there is None else there.link,
            declared.name if declared.is_widget else None,
            None if there is None else there.label,
        )
    choices = tuple(f"{each.name}." for each in filled.inputs if each.look == DYNAMIC_COMBO)
    for name, there in rest.items():
        is_gone = there.widget is not None and there.widget not in filled.widgets
        if not is_gone and not name.startswith(choices):  # such inputs belong to a choice that is not selected
            yield _without_widget(there)


def _by_name(inputs: list[Input]) -> dict[str, Input]:
    """Inputs in their order; of two with the same name, the first."""
    found: dict[str, Input] = {}
    for each in inputs:
        found.setdefault(each.name, each)
    return found


def _without_widget(there: Input) -> Input:
    return replace(there, widget=None)


def _output_kinds(node: Node, node_class: NodeClass) -> list[str]:
    """The types of the outputs: from the class, and from the file for further ones."""
    kinds = list(node_class.output_kinds)
    for place, kind in enumerate(kinds):
        if kind == MATCH_TYPE and place < len(node.output_kinds):
            kinds[place] = node.output_kinds[place]
    return kinds + node.output_kinds[len(kinds) :]

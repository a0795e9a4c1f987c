"""Places the nodes of a file as often as they run: those of a subgraph once for each of its subgraph nodes."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any

from comfybridge.workflow.editor.additions import PRIMITIVE, SETTER, VIRTUAL
from comfybridge.workflow.editor.layout import Layout, Layouts
from comfybridge.workflow.editor.rounding import NUMBERS, of_primitive, rounded
from comfybridge.workflow.editor.saved import BYPASSED, MUTED, Graph, Node
from comfybridge.workflow.editor.values import MISSING, Widget, held_by

_LINK_ID = re.compile(r"\d{1,15}", re.ASCII)


@dataclass(eq=False, slots=True)
class Placed:
    """A node at a place where it runs.

    Attributes:
        id: its id in the prompt, including the ids of surrounding nodes.
        within: the placed graph that contains it.
        written: values with which primitive nodes replaced those of its widgets, by name.
        held: values that the surrounding node holds for its inputs, by name.
        inside: for a subgraph node, its placed content.
    """

    id: str
    saved: Node
    layout: Layout
    within: Scope
    written: dict[str, Any] = field(default_factory=dict)
    held: dict[str, Any] = field(default_factory=dict)
    inside: Scope | None = None

    @property
    def is_muted(self) -> bool:
        """Whether it is muted: neither it nor its outputs are sent."""
        return self.saved.mode == MUTED

    @property
    def is_bypassed(self) -> bool:
        """Whether links bypass it."""
        return self.saved.mode == BYPASSED

    @property
    def is_virtual(self) -> bool:
        """Whether only the editor has such a node."""
        return self.saved.type in VIRTUAL and self.layout.node_class is None

    def value(self, name: str) -> Any:
        """The value of its widget of that name; MISSING if it has none."""
        if name in self.written:
            return self.written[name]
        widget = self.layout.filled.widgets.get(name)
        return MISSING if widget is None else widget.value


@dataclass(eq=False, slots=True)
class Scope:
    """A graph at a place where it runs.

    Attributes:
        owner: its subgraph node; None for the file's own graph.
        setters: its setters, by the name under which they pass on their input.
    """

    graph: Graph
    owner: Placed | None = None
    nodes: dict[str, Placed] = field(default_factory=dict)
    setters: dict[str, Placed] = field(default_factory=dict)


def place(root: Graph, layouts: Layouts) -> Scope:
    """Place the nodes of a file's graph, with all nested ones."""
    top = Scope(root)
    pending = [(top, "")]
    while pending:
        scope, prefix = pending.pop()
        for saved in scope.graph.nodes.values():
            scope.nodes[saved.id] = Placed(prefix + saved.id, saved, layouts.of(saved), scope)
        _hand_in(scope, layouts)
        _write(scope)
        for placed in scope.nodes.values():
            if placed.layout.definition is not None:
                placed.inside = Scope(placed.layout.definition, placed)
                pending.append((placed.inside, f"{placed.id}:"))
            elif placed.saved.type == SETTER and placed.is_virtual:
                scope.setters.setdefault(passed_name(placed), placed)
    return top


def passed_name(placed: Placed) -> str:
    """The name under which a setter passes on its input, and a getter takes it."""
    return str(first_value(placed.saved, ""))


def first_value(node: Node, otherwise: Any) -> Any:
    """The value of a node's first widget."""
    return node.values[0] if isinstance(node.values, list) and node.values else otherwise


def _hand_in(scope: Scope, layouts: Layouts) -> None:
    """Give the nodes of a subgraph the values that the surrounding node holds for them."""
    owner = scope.owner
    if owner is None:
        return
    for target, value in layouts.held(owner.saved, scope.graph):
        scope.nodes[target.node].held[target.input] = value


def _write(scope: Scope) -> None:
    """Have primitive nodes replace the values of the widgets that they are linked to."""
    primitives = {
        placed.saved.id for placed in scope.nodes.values() if placed.saved.type == PRIMITIVE and placed.is_virtual
    }
    if not primitives:
        return
    fed: dict[str, list[tuple[str, Placed, Widget]]] = {}
    for placed in scope.nodes.values():
        for slot in placed.layout.slots:
            link = scope.graph.links.get(slot.link) if slot.link is not None and slot.widget else None
            widget = placed.layout.filled.widgets.get(slot.name)
            if link is not None and link.origin in primitives and widget is not None:
                fed.setdefault(link.origin, []).append((link.id, placed, widget))
    for primitive, ends in fed.items():
        widgets = [(placed, widget) for _, placed, widget in sorted(ends, key=_by_number)]
        value = first_value(scope.nodes[primitive].saved, MISSING)
        if value is not MISSING:
            _write_to(widgets, value)


def _by_number(end: tuple[str, Placed, Widget]) -> int | float:
    """Sorts links by their ids, as the editor keeps them; those that are no numbers come last."""
    return int(end[0]) if _LINK_ID.fullmatch(end[0]) else math.inf


def _write_to(widgets: list[tuple[Placed, Widget]], value: Any) -> None:
    """Give the widgets that a primitive node is linked to its value."""
    value = of_primitive(value, [widget.declared for _, widget in widgets])
    for placed, widget in widgets:
        declared = widget.declared
        is_number = declared.look in NUMBERS
        written = rounded(value, declared.look, declared.options) if is_number else held_by(declared, value)
        if written is not MISSING:
            placed.written[declared.name] = written

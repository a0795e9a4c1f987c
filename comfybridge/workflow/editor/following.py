"""Follows links to their real origin: past muted and bypassed nodes and reroutes, in and out of subgraphs.

Each step leads to exactly one other place, so a link is followed in a loop, and results are remembered for each
place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from comfybridge.errors import InvalidWorkflow
from comfybridge.workflow.editor.additions import GETTER, PASSING
from comfybridge.workflow.editor.placing import Placed, passed_name
from comfybridge.workflow.editor.saved import ENTRANCE, Link
from comfybridge.workflow.editor.sentences import named
from comfybridge.workflow.wording import clip

ANYTHING = ("*", "", "0")


@dataclass(frozen=True, slots=True)
class Output:
    """An output of a node that is sent: the origin of a link."""

    node: Placed
    slot: int


@dataclass(frozen=True, slots=True)
class Held:
    """A value that takes the place of a link.

    Attributes:
        by: the subgraph node that holds the value.
        name: the name of its widget there.
        label: the author's own name for it, if any.
    """

    value: Any
    by: Placed
    name: str
    label: str | None


Source = Output | Held | None
_Place = tuple[Placed, int, bool, str | None]  # a node, the number of its output or else input, the type wanted


class Following:
    """Follows links, and remembers their origins."""

    def __init__(self) -> None:
        """Start without any remembered links."""
        self._known: dict[tuple[int, int, bool, str | None], Source] = {}

    def source(self, node: Placed, index: int) -> Source:
        """The origin of an input's link, or the value in its place; None if there is neither.

        Raises:
            InvalidWorkflow: the links form a cycle, or lead through a subgraph from its input straight to its output.
        """
        step: _Place | Output | Held | None = (node, index, False, None)
        trail: dict[tuple[int, int, bool, str | None], None] = {}
        while isinstance(step, tuple):
            key = (id(step[0]), *step[1:])
            if key in self._known:
                step = self._known[key]
                break
            if key in trail:
                raise InvalidWorkflow(f"{named(step[0].saved, step[0].id)}: its links go in a circle.")
            trail[key] = None
            step = _next(*step)
        for key in trail:
            self._known[key] = step
        return step


def _next(node: Placed, index: int, is_output: bool, wanted: str | None) -> _Place | Source:
    if is_output:
        return _behind_output(node, index, wanted or "*")
    return _before_input(node, index, wanted)


def _before_input(node: Placed, index: int, wanted: str | None) -> _Place | Source:
    """The place that an input of a node is linked to."""
    slot = node.layout.slots[index]
    if slot.name in node.held and node.within.owner is not None:
        return Held(node.held[slot.name], node.within.owner, slot.name, slot.label)
    link = node.within.graph.links.get(slot.link) if slot.link is not None else None
    if link is None:
        return None
    if link.origin == ENTRANCE and node.within.owner is not None:
        return _before_entrance(node.within.owner, link.origin_slot)
    return _origin(node, link, slot.kind if wanted is None else wanted)


def _before_entrance(owner: Placed, index: int) -> _Place | Source:
    """The outer origin of a link from an input of a subgraph."""
    slots = owner.layout.slots
    if not 0 <= index < len(slots):
        return None
    if slots[index].name not in owner.held and not _is_linked(owner, index):
        promoted, slot = owner.layout.promoted or {}, slots[index]
        return Held(promoted[index], owner, slot.name, slot.label) if index in promoted else None
    return (owner, index, False, None)


def _is_linked(node: Placed, index: int) -> bool:
    link = node.layout.slots[index].link
    return link is not None and link in node.within.graph.links


def _origin(node: Placed, link: Link, wanted: str) -> _Place:
    origin = node.within.nodes.get(link.origin)
    if origin is None:
        raise InvalidWorkflow(
            f"{named(node.saved, node.id)}: a link comes from node {clip(link.origin)}, which is not there; "
            "the editor itself can't queue that."
        )
    return (origin, link.origin_slot, True, wanted)


def _behind_output(node: Placed, index: int, wanted: str) -> _Place | Source:
    """The origin behind an output of a node."""
    if node.is_muted:
        return None
    if node.is_bypassed:
        place = _way_past(node, index, wanted)
        return None if place is None else (node, place, False, None)
    if node.inside is not None:
        return _behind_subgraph(node, index, wanted)
    if not node.is_virtual:
        return Output(node, index)
    if node.saved.type == GETTER:
        return _behind_getter(node, wanted)
    if node.saved.type in PASSING and 0 <= index < len(node.layout.slots):
        return (node, index, False, wanted)
    return None


def _behind_subgraph(node: Placed, index: int, wanted: str) -> _Place | None:
    assert node.inside is not None
    graph = node.inside.graph
    outputs = graph.outputs
    link_id = next(iter(outputs[index].links), None) if 0 <= index < len(outputs) else None
    link = graph.links.get(link_id) if link_id is not None else None
    if link is None:
        return None
    if link.origin == ENTRANCE:
        raise InvalidWorkflow(
            f"{named(node.saved, node.id)}: its subgraph hands the input {clip(graph.inputs[link.origin_slot].name)} "
            "straight to an output, which the editor itself can't queue; link past the subgraph instead."
            if 0 <= link.origin_slot < len(graph.inputs)
            else f"{named(node.saved, node.id)}: its subgraph hands an input straight to an output."
        )
    origin = node.inside.nodes.get(link.origin)
    return None if origin is None else (origin, link.origin_slot, True, wanted)


def _behind_getter(node: Placed, wanted: str) -> _Place | None:
    name = passed_name(node)
    setter = node.within.setters.get(name)
    if setter is None:
        raise InvalidWorkflow(
            f"{named(node.saved, node.id)}: no SetNode beside it sets {clip(name)}, so it is not known what it gives."
        )
    return (setter, 0, False, wanted) if setter.layout.slots else None


def _way_past(node: Placed, index: int, wanted: str) -> int | None:
    """The input at which a link continues past a bypassed node; None if there is none."""
    slots = node.layout.slots
    if wanted in ANYTHING:
        return (index if 0 <= index < len(slots) else 0) if slots else None
    kinds = node.layout.output_kinds
    own = kinds[index] if 0 <= index < len(kinds) else "*"
    if 0 <= index < len(slots) and suits(slots[index].kind, own) and suits(slots[index].kind, wanted):
        return index
    exact = (place for place, slot in enumerate(slots) if slot.kind == wanted)
    fitting = (place for place, slot in enumerate(slots) if suits(slot.kind, own) and suits(slot.kind, wanted))
    return next(exact, next(fitting, None))


def suits(first: str, second: str) -> bool:
    """Whether an output of one type can be linked to an input of the other."""
    if first in ANYTHING or second in ANYTHING:
        return True
    kinds, others = set(first.lower().split(",")), set(second.lower().split(","))
    return not kinds.isdisjoint(others) or not (kinds | others).isdisjoint(ANYTHING)

"""What the author of a graph wrote beside it: titles of nodes, labels of inputs, and the widgets that subgraphs show.

None of it decides where links do. It tells which of several texts is a person's, and what a value is for that links
lead to only through a calculation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Protocol

from comfybridge.workflow.graph import Graph
from comfybridge.workflow.names import word_set, words
from comfybridge.workflow.parameters import Target

# words of a title that say what a node is, and not what it is for: `Int (Width)`
_WHAT_IT_IS = word_set("int integer float number string text multiline primitive value input boolean the of box")
# what each value is called, one set of words for each way to say it
_CALLED: Mapping[str, frozenset[frozenset[str]]] = {
    name: frozenset(word_set(each) for each in said.split(","))
    for name, said in {
        "prompt": "prompt,positive,positive prompt,user prompt,user,prompt positive",
        "negative_prompt": "negative,negative prompt",
        "seed": "seed,noise seed,random seed",
        "steps": "steps,sampling steps",
        "cfg": "cfg,cfg scale,guidance scale",
        "width": "width,video width,image width",
        "height": "height,video height,image height",
        "batch_size": "batch size,batch",
        "denoise": "denoise,denoise strength",
        "aspect_ratio": "aspect ratio",
        "resolution": "resolution",
        "duration": "duration,video duration,seconds,duration seconds",
        "length": "length,video length,frames,frame count,frame counts,video frames,number frames",
        "fps": "fps,frame rate,framerate,frames per second,video fps",
    }.items()
}
_TEXTS = ("prompt", "negative_prompt", "aspect_ratio", "resolution")

_SYSTEM = word_set("system instruction instructions template rewrite trigger rule rules prefix suffix schema")
_PERSON = word_set("user prompt positive")
# nodes whose text is data that they pick something from
_PICKS = word_set("regex json split lines line list csv extract")


class ShownWidget(Protocol):
    """A widget inside a subgraph that the node around it shows."""

    @property
    def node(self) -> str:
        """The id of the node around it."""

    @property
    def name(self) -> str:
        """The name of the widget there."""

    @property
    def label(self) -> str | None:
        """What the author called it instead."""

    @property
    def targets(self) -> Sequence[tuple[str, str]]:
        """The inputs of the graph that hold its value, as (node id, input)."""


class Said(Protocol):
    """What the file of an editor says beside the graph that was made of it: a `Conversion`."""

    @property
    def titles(self) -> Mapping[str, str]:
        """The titles that the author gave to nodes."""

    @property
    def shown(self) -> Sequence[ShownWidget]:
        """The widgets of subgraphs that their nodes show."""


class Authored:
    """What was written beside a graph.

    Args:
        graph: in API format; its nodes may have titles in `_meta`.
        said: what the editor's file says, if the graph was made of one.
    """

    def __init__(self, graph: Graph, said: Said | None) -> None:
        self._graph = graph
        self._said = said

    def title(self, node: str) -> str:
        """The title of a node; empty if its author gave it none."""
        if self._said is not None:
            return self._said.titles.get(node, "")
        meta = self._graph[node].get("_meta")
        title = meta.get("title") if isinstance(meta, dict) else None
        return title if isinstance(title, str) else ""

    @cached_property
    def shown(self) -> dict[Target, str]:
        """The inputs that subgraphs show, with the names that people read there."""
        found: dict[Target, str] = {}
        for each in self._said.shown if self._said is not None else ():
            for node, name in each.targets:
                found[Target(node, name)] = each.label or each.name
        return found

    @cached_property
    def together(self) -> dict[Target, list[Target]]:
        """The inputs that one widget of a subgraph sets together, by each of them."""
        found: dict[Target, list[Target]] = {}
        for each in self._said.shown if self._said is not None else ():
            targets = [Target(*target) for target in each.targets]
            found.update(dict.fromkeys(targets, targets))
        return found

    @cached_property
    def is_silent(self) -> bool:
        """Whether nothing that was written names a parameter."""
        return not self._called and not self.labelled

    @cached_property
    def labelled(self) -> list[tuple[str, list[Target]]]:
        """The inputs that subgraphs of the graph itself show under a label, by the name that is made of it."""
        found: dict[str, list[list[Target]]] = {}
        for each in self._said.shown if self._said is not None else ():
            name = "_".join(words(each.label)) if each.label and ":" not in each.node else ""
            if name:
                found.setdefault(name, []).append([Target(*target) for target in each.targets])
        return [(name, places[0]) for name, places in found.items() if len(places) == 1]

    def rank(self, target: Target) -> int:
        """How surely a text is one that a person writes: 2 if it is called so, below 0 if it is not."""
        if not _PICKS.isdisjoint(words(self._graph[target.node]["class_type"])):
            return -2
        label = self.shown.get(target)
        said = {*words(self.title(target.node)), *words(label or "")}
        if not _SYSTEM.isdisjoint(said):
            return -1
        return 2 if not _PERSON.isdisjoint(said) else int(label is not None)

    def called(self, name: str) -> list[Target]:
        """The inputs that have the meaning of a parameter by a label, or by the title of their node."""
        return self._called.get(name, [])

    @cached_property
    def _called(self) -> dict[str, list[Target]]:
        by_words = {said: name for name, ways in _CALLED.items() for said in ways}
        found: dict[str, dict[Target, None]] = {}
        for target, said in self._names():
            name = by_words.get(frozenset(words(said)) - _WHAT_IT_IS)
            if name is not None and _fits(name, self._value(target)):
                found.setdefault(name, {})[target] = None
        return {name: list(targets) for name, targets in found.items()}

    def _names(self) -> Iterator[tuple[Target, str]]:
        """Inputs, and what their author called them."""
        yield from self.shown.items()
        for node, each in self._graph.items():
            if len(each["inputs"]) == 1:
                ((name, value),) = each["inputs"].items()
                if not isinstance(value, (list, dict)):
                    yield Target(node, name), self.title(node)

    def _value(self, target: Target) -> Any:
        node = self._graph.get(target.node)
        return node["inputs"].get(target.input) if node else None


def _fits(name: str, value: Any) -> bool:
    if isinstance(value, bool):
        return False
    return isinstance(value, str) if name in _TEXTS else isinstance(value, (int, float))

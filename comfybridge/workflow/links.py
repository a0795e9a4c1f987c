"""Walking up a graph's links: from an input to the literal that it gets its value from."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Literal

from comfybridge.workflow.graph import Graph, is_link
from comfybridge.workflow.parameters import Target

Kind = Literal["string", "integer", "number"]
Source = tuple[str, int]

# of the walks through one graph, all together, which take some 0.5 s; a graph of 1,000 nodes takes some 5,000
MOST_STEPS = 150_000

# what nodes that hold one value call it, in core and in the usual node packs
HOLDERS = ("value", "seed", "noise_seed", "int", "integer", "float", "number", "Number", "Value")
TEXT_NAME = re.compile(r"^(value|text|string|prompt|str|positive|negative)([_ ]?[a-z0-9]+)?$", re.IGNORECASE)
# texts that are no prose: chosen from a list, so never put together from parts
CHOICES = ("sampler_name", "scheduler")
# what passes only in its own kind of link, and never brings a value, a prompt or a latent along
EQUIPMENT = ("model", "clip", "vae")


class Walked(Graph):
    """A graph that nobody changes while it is walked, which remembers what was found out on the way.

    Many walks lead through the same nodes: without a memory, a row of nodes that each ask where a long chain ends
    takes the square of their number. And it counts the steps: at its end, nothing more is found.
    """

    def __init__(self, graph: Graph) -> None:
        super().__init__(graph)
        self.steps_left = MOST_STEPS
        self.links: dict[str, dict[str, Source]] = {}
        self.ends: dict[tuple[str, Kind], dict[str, Target | None]] = {}


def may_go_on(graph: Graph) -> bool:
    """Whether one more node may be looked at."""
    if not isinstance(graph, Walked):
        return True
    graph.steps_left -= 1
    return graph.steps_left >= 0


def links(graph: Graph, node: str) -> dict[str, Source]:
    """The links into a node by input name: the node each comes from, and the slot of its output."""
    if isinstance(graph, Walked):
        known = graph.links.get(node)
        if known is None:
            known = graph.links[node] = _links(graph, node)
        return known
    return _links(graph, node)


def _links(graph: Graph, node: str) -> dict[str, Source]:
    inputs = graph[node]["inputs"]
    return {
        name: (str(value[0]), value[1]) for name, value in inputs.items() if is_link(value) and str(value[0]) in graph
    }


def literal_value(graph: Graph, target: Target) -> Any:
    """The value of an input; None if it is a link or absent."""
    value = graph[target.node]["inputs"].get(target.input)
    return None if isinstance(value, (list, dict)) else value


def is_kind(value: object, kind: Kind) -> bool:
    """Whether a literal is of the kind that an input takes."""
    if kind == "string":
        return isinstance(value, str)
    if kind == "integer":
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def follow(graph: Graph, node: str, name: str, kind: Kind) -> Target | None:
    """Where the value of an input is really set: the input itself, or the literal that its link leads to."""
    value = graph[node]["inputs"].get(name)
    if not isinstance(value, (list, dict, bool)) and value is not None:
        return Target(node, name)
    start = links(graph, node).get(name)
    if start is None:
        return None
    expand = _texts if kind == "string" and name not in CHOICES else _values
    # what a text is called makes no difference to where it comes from
    key = ("", kind) if expand is _texts else (name, kind)
    ends = graph.ends.setdefault(key, {}) if isinstance(graph, Walked) else {}
    return _end(start[0], lambda each: expand(graph, each, name, kind), ends)


def _end(start: str, expand: Callable[[str], list[str | Target]], ends: dict[str, Target | None]) -> Target | None:
    """The first target up from a node, the ways up in their order; `ends` has those of nodes that were looked at."""
    if start in ends:
        return ends[start]
    ends[start] = None
    way = [(start, iter(expand(start)))]
    while way:
        found = None
        for each in way[-1][1]:
            if isinstance(each, Target):
                found = each
            elif each in ends:
                found = ends[each]
            else:
                ends[each] = None
                way.append((each, iter(expand(each))))
                break
            if found is not None:
                ends.update((node, found) for node, _ in way)
                return found
        else:
            way.pop()
    return None


def _texts(graph: Graph, node: str, name: str, kind: Kind) -> list[str | Target]:
    """Where a text may come from: of a concatenation, what is linked before what is written into it.

    The part that somebody took the trouble to wire up is the one meant to change; the literals are decoration.
    """
    inputs, linked = graph[node]["inputs"], links(graph, node)
    wired = [origin for each, (origin, _) in linked.items() if TEXT_NAME.match(each)]
    written = [each for each, value in inputs.items() if isinstance(value, str) and TEXT_NAME.match(each)]
    if wired or written:
        return [*wired, *(Target(node, each) for each in written)]
    strings = [each for each, value in inputs.items() if isinstance(value, str)]
    if not linked and len(strings) == 1:
        return [Target(node, strings[0])]
    return _through(graph, node)


def _values(graph: Graph, node: str, name: str, kind: Kind) -> list[str | Target]:
    inputs = graph[node]["inputs"]
    found = next((each for each in (name, *HOLDERS) if is_kind(inputs.get(each), kind)), None)
    if found is not None:
        return [Target(node, found)]
    fitting = [each for each, value in inputs.items() if is_kind(value, kind)]
    if len(fitting) == 1 and not links(graph, node):
        return [Target(node, fitting[0])]
    return _through(graph, node)


def _through(graph: Graph, node: str) -> list[str | Target]:
    """The one node behind a node that only passes something on; one that computes is not looked through."""
    inputs, linked = graph[node]["inputs"], links(graph, node)
    return [origin for origin, _ in linked.values()] if len(linked) == len(inputs) == 1 else []


def reach(graph: Graph, node: str, link: str, wanted: Callable[[str], bool]) -> str | None:
    """The first node that fits, going up a link and through whatever passes the same thing on."""
    seen = {node}
    here = links(graph, node).get(link)
    while here is not None and here[0] not in seen:
        node = here[0]
        seen.add(node)
        linked = links(graph, node)
        if link not in linked and wanted(node):
            return node
        passing = [each for each in linked if each not in EQUIPMENT]
        here = linked.get(link) or (linked[passing[0]] if len(passing) == 1 else None)
    return None

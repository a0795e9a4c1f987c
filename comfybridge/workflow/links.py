"""Walks up a graph's links, from an input to the literal that provides its value.

What an output means is told by names: the output's own, where a server or the class tells it, else the role of the
input that the link leads to, which the node's inputs are searched for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any, Literal

from comfybridge.workflow.authored import Authored, Said
from comfybridge.workflow.effective import Note, dead_ends, effective_graph
from comfybridge.workflow.facts import Facts, known_outputs, output_side
from comfybridge.workflow.graph import Graph, is_link
from comfybridge.workflow.names import Side, is_bundle, is_prose, is_text, plain, side, word_set, words
from comfybridge.workflow.parameters import SEED_INPUTS, Target

Kind = Literal["string", "integer", "number"]
Source = tuple[str, int]

# of the walks through one graph, all together, which take some 0.5 s; a graph of 1,000 nodes takes some 5,000
MOST_STEPS = 50_000

# what nodes that hold one value call it, in core and in the usual node packs
HOLDERS = ("value", "seed", "noise_seed", "int", "integer", "float", "number", "Number", "Value")
# texts that are not prose: chosen from a list, so never composed
CHOICES = ("sampler_name", "scheduler")
# what passes only in its own kind of link, and never brings a value, a prompt or a latent along
EQUIPMENT = ("model", "clip", "vae")
# texts of one node that are set together: the second is made of the first when the prompt is queued, or says the same
# to another encoder
TWINS = (
    ("wildcard_text", "populated_text"),
    ("text_positive_g", "text_positive_l"),
    ("text_negative_g", "text_negative_l"),
    ("pos_g", "pos_l"),
    ("neg_g", "neg_l"),
)
# what the place of a text is called in a template
_PLACEHOLDERS = word_set("prompt user text input caption description")
# values that come in pairs; an output's name shows which of them it returns
_PAIRED = ({"width", "height"}, {"empty_latent_width", "empty_latent_height"})


class Walked(Graph):
    """The effective part of a graph, which must not change while it is walked; caches what it finds.

    Many walks lead through the same nodes: without a memory, a row of nodes that each ask where a long chain ends
    takes the square of their number. And it counts the steps: at its end, nothing more is found.

    Attributes:
        unknown: the classes with questions that only a server can answer.
        notes: the inputs left out, by node.
        met: the notes of nodes that walks came to since this was emptied.
        authored: what its author wrote beside it.
    """

    def __init__(self, graph: Graph, facts: Facts | None = None, authored: Said | None = None) -> None:
        effective, self.notes = effective_graph(graph)
        super().__init__(effective)
        self.authored = Authored(self, authored)
        self.steps_left = MOST_STEPS
        self.links: dict[str, dict[str, Source]] = {}
        self.ends: dict[tuple[str, Kind, Side | None], dict[Source, Target | None]] = {}
        self.unknown: set[str] = set()
        self.met: dict[str, Note] = {}
        self._facts = facts

    @cached_property
    def dead(self) -> set[str]:
        """The nodes that do not affect any output."""
        return dead_ends(self)

    def outputs(self, node: str) -> tuple[str, ...] | None:
        """The names of a node's outputs, if they are known."""
        class_type = self[node]["class_type"]
        known = known_outputs(class_type)
        if known is not None:
            return known
        self.unknown.add(class_type)
        facts = self._facts(class_type) if self._facts else None
        return tuple(facts.output_names) if facts else None

    def look_at(self, node: str) -> None:
        """Remember that a walk visited a node, if there are notes about it."""
        if node in self.notes:
            self.met[node] = self.notes[node]


def may_go_on(graph: Walked) -> bool:
    """Whether one more node may be visited."""
    graph.steps_left -= 1
    return graph.steps_left >= 0


def links(graph: Walked, node: str) -> dict[str, Source]:
    """The links into a node by input name: the node each comes from, and the slot of its output."""
    known = graph.links.get(node)
    if known is None:
        inputs = graph[node]["inputs"]
        known = graph.links[node] = {
            name: (str(value[0]), value[1])
            for name, value in inputs.items()
            if is_link(value) and str(value[0]) in graph
        }
    return known


def before(graph: Walked, nodes: Iterable[str]) -> set[str]:
    """The nodes that others get something from, however indirectly."""
    seen: set[str] = set()
    pending = list(nodes)
    while pending:
        for origin, _ in links(graph, pending.pop()).values():
            if origin not in seen:
                seen.add(origin)
                pending.append(origin)
    return seen


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


def side_of(graph: Walked, here: Source, wanted: Side | None) -> Side | None:
    """The side of an output: by its name, else the side that is asked for."""
    return output_side(graph.outputs(here[0]), here[1]) or wanted


def bundles(graph: Walked, node: str) -> list[Source]:
    """The links into a node that bring a model, conditionings, a latent and settings in one."""
    found = [origin for name, origin in links(graph, node).items() if is_bundle(name)]
    # of several, the first counts; where they are merged, the last
    return found[::-1] if "merge" in words(graph[node]["class_type"]) else found


def follow(graph: Walked, node: str, name: str, kind: Kind, wanted: Side | None = None) -> Target | None:
    """The place where the value of an input is set: the input itself, or the literal that its link leads to.

    Args:
        wanted: the side of the sampler that a text is for.
    """
    value = graph[node]["inputs"].get(name)
    if not isinstance(value, (list, dict, bool)) and value is not None:
        return Target(node, name)
    start = links(graph, node).get(name)
    return follow_source(graph, start, name, kind, wanted) if start else None


def follow_source(graph: Walked, start: Source, name: str, kind: Kind, wanted: Side | None = None) -> Target | None:
    """The literal that an output's value comes from, as an input called `name` is to get it."""
    is_prose = kind == "string" and name not in CHOICES

    def expand(here: Source) -> Iterable[Source | Target]:
        return texts_before(graph, here, wanted) if is_prose else _values(graph, here, plain(name), kind)

    # the name of a text does not affect its origin
    ends = graph.ends.setdefault(("", kind, wanted) if is_prose else (name, kind, None), {})
    return _end(start, expand, ends)


def with_twins(graph: Walked, target: Target) -> list[Target]:
    """A text, and the other one of its node that stands for the same."""
    inputs = graph[target.node]["inputs"]
    for pair in TWINS:
        if target.input in pair and all(isinstance(inputs.get(name), str) for name in pair):
            return [Target(target.node, name) for name in pair]
    return [target]


def _end(
    start: Source, expand: Callable[[Source], Iterable[Source | Target]], ends: dict[Source, Target | None]
) -> Target | None:
    """The first target up from an output, taking the ways up in order; `ends` has those already visited."""
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
                ends.update((source, found) for source, _ in way)
                return found
        else:
            way.pop()
    return None


def texts_before(graph: Walked, here: Source, wanted: Side | None) -> list[Source | Target]:
    """Where a text may come from: of a concatenation, what is linked before what is written into it.

    The part that the author wired up is the one meant to change; the literals are decoration.
    """
    node = here[0]
    graph.look_at(node)
    inputs, linked = graph[node]["inputs"], links(graph, node)
    if "replace" in linked and _stands_for_text(inputs.get("find", inputs.get("regex_pattern"))):
        return [linked["replace"]]
    names = [name for name in inputs if is_text(name)]
    if any(side(name) for name in names):
        one = side_of(graph, here, wanted) or "positive"
        names = [name for name in names if side(name) == one] or [name for name in names if side(name) is None]
        if not names:
            return list(bundles(graph, node))
    if takes_picture(graph, node):
        # a caption, unless it is asked for in words
        names = [name for name in names if {"prompt", "question"} & set(words(name))]
        return [*_wired(linked, names), *_written(node, inputs, names)]
    wired, written = _wired(linked, names), _written(node, inputs, names)
    if wired or written:
        return [*wired, *written]
    strings = [each for each, value in inputs.items() if isinstance(value, str)]
    if not linked and len(strings) == 1 and is_prose(strings[0]):
        return [Target(node, strings[0])]
    return _through(graph, node)


def _stands_for_text(placeholder: object) -> bool:
    """Whether what is to be replaced in a template, such as `{user_prompt}`, stands for a text of a person's."""
    return isinstance(placeholder, str) and not _PLACEHOLDERS.isdisjoint(words(placeholder))


def takes_picture(graph: Walked, node: str) -> bool:
    """Whether a picture is linked to a node."""
    return any(word in words(name) for name in links(graph, node) for word in ("image", "images", "pixels"))


def _wired(linked: dict[str, Source], names: list[str]) -> list[Source]:
    return [linked[name] for name in names if name in linked]


def _written(node: str, inputs: dict[str, Any], names: list[str]) -> list[Target]:
    return [Target(node, name) for name in names if isinstance(inputs[name], str)]


def _values(graph: Walked, here: Source, name: str, kind: Kind) -> list[Source | Target]:
    node = here[0]
    graph.look_at(node)
    inputs, linked = graph[node]["inputs"], links(graph, node)
    if any(name in pair and pair <= inputs.keys() for pair in _PAIRED):
        outputs = graph.outputs(node)
        named = outputs[here[1]].lower() if outputs and 0 <= here[1] < len(outputs) else name
        name = named if any(named in pair for pair in _PAIRED) else name
    if is_kind(inputs.get(name), kind):
        return [Target(node, name)]
    if name in linked:
        return [linked[name]]
    fitting = [each for each, value in inputs.items() if is_kind(value, kind)]
    # a node that has more than a number computes something, unless what the number is called says that it is the one
    holds = len(fitting) == 1 and (fitting[0] in HOLDERS or len(inputs) == 1 or _is_called(fitting[0], name, linked))
    if holds and (fitting[0] not in SEED_INPUTS or name in SEED_INPUTS):
        return [Target(node, fitting[0])]
    return list(bundles(graph, node)) or _through(graph, node)


def _is_called(number: str, name: str, linked: dict[str, Source]) -> bool:
    return not linked and name in words(number)


def _through(graph: Walked, node: str) -> list[Source | Target]:
    """The one node behind a node that only passes something on; one that computes is not looked through."""
    inputs, linked = graph[node]["inputs"], links(graph, node)
    return list(linked.values()) if len(linked) == len(inputs) == 1 else []


def reach(graph: Walked, node: str, link: str, wanted: Callable[[str], bool]) -> str | None:
    """The first node that fits, going up a link and through whatever passes the same thing on."""
    seen = {node}
    here = links(graph, node).get(link)
    while here is not None and here[0] not in seen:
        node = here[0]
        seen.add(node)
        graph.look_at(node)
        linked = links(graph, node)
        if link not in linked and wanted(node):
            return node
        passing = [each for each in linked if each not in EQUIPMENT]
        here = linked.get(link) or (linked[passing[0]] if len(passing) == 1 else None)
    return None

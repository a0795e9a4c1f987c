"""Nodes that make something of words without a sampler, as ComfyUI's partner nodes do."""

from __future__ import annotations

from comfybridge.workflow.conditionings import texts_of
from comfybridge.workflow.formats import own_formats
from comfybridge.workflow.links import Kind, Walked, follow, is_kind, links
from comfybridge.workflow.names import is_text, plain, side, word_set, words
from comfybridge.workflow.parameters import Target
from comfybridge.workflow.samplers import MOST_SAMPLERS

_FILES = word_set("image images video videos audio")
# what takes a text and makes nothing of it: a file's name, a label on a picture
_NO_MAKERS = word_set("save combine preview show note label draw overlay concatenate concat replace regex")


def find_makers(graph: Walked) -> list[str]:
    """The nodes that have a prompt of their own, in the graph's order.

    A node that only passes texts to others counts if there is no other, as in a graph that describes a picture.
    """
    sources = _text_sources(graph)
    negatives = {
        origin for node in graph for name, (origin, _) in links(graph, node).items() if side(name) == "negative"
    }
    found = [
        node
        for node in graph
        if not _NO_MAKERS.intersection(words(graph[node]["class_type"]))
        and not _only_holds_texts(graph, node)
        and node not in negatives
        and texts_of(graph, node, "positive")
    ]
    return ([node for node in found if node not in sources] or found)[:MOST_SAMPLERS]


def find_workers(graph: Walked, models: tuple[str, ...]) -> list[str]:
    """The nodes that make something of a picture, a video or a sound by a model of theirs, or to a resolution."""
    return [
        node
        for node in graph
        if any(not _FILES.isdisjoint(words(name)) for name in links(graph, node))
        and (own(graph, node, models, "string") or "resolution" in own_formats(graph, node))
    ][:MOST_SAMPLERS]


def _only_holds_texts(graph: Walked, node: str) -> bool:
    """Whether a node has nothing but texts, none of which is called a prompt."""
    return all(is_text(name) and "prompt" not in words(name) for name in graph[node]["inputs"])


def _text_sources(graph: Walked) -> set[str]:
    """The nodes that only pass texts to others."""
    fed: dict[str, list[str]] = {}
    for node in graph:
        for name, (origin, _) in links(graph, node).items():
            fed.setdefault(origin, []).append(name)
    return {node for node, names in fed.items() if all(is_text(name) or "prefix" in words(name) for name in names)}


def own(graph: Walked, node: str, names: tuple[str, ...], kind: Kind) -> Target | None:
    """The input of a node that has one of the names, or the literal that its link leads to."""
    inputs = {plain(name).lower(): name for name in reversed(graph[node]["inputs"])}
    for wanted in names:
        target = follow(graph, node, inputs[wanted], kind) if wanted in inputs else None
        if target is not None and is_kind(graph[target.node]["inputs"].get(target.input), kind):
            return target
    return None

"""The limits of seeds: a drawn one must fit every input that it reaches, and node classes differ in theirs."""

from __future__ import annotations

from collections.abc import Iterable

from comfybridge.workflow.facts import Facts, known_highest_seed
from comfybridge.workflow.graph import Graph, is_link
from comfybridge.workflow.names import plain, words
from comfybridge.workflow.parameters import Limits, Target

# classes of ComfyUI's own whose seeds have 64 bits (nodes.py, comfy_extras/nodes_custom_sampler.py)
_WIDE = frozenset(("KSampler", "KSamplerAdvanced", "SamplerCustom", "RandomNoise"))


def seed_limits(graph: Graph, targets: Iterable[Target], facts: Facts | None) -> Limits:
    """The lowest and the highest seed that all inputs take which these seeds reach, over links too.

    Args:
        facts: the server's description of node classes; without it, only built-in knowledge counts.
    """
    lowest: list[float] = []
    highest: list[float] = []
    for target in _reached(graph, targets):
        low, high = _limits(graph[target.node]["class_type"], target.input, facts)
        lowest += [] if low is None else [low]
        highest += [] if high is None else [high]
    return max(lowest, default=None), min(highest, default=None)


def _limits(class_type: str, input_name: str, facts: Facts | None) -> Limits:
    if class_type in _WIDE:
        return None, None
    known = known_highest_seed(class_type)
    if known is not None:
        return None, known
    told = facts(class_type) if facts else None
    return told.limits(input_name) if told else (None, None)


def _reached(graph: Graph, targets: Iterable[Target]) -> set[Target]:
    """The inputs themselves, and those that get a seed over links from their nodes."""
    reached = set(targets)
    feeds: dict[str, list[Target]] | None = None
    pending = [target.node for target in reached]
    while pending:
        node = pending.pop()
        feeds = _feeds(graph) if feeds is None else feeds
        for target in feeds.get(node, ()):
            if target not in reached:
                reached.add(target)
                pending.append(target.node)
    return reached


def _feeds(graph: Graph) -> dict[str, list[Target]]:
    """The inputs that a seed may be linked to, by the node that the link comes from."""
    feeds: dict[str, list[Target]] = {}
    for node, each in graph.items():
        for name, value in each["inputs"].items():
            if is_link(value) and ("seed" in words(plain(name)) or len(each["inputs"]) == 1):
                feeds.setdefault(str(value[0]), []).append(Target(node, name))
    return feeds

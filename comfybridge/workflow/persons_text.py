"""The text that a person writes, of those that a prompt is put together from: not the instructions around it."""

from __future__ import annotations

from comfybridge.workflow.links import Source, Walked, follow, links, texts_before
from comfybridge.workflow.names import Side
from comfybridge.workflow.parameters import Target

MOST_VISITS = 64  # of the nodes that a prompt is put together by
_SURE, _INSTRUCTIONS = 2, -1


def persons_text(graph: Walked, node: str, name: str, wanted: Side | None) -> Target | None:
    """Where the text of an input is really set; of several, the one that its author has marked as a person's.

    Args:
        wanted: the side of the sampler that the text is for.
    """
    first = follow(graph, node, name, "string", wanted)
    start = links(graph, node).get(name)
    if first is None or start is None or graph.authored.rank(first) == _SURE:
        return first
    above = _texts_above(graph, start, wanted)
    best = max(above, key=graph.authored.rank, default=first)
    rank = graph.authored.rank(best)
    if rank == graph.authored.rank(first):
        best = first
    # of two that are both called instructions, the second follows them
    return best if rank != _INSTRUCTIONS else [each for each in above if graph.authored.rank(each) == rank][-1]


def _texts_above(graph: Walked, start: Source, wanted: Side | None) -> list[Target]:
    """All texts that a text is made of, the nearest part in front."""
    found: list[Target] = []
    seen: set[Source] = set()
    pending: list[Source | Target] = [start]
    while pending and len(seen) < MOST_VISITS:
        here = pending.pop()
        if isinstance(here, Target):
            found.append(here)
        elif here not in seen:
            seen.add(here)
            pending.extend(reversed(texts_before(graph, here, wanted)))
    return found

"""Parameters by what the author of a graph has called them, where links lead to none."""

from __future__ import annotations

from comfybridge.workflow.links import Walked, literal_value
from comfybridge.workflow.parameters import Target

# what a title or a label may stand for, if links lead to no input
FALLBACKS = (
    "prompt",
    "negative_prompt",
    "seed",
    "steps",
    "cfg",
    "batch_size",
    "denoise",
    "aspect_ratio",
    "resolution",
    "duration",
    "length",
    "fps",
)
_PAIRS = (("width", "height"),)


def add_authored(graph: Walked, found: dict[str, list[Target]]) -> set[str]:
    """Add what is missing and has a name of the author's; return the names of the usual ones among them.

    Two inputs of the same name that differ are none. What a subgraph shows under a label has the label as its name.
    """
    added: set[str] = set()
    if graph.authored.is_silent:
        return added
    taken = {target for targets in found.values() for target in targets}
    for names in (*((name,) for name in FALLBACKS), *_PAIRS):
        if any(found.get(name) for name in names):
            continue
        called = {name: _called(graph, name, taken) for name in names}
        if all(called.values()):
            found.update(called)
            added.update(names)
            taken.update(target for targets in called.values() for target in targets)
    for name, targets in graph.authored.labelled:
        # a switch is not passed any more where it is known which way it is set
        held = [target for target in targets if target.node in graph and literal_value(graph, target) is not None]
        if held and not found.get(name) and taken.isdisjoint(held):
            found[name] = held
            taken.update(held)
    return added


def _called(graph: Walked, name: str, taken: set[Target]) -> list[Target]:
    """The inputs that the author calls so, if they all hold the same and something is made of them."""
    called = [
        target for target in graph.authored.called(name) if target not in taken and target.node not in graph.dead
    ]
    values = {literal_value(graph, target) for target in called}
    return called if len(values) == 1 and None not in values else []

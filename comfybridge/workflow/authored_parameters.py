"""Parameters by what the author of a graph has called them, where links lead to none."""

from __future__ import annotations

from comfybridge.workflow.links import Walked, before, literal_value
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
SIZE = ("width", "height")
# names that mean something else than a value under a label that is called so
_OTHERWISE = frozenset((*FALLBACKS, *SIZE, "image", "mask", "video", "audio"))
_TEXTS = ("model", "sampler_name", "scheduler", "lora_name")
_NUMBERS = ("guidance", "lora_strength")


def add_authored(graph: Walked, found: dict[str, list[Target]], size: Target | None) -> set[str]:
    """Add what is missing and has a name of the author's; return the names.

    Two inputs of the same name that differ are none. What a subgraph shows under a label has the label as its name.

    Args:
        size: a width or a height that is linked to no single value: what is called so must come before it.
    """
    added: set[str] = set()
    if graph.authored.is_silent:
        return added
    taken = {target for targets in found.values() for target in targets}
    first = None if size is None else before(graph, [size.node])
    for names in (*((name,) for name in FALLBACKS), *((SIZE,) if first is not None else ())):
        if any(found.get(name) for name in names):
            continue
        called = {name: _called(graph, name, taken, first if names == SIZE else None) for name in names}
        if all(called.values()):
            found.update(called)
            added.update(names)
            taken.update(target for targets in called.values() for target in targets)
    for name, targets in graph.authored.labelled:
        # a switch is not passed any more where it is known which way it is set
        held = [target for target in targets if target.node in graph and literal_value(graph, target) is not None]
        if held and not found.get(name) and taken.isdisjoint(held) and _may_be(name, literal_value(graph, held[0])):
            found[name] = held
            added.add(name)
            taken.update(held)
    return added


def _may_be(name: str, value: object) -> bool:
    """Whether a label is no name of a parameter that means another kind of value."""
    if name in _TEXTS:
        return isinstance(value, str)
    if name in _NUMBERS:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return name not in _OTHERWISE


def with_others(graph: Walked, targets: list[Target]) -> list[Target]:
    """The inputs of a parameter, and those that the same widget of a subgraph sets."""
    together = graph.authored.together
    others = [each for target in targets for each in together.get(target, ()) if each.node in graph]
    return list(dict.fromkeys([*targets, *others]))


def _called(graph: Walked, name: str, taken: set[Target], within: set[str] | None) -> list[Target]:
    """The inputs that the author calls so, if they all hold the same and something is made of them.

    Args:
        within: the nodes that may hold it; None for all.
    """
    called = [
        target
        for target in graph.authored.called(name)
        if target not in taken and target.node not in graph.dead and (within is None or target.node in within)
    ]
    values = {literal_value(graph, target) for target in called}
    return called if len(values) == 1 and None not in values else []

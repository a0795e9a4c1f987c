"""How many steps a node samples: written in the node itself, or in a scheduler or a settings node before it.

It serves to weigh nodes against each other, so a node that only looks like a sampler does no harm.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping
from typing import Any

from comfybridge.workflow.graph import is_link

MOST_STEPS = 10_000
# The steps assumed for a sampler that does not give a number.
USUAL_STEPS = 20
# how many nodes before a sampler are visited
MOST_VISITS = 64

SEEDS = ("seed", "noise_seed")
STARTS, ENDS = ("start_at_step", "start_step"), ("end_at_step", "end_step", "last_step")
# Nodes that make a number, a schedule or a model have steps, but don't take them.
PREPARES = re.compile(r"schedul|sigmas|loader|presampling|config|settings|params|select|guider|noise", re.IGNORECASE)
SAMPLES = re.compile(r"sampler|sampling|detailer|ultimatesdupscale", re.IGNORECASE)

Nodes = Mapping[str, Mapping[str, Any]]


def steps_of(graph: Nodes, node: str) -> int | None:
    """How many steps a node takes, as far as the graph shows; None if the node does not sample."""
    class_type, inputs = graph[node].get("class_type"), graph[node].get("inputs")
    if not isinstance(class_type, str) or not isinstance(inputs, Mapping) or PREPARES.search(class_type):
        return None
    origins = _origins(graph, inputs)
    if not origins:
        return None
    is_named = SAMPLES.search(class_type) is not None
    if "steps" in inputs:
        if not is_named and not any(name in inputs for name in SEEDS):
            return None
        return _part_of(graph, inputs, _number(graph, inputs["steps"]) or USUAL_STEPS)
    if "sigmas" in origins:
        return _upstream(graph, origins["sigmas"]) or USUAL_STEPS
    if not is_named:
        return None
    found = [_upstream(graph, each) for each in origins.values()]
    return next((each for each in found if each is not None), None)


def _part_of(graph: Nodes, inputs: Mapping[str, Any], steps: int) -> int:
    """The number of steps that a node takes if it takes only a part of them."""
    start = next((_number(graph, inputs[name]) or 0 for name in STARTS if name in inputs), 0)
    end = next((_number(graph, inputs[name]) for name in ENDS if name in inputs), None)
    until = steps if end is None or end < 0 else min(end, steps)
    return max(until - max(start, 0), 1)


def _upstream(graph: Nodes, node: str) -> int | None:
    """The steps that the nearest node requests, from a node upwards, that node included."""
    seen, pending = {node}, deque([node])
    while pending and len(seen) <= MOST_VISITS:
        inputs = graph[pending.popleft()].get("inputs")
        if not isinstance(inputs, Mapping):
            continue
        steps = _number(graph, inputs.get("steps"))
        if steps is not None:
            return steps
        for origin in _origins(graph, inputs).values():
            if origin not in seen:
                seen.add(origin)
                pending.append(origin)
    return None


def _number(graph: Nodes, value: object) -> int | None:
    """A number of steps, or the number at the end of a link: the only one that the node there contains."""
    for _ in range(MOST_VISITS):
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return int(min(max(value, -1), MOST_STEPS))
        if not is_link(value) or not isinstance(value, list):
            return None
        inputs = graph.get(str(value[0]), {}).get("inputs")
        if not isinstance(inputs, Mapping):
            return None
        numbers = [each for each in inputs.values() if isinstance(each, (int, float)) and not isinstance(each, bool)]
        links = [each for each in inputs.values() if is_link(each)]
        if len(numbers) + len(links) != 1:
            return None
        (value,) = numbers or links
    return None


def _origins(graph: Nodes, inputs: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value[0]) for name, value in inputs.items() if is_link(value) and str(value[0]) in graph}

"""How long a prompt's nodes will take on a server, estimated from earlier runs there.

A node's run is recorded under three keys: its class; its class with the models and sizes in its graph; and all of
these with its own settings. The most specific key that is known gives the best estimate.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from comfybridge.comfyui.node_clock import Spent
from comfybridge.comfyui.node_times import NodeTimes, Took
from comfybridge.workflow.graph import is_link
from comfybridge.workflow.steps import steps_of

# The weight, in steps, of a node that does not sample, if neither time is known.
PLAIN_STEPS = 0.5
# Larger graphs are not searched for steps.
MOST_SAMPLERS = 200

MODEL_FILES = (".safetensors", ".ckpt", ".gguf", ".sft", ".pt", ".pth", ".bin", ".onnx")
SIZES = {"width", "height", "batch_size", "length", "frames", "num_frames", "video_frames", "megapixels", "scale_by"}

# Inputs that differ between prompts without making a node slower, and those that are accounted for elsewhere.
NO_SETTING = re.compile(r"seed|steps?$|prefix|text|prompt", re.IGNORECASE)
LONGEST_CHOICE = 40  # characters of a value chosen from a list; longer ones were written by a person

Graph = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Expected:
    """How long one node is expected to take.

    Attributes:
        weight: in steps, for where no time is known.
        steps: how many steps it samples; None if it samples none, as far as the graph tells.
        seconds: in all; None if unknown.
        units: how many steps, or other units, it will report; None if unknown.
        unit_seconds: for each of them; None if unknown.
        tail: seconds after the last of them.
        is_alike: whether the estimate comes from runs with the same models and sizes.
    """

    weight: float
    steps: int | None
    seconds: float | None = None
    units: float | None = None
    unit_seconds: float | None = None
    tail: float = 0.0
    is_alike: bool = False


def learn(times: NodeTimes, graph: Graph, spent: Mapping[str, Spent], total: float | None) -> None:
    """Record how long the nodes of a finished prompt took.

    Args:
        total: seconds that the whole prompt ran, if that is known.
    """
    work = _work(graph)
    runs: list[tuple[Hashable, Took]] = []
    for node, each in spent.items():
        if node not in graph:
            continue
        steps = steps_of(graph, node) if each.units else None
        took = Took(each.seconds, each.units, each.unit_seconds, each.tail, steps)
        runs.extend((key, took) for key in _keys(graph[node], work))
    if total is not None:
        runs.append((_whole(graph, work), Took(total, 0, None, 0, None)))
    times.add(runs)


def expected_nodes(times: NodeTimes, graph: Graph, targets: Collection[str] | None) -> dict[str, Expected]:
    """How long each node that must run is expected to take, if it is not cached.

    Args:
        targets: the output nodes that the graph is run for; None: all.
    """
    work = _work(graph)
    expected: dict[str, Expected] = {}
    samplers = 0
    for node in graph if targets is None else needed(graph, targets):
        steps = steps_of(graph, node) if samplers < MOST_SAMPLERS else None
        samplers += steps is not None
        exactly, alike, of_class = _keys(graph[node], work)
        runs = times.of(exactly) or times.of(alike)
        expected[node] = _expected(runs or times.of(of_class), steps, is_alike=bool(runs))
    return expected


def expected_seconds(times: NodeTimes, graph: Graph) -> float | None:
    """How long a whole prompt will take, from runs with the same nodes, models, sizes and steps; None if unknown."""
    runs = times.of(_whole(graph, _work(graph)))
    return statistics.median_low(each.seconds for each in runs) if runs else None


def needed(graph: Graph, targets: Iterable[str], done: Collection[str] = ()) -> list[str]:
    """The nodes that must run for the targets, in the graph's order, without those that only finished nodes need."""
    found: set[str] = set()
    pending = [node for node in targets if node in graph and node not in done]
    while pending:
        node = pending.pop()
        if node in found:
            continue
        found.add(node)
        for value in _inputs(graph[node]).values():
            if is_link(value) and str(value[0]) in graph and str(value[0]) not in done:
                pending.append(str(value[0]))
    return [node for node in graph if node in found]


def _expected(runs: Sequence[Took], steps: int | None, *, is_alike: bool) -> Expected:
    weight = PLAIN_STEPS if steps is None else float(steps)
    if not runs:
        return Expected(weight, steps)
    seconds = _middle(each.seconds for each in runs)
    counted = [each for each in runs if each.unit_seconds is not None]
    if not counted:
        return Expected(weight, steps, seconds, is_alike=is_alike)
    rate = _middle(each.unit_seconds or 0.0 for each in counted)
    tail = _middle(each.tail for each in counted)
    asked = [each.units / each.steps for each in counted if each.steps]
    units = steps * _middle(asked) if steps is not None and asked else _middle(each.units for each in counted)
    # the time before the first step, in which a model may have been loaded
    lead = _middle(each.seconds - each.units * (each.unit_seconds or 0.0) - each.tail for each in counted)
    return Expected(weight, steps, max(lead, 0.0) + units * rate + tail, units, rate, tail, is_alike)


def _middle(values: Iterable[float]) -> float:
    """The median; of two values the smaller, because disturbances only make runs longer."""
    return statistics.median_low(values)


def _inputs(node: Mapping[str, Any]) -> Mapping[str, Any]:
    inputs = node.get("inputs")
    return inputs if isinstance(inputs, Mapping) else {}


def _keys(node: Mapping[str, Any], work: int) -> tuple[Hashable, Hashable, Hashable]:
    """The keys under which a node's runs are recorded, the most specific first; its steps are not part of them."""
    class_type = str(node.get("class_type"))
    settings = [
        (name, value)
        for name, value in _inputs(node).items()
        if isinstance(value, (int, float)) or (isinstance(value, str) and len(value) <= LONGEST_CHOICE)
        if not NO_SETTING.search(name)
    ]
    return (class_type, work, hash(tuple(settings))), (class_type, work), class_type


def _work(graph: Graph) -> int:
    """A number that identifies the models and sizes of a graph."""
    found: set[object] = set()
    for node in graph.values():
        for name, value in _inputs(node).items():
            if isinstance(value, str):
                if value.endswith(MODEL_FILES):
                    found.add(value)
            elif name in SIZES and isinstance(value, (int, float)):
                found.add((name, value))
    return hash(frozenset(found))


def _whole(graph: Graph, work: int) -> Hashable:
    """A number that stands for a graph's nodes, models, sizes and steps."""
    steps = [_inputs(node).get("steps") for node in graph.values()]
    classes = [str(node.get("class_type")) for node in graph.values()]
    return "whole", hash((work, *(each for each in steps if isinstance(each, int)), *sorted(classes)))

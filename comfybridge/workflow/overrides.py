"""Sets any input of any graph, addressed as `"NODE.INPUT"`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from comfybridge.errors import InvalidRequest
from comfybridge.workflow.graph import Graph, check_cycles, copy_value, is_link, parse_target, resolve_link, set_input
from comfybridge.workflow.parameters import Target
from comfybridge.workflow.wording import clip, listed

# returns the inputs that a node takes, by its class and its other inputs; None if the class is unknown
InputsOf = Callable[[Mapping[str, Any]], "set[str] | None"]


def apply_overrides(
    graph: Graph, overrides: Mapping[str, Any], optional_inputs: InputsOf | None = None
) -> dict[Target, Any]:
    """Set the inputs in the graph, and return the values set.

    Raises:
        InvalidRequest: a node or input does not exist, or a value can't be sent to ComfyUI.
        InvalidWorkflow: a link that was set closes a cycle.
    """
    found: dict[str, tuple[Target, Any]] = {}
    for name in sorted(overrides, key=lambda name: name.count(".")):  # a nested input is named after the outer one
        target = find_target(graph, name, optional_inputs)
        try:
            value = resolve_link(graph, copy_value(overrides[name]))
        except ValueError as error:
            raise InvalidRequest(f"{clip(name)} {error}.", field=name) from None
        set_input(graph, target.node, target.input, value)
        found[name] = target, value
    done = dict(found[name] for name in overrides)
    if any(is_link(value) for value in done.values()):
        check_cycles(graph)
    return done


def find_target(graph: Graph, name: str, optional_inputs: InputsOf | None = None) -> Target:
    """The input that `"NODE.INPUT"` names.

    Raises:
        InvalidRequest: there is no such node, or it takes no such input.
    """
    parsed = parse_target(name, graph)
    if parsed is None:
        raise InvalidRequest(f"{clip(name)} is not of the form NODE.INPUT.", field=name)
    node_id, input_name = parsed
    if node_id not in graph:
        raise InvalidRequest(
            f"{clip(name)}: the graph has no node {clip(node_id)}; its nodes are {listed(graph, node_id)}.",
            field=name,
        )
    node = graph[node_id]
    if input_name not in node["inputs"]:
        known = (optional_inputs(node) if optional_inputs else None) or set()
        if input_name not in known:
            inputs = [*node["inputs"], *sorted(known - node["inputs"].keys())]
            raise InvalidRequest(
                f"{clip(name)}: node {clip(node_id)} ({clip(node['class_type'])}) has no input {clip(input_name)}; "
                f"its inputs are {listed(inputs, input_name)}.",
                field=name,
            )
    return Target(node_id, input_name)

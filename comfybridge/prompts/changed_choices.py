"""Adapts the inputs that depend on a choice, such as the `format` of SaveImageAdvanced.

A user who changes the format in ComfyUI's editor gets the inputs of the new one, with values that it accepts. A
caller who sets nothing but the format means the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from comfybridge.comfyui.catalog import Catalog, NodeClass
from comfybridge.comfyui.dynamic_inputs import keys
from comfybridge.comfyui.widgets import accepts, default_of
from comfybridge.deadline import Deadline
from comfybridge.workflow.filling import Filled, given_targets, report, targets_of
from comfybridge.workflow.graph import Graph, set_input
from comfybridge.workflow.parameters import Target


def follow_choices(filled: Filled, catalog: Catalog, deadline: Deadline) -> None:
    """Fit inputs that depend on a choice to what the caller has chosen, and report those that have changed.

    Values that the caller has given stay, and so do values that the choice accepts. Values that it does not accept,
    and missing ones, become the default; inputs that do not belong to it are dropped.

    Raises:
        ComfyUIUnreachable, ComfyUIError, TimedOut: the server's description of a node is not available.
    """
    callers = given_targets(filled)
    changed: dict[Target, Any] = {}
    for target in sorted(callers, key=lambda each: each.input.count(".")):  # the outer choices decide on the inner
        node_class = _class_of(target, filled.graph, catalog, deadline)
        if node_class is not None:
            fixed = {each.input for each in callers if each.node == target.node}
            changed.update(_fitted(target, filled.graph, node_class, fixed))
    report(filled, {target: value for target, value in changed.items() if value is not None})
    gone = {target for target, value in changed.items() if value is None}
    for name in [*filled.params] if gone else []:
        targets = targets_of(name, filled.graph, filled.parameters)
        if targets and gone.issuperset(targets):
            del filled.params[name]


def _class_of(target: Target, graph: Graph, catalog: Catalog, deadline: Deadline) -> NodeClass | None:
    """The class of a node whose input may be such a choice; None if it is not one.

    The server is asked about an unknown class only if the graph shows inputs that depend on this one.
    """
    node = graph[target.node]
    class_type = node["class_type"]
    node_class = catalog.known(class_type)
    if node_class is None and any(name.startswith(f"{target.input}.") for name in node["inputs"]):
        node_class = catalog.node_class(class_type, deadline)
    if node_class is None or not node_class.has_dynamic_inputs:
        return None
    node_class = catalog.node_class(class_type, deadline)  # ComfyUI may have been updated
    if node_class is None:
        return None
    config = node_class.inputs(node["inputs"]).get(target.input)
    choices = None if config is None else keys(config)
    return node_class if choices is not None and node["inputs"][target.input] in choices else None


def _fitted(target: Target, graph: Graph, node_class: NodeClass, fixed: set[str]) -> Iterator[tuple[Target, Any]]:
    """Fit the inputs of a choice; returns the values that were set, and None for inputs that were dropped.

    Args:
        fixed: the inputs of the node that the caller has set.
    """
    inputs, begin = graph[target.node]["inputs"], f"{target.input}."
    seen: set[str] = set()
    while unseen := [
        (name, config)
        for name, config in node_class.inputs(inputs, with_rows=False).items()
        if name.startswith(begin) and name not in seen
    ]:
        name, config = unseen[0]  # a value that is set may bring other inputs
        seen.add(name)
        if name in fixed or (name in inputs and accepts(config, inputs[name])):
            continue
        value = default_of(config)
        if value is not None:
            set_input(graph, target.node, name, value)
            yield Target(target.node, name), value
    takes = node_class.inputs(inputs)
    for name in [name for name in inputs if name.startswith(begin) and name not in takes and name not in fixed]:
        if node_class.declarations(name):  # a node may read others than it declares
            del inputs[name]
            yield Target(target.node, name), None

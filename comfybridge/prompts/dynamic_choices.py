"""Choices that bring inputs of their own, such as the `format` of SaveImageAdvanced.

ComfyUI 0.33 does not look at them before the graph runs. With a format that does not exist, the node fails after all
before it have run; an input that the chosen format does not have is silently ignored.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from comfybridge.comfyui.catalog import Catalog, NodeClass
from comfybridge.comfyui.dynamic_inputs import keys
from comfybridge.deadline import Deadline
from comfybridge.errors import InvalidRequest, InvalidWorkflow
from comfybridge.prompts.refusals import does_not_fit, is_callers
from comfybridge.workflow.filling import Filled, given_targets
from comfybridge.workflow.graph import Graph, parse_target
from comfybridge.workflow.parameters import Target
from comfybridge.workflow.template import Template
from comfybridge.workflow.wording import clip, describe, listed


def check_dynamic_choices(filled: Filled, template: Template, catalog: Catalog, deadline: Deadline) -> None:
    """Refuse a choice that does not exist, and an input from the caller that does not belong to the choice.

    Args:
        template: what the graph was made of.

    Raises:
        InvalidWorkflow: names the choice, and those that exist.
        BrokenWorkflow: the same, where the choice is the template's own.
        InvalidRequest: names the input, and those that the node takes.
        ComfyUIUnreachable, ComfyUIError, TimedOut: the server's description of a node is not available.
    """
    wrong = dict(_wrong_choices(filled.graph, catalog, deadline))
    if wrong:
        said, given = f"{'; '.join(wrong.values())}.", given_targets(filled)
        if template.is_of_caller or any(is_callers(target, given) for target in wrong):
            raise InvalidWorkflow(said)
        raise does_not_fit(template, said)
    for node_id, name in _dotted(filled.given, filled.graph):
        node = filled.graph[node_id]
        node_class = catalog.node_class(node["class_type"], deadline)
        if node_class is None or not node_class.declarations(name):
            continue  # of a node that declares its inputs one by one
        takes = node_class.inputs(node["inputs"])
        if name not in takes:
            raise InvalidRequest(
                f"{clip(node_id)}.{clip(name)} has no effect with the present inputs of node {clip(node_id)} "
                f"({clip(node['class_type'])}); it takes {listed(takes, name)}.",
                field=f"{node_id}.{name}",
            )


def _wrong_choices(graph: Graph, catalog: Catalog, deadline: Deadline) -> Iterator[tuple[Target, str]]:
    for node_id, node in graph.items():
        class_type, given = node["class_type"], node["inputs"]
        node_class = catalog.known(class_type)
        # other classes hardly ever have such inputs, and asking about each would cost a new graph some 10 calls
        if node_class is None and any("." in name for name in given):
            node_class = catalog.node_class(class_type, deadline)
        found = _wrong_choice(node_class, given)
        if found is not None:  # ComfyUI may have been updated
            found = _wrong_choice(catalog.node_class(class_type, deadline, fresh=True), given)
        if found is not None:
            name, choices = found
            yield (
                Target(node_id, name),
                f"Node {clip(node_id)} ({clip(class_type)}): {clip(name)} is {describe(given[name])}; "
                f"it must be one of {listed(choices, given[name])}",
            )


def _wrong_choice(node_class: NodeClass | None, given: Mapping[str, Any]) -> tuple[str, list[Any]] | None:
    if node_class is None or not node_class.has_dynamic_inputs:
        return None
    for name, config in node_class.inputs(given).items():
        choices = keys(config) if name in given else None
        if choices is not None and given[name] not in choices:
            return name, choices
    return None


def _dotted(names: Iterable[str], graph: Graph) -> Iterator[tuple[str, str]]:
    """The node and the input of each name that may belong to an input within another one."""
    for name in names:
        parsed = parse_target(name, graph) if name.count(".") > 1 else None
        if parsed is not None and parsed[0] in graph and "." in parsed[1]:
            yield parsed

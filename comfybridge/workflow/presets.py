"""Presets: what a template's owner sets together under one name, such as a quality.

presets:
  quality: {low: {steps: 8}, high: {steps: 40}}
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from comfybridge.errors import InvalidRequest, InvalidWorkflow
from comfybridge.workflow.filling import fill, targets_of
from comfybridge.workflow.graph import Graph
from comfybridge.workflow.parameters import Parameter
from comfybridge.workflow.template import Template
from comfybridge.workflow.wording import clip, describe, listed

KEY = "presets"

# the parameters that each value of each choice sets
Presets = Mapping[str, Mapping[str, Mapping[str, Any]]]


def declared_presets(content: Mapping[Any, Any], where: str) -> Presets:
    """The presets that a parameter file declares; what they set is not checked yet.

    Args:
        where: the file's name, for the message.

    Raises:
        InvalidWorkflow: they have another shape.
    """
    presets = content.get(KEY)
    if presets is None:
        return {}
    _check_names(presets, f"{where}: {KEY}", "values by choice")
    for choice, values in presets.items():
        _check_names(values, f"{where}: {KEY}, {clip(choice)}", "parameters by value")
        for value, params in values.items():
            _check_names(params, f"{where}: {KEY}, {clip(choice)}, {clip(value)}", "values by parameter")
    return presets  # type: ignore[no-any-return]


def check_presets(template: Template, where: str) -> None:
    """Make sure that a template takes what its presets set.

    Raises:
        InvalidWorkflow: it does not; the message says which preset and why.
    """
    for choice, values in template.presets.items():
        for value, params in values.items():
            try:
                fill(template, params)
            except (InvalidRequest, InvalidWorkflow) as error:
                place = f"{where}: {KEY}, {clip(choice)}, {clip(value)}"
                raise InvalidWorkflow(f"{place}: {error.message}") from None


def with_presets(template: Template, wanted: Mapping[str, str], given: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a request with those that its presets set; those given win, and the later one of two presets.

    Args:
        wanted: the value of each choice.
        given: the request's own parameters.

    Raises:
        InvalidRequest: the template has no such preset; the message says which it has.
    """
    for choice, value in wanted.items():
        _check_wanted(template, choice, value)
    graph, parameters = template.graph, template.parameters
    taken = {target for name in given for target in _targets(name, graph, parameters)}
    found: dict[str, Any] = {}
    for choice, values in template.presets.items():
        if choice in wanted:
            found.update(values[wanted[choice]])
    kept = {name: each for name, each in found.items() if taken.isdisjoint(_targets(name, graph, parameters))}
    return {**kept, **given}


def _targets(name: object, graph: Graph, parameters: Mapping[str, Parameter]) -> set[Any]:
    """The inputs that a name sets, and the name itself: of what is no input, only the name tells."""
    return {name, *(targets_of(name, graph, parameters) if isinstance(name, str) else ())}


def _check_wanted(template: Template, choice: str, value: str) -> None:
    what = f"the workflow {clip(template.name)}" if template.name else "a whole graph"
    if not template.presets:
        raise InvalidRequest(f"presets has {describe(choice)}, but {what} has no presets.", field="presets")
    if choice not in template.presets:
        said = f"presets has {describe(choice)}; {what} has {listed(template.presets, choice)}."
        raise InvalidRequest(said, field="presets")
    values = template.presets[choice]
    if value not in values:
        said = f"presets: {clip(choice)} is {describe(value)}; {what} has {listed(values, value)}."
        raise InvalidRequest(said, field=f"presets.{choice}")


def _check_names(entries: Any, where: str, what: str) -> None:
    if not isinstance(entries, dict) or not entries:
        raise InvalidWorkflow(f"{where} is {describe(entries)}; it must be an object with {what}.")
    wrong = next((name for name in entries if not isinstance(name, str) or not name), None)
    if wrong is not None:
        raise InvalidWorkflow(f"{where} has the name {describe(wrong)}, which is no text; put it in quotes.")

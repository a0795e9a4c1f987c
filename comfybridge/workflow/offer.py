"""What a server takes for the parameters of a template: its choices, such as models, and its limits of numbers."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from comfybridge.workflow.facts import Facts
from comfybridge.workflow.parameters import NUMERIC, Limits, Parameter
from comfybridge.workflow.seeds import seed_limits
from comfybridge.workflow.template import Template, input_kind


@dataclass(frozen=True)
class Offer:
    """What a server takes.

    Attributes:
        template: with the parameters that were found with the server's help.
        choices: what a parameter can be chosen from, by its name.
        limits: the lowest and the highest number that it may be, by its name.
    """

    template: Template
    choices: dict[str, list[Any]] = field(default_factory=dict)
    limits: dict[str, Limits] = field(default_factory=dict)


def offer_of(template: Template, facts: Facts, unknown: object = None) -> Offer:
    """What a server accepts, by its description of node classes; raises what `facts` raises.

    Args:
        unknown: what stands for the value of an input that a caller may choose, on which other inputs may depend.
    """
    template = _of_server(template, facts)
    offer = Offer(template)
    settable = [target for parameter in template.parameters.values() for target in parameter.targets]
    for name, parameter in template.parameters.items():
        first = parameter.targets[0]
        node = template.graph[first.node]
        told = facts(node["class_type"])
        given = {**node["inputs"], **{each.input: unknown for each in settable if each.node == first.node}}
        choices = told.choices(first.input, given) if told else None
        if choices is not None:
            offer.choices[name] = choices
        if parameter.type in NUMERIC:
            offer.limits[name] = _limits(template, parameter, facts)
    return offer


def _of_server(template: Template, facts: Facts) -> Template:
    """The template, its guessed types replaced by the server's."""
    known = {
        name: parameter.of_kind(input_kind(template.graph, parameter, facts))
        for name, parameter in template.parameters.items()
        if parameter.is_type_guessed
    }
    return replace(template, parameters={**template.parameters, **known}) if known else template


def _limits(template: Template, parameter: Parameter, facts: Facts) -> Limits:
    """The limits that all inputs of a parameter have in common."""
    graph = template.graph
    if parameter.is_seed:
        return seed_limits(graph, parameter.all_targets, facts)
    lowest: list[float] = []
    highest: list[float] = []
    for target in parameter.targets:
        told = facts(graph[target.node]["class_type"])
        low, high = told.limits(target.input) if told else (None, None)
        lowest += [] if low is None else [low]
        highest += [] if high is None else [high]
    return max(lowest, default=None), min(highest, default=None)

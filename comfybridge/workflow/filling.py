"""How values are filled into templates, and into graphs of callers."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from comfybridge.errors import InvalidRequest
from comfybridge.workflow.discovery import SHORT_NAMES, find_seed
from comfybridge.workflow.facts import Facts
from comfybridge.workflow.graph import Graph, bypass_node, copy_graph, is_link, parse_target, set_input
from comfybridge.workflow.links import Walked, literal_value
from comfybridge.workflow.overrides import InputsOf, apply_overrides
from comfybridge.workflow.parameters import SEED_INPUTS, Limits, Parameter, Target, same
from comfybridge.workflow.seeds import seed_limits
from comfybridge.workflow.template import EMPTY_LATENTS, PIXELS_A_LATENT, Template, input_kind
from comfybridge.workflow.wording import clip, describe, listed
from comfybridge.workflow.written import read_written

MOST_SUGGESTED = 5
NO_LINK = "no sampler in the graph takes one"
HIGHEST_DRAWN = 2**53 - 1  # JavaScript clients can hold it exactly, and so ask for the same picture again
SYSTEM_RANDOM = random.SystemRandom()


@dataclass
class Filled:
    """A graph that is ready to be queued.

    Attributes:
        graph: this request's own copy.
        params: the values used: those given, a drawn seed, and a template's defaults.
        seed: the seed in use, if the graph has one.
        warnings: what the caller did not ask for.
        given: the names in `params` that came from the caller.
        parameters: those of the template, or those that were found in the graph.
    """

    graph: Graph
    params: dict[str, Any] = field(default_factory=dict)
    seed: int | None = None
    warnings: list[str] = field(default_factory=list)
    given: set[str] = field(default_factory=set)
    parameters: Mapping[str, Parameter] = field(default_factory=dict, repr=False)


def fill(
    template: Template,
    params: Mapping[str, Any],
    optional_inputs: InputsOf | None = None,
    facts: Facts | None = None,
    *,
    rng: random.Random = SYSTEM_RANDOM,
) -> Filled:
    """Fill a template. A caller's own graph keeps every value that is not given.

    Args:
        template: one of a caller's must have been `learned` if there are parameters.
        params: values by the parameter's name, or by `"NODE.INPUT"`, which wins over a parameter of the same input.
        optional_inputs: the inputs that a node class takes, for those that the graph leaves out.
        facts: the server's description of node classes, such as the highest seed that one takes.
        rng: what seeds are drawn from.

    Raises:
        InvalidRequest: a name is not known or not found, or a value is not accepted.
    """
    params = read_written(params, template.parameters, template.graph)
    if template.is_of_caller:
        _check_found(template, params)
    else:
        _check_clear(template, params)
    filling = _Filling(copy_graph(template.graph), template.parameters, params, optional_inputs, facts, rng)
    for name, parameter in template.parameters.items():
        if name in params:
            filling.set(parameter, params[name])
    left = [each for name, each in template.parameters.items() if name not in params and not template.is_of_caller]
    for parameter in left:
        if not parameter.bypass:
            filling.leave(parameter)
    for parameter in left:
        if parameter.bypass:
            filling.bypass(parameter)
    return filling.finish()


def _check_clear(template: Template, params: Collection[str]) -> None:
    """Refuse a parameter that the template does not have."""
    for name in params:
        if name in template.unclear and name not in template.parameters:
            reason = template.unclear[name].rstrip(".")
            raise InvalidRequest(f"{reason}; accepted are {_accepted(template.parameters, name)}", field=name)


def _check_found(template: Template, params: Collection[str]) -> None:
    """Refuse a short name if no input was found for it, and say which inputs `"NODE.INPUT"` can set instead."""
    parameters = template.parameters
    name = next((each for each in params if each in SHORT_NAMES and each not in parameters), None)
    if name is None:
        return
    graph = Walked(template.graph)
    same_name = [
        f'"{node}.{name}"'
        for node, each in graph.items()
        if name in each["inputs"] and not is_link(each["inputs"][name]) and node not in graph.dead
    ]
    said = f"{name} was given, but {template.unclear.get(name, NO_LINK).rstrip('.')}"
    if same_name:
        places = " or ".join(same_name[:MOST_SUGGESTED])
        raise InvalidRequest(f"{said}; name the input itself, in params: {places}.", field=name)
    takes = f"; the graph takes {listed(parameters, name)}" if parameters else ""
    raise InvalidRequest(f'{said}{takes}; any input can be named in params, as "NODE.INPUT".', field=name)


def _accepted(parameters: Mapping[str, Parameter], name: object) -> str:
    """What a caller can give instead of an unknown name."""
    return f'{listed(parameters, name)}, and "NODE.INPUT" for any input of the graph.'


def check_required(template: Template, filled: Filled, brought: Collection[Target]) -> None:
    """Refuse a filled template if a required parameter is missing.

    Args:
        brought: the inputs that are to name a file that came with the request.

    Raises:
        InvalidRequest: a parameter is missing; the message names it and its purpose.
    """
    given = given_targets(filled).union(brought)
    for name, parameter in template.parameters.items():
        if parameter.required and name not in filled.given and given.isdisjoint(parameter.targets):
            raise InvalidRequest(f"The workflow {clip(template.name)} needs {parameter.wanted}.", field=name)


def given_targets(filled: Filled) -> set[Target]:
    """The inputs that the caller has set."""
    return {target for name in filled.given for target in targets_of(name, filled.graph, filled.parameters)}


def report(filled: Filled, values: Mapping[Target, Any]) -> None:
    """Say in `params` what inputs came to: by the names there that set them, and else as `"NODE.INPUT"`."""
    names: dict[Target, list[str]] = {}
    for name in filled.params:
        for target in targets_of(name, filled.graph, filled.parameters):
            names.setdefault(target, []).append(name)
    for target, value in values.items():
        for name in names.get(target, [f"{target.node}.{target.input}"]):
            filled.params[name] = value


def targets_of(name: str, graph: Graph, parameters: Mapping[str, Parameter]) -> tuple[Target, ...]:
    """The inputs that a name in `params` sets: a parameter's, or the one that `"NODE.INPUT"` is."""
    if name in parameters:
        return parameters[name].targets
    parsed = parse_target(name, graph)
    return (Target(*parsed),) if parsed else ()


class _Filling:
    """Sets the parameters of one request; inputs set by `"NODE.INPUT"` are not set again."""

    def __init__(
        self,
        graph: Graph,
        parameters: Mapping[str, Parameter],
        params: Mapping[str, Any],
        optional_inputs: InputsOf | None,
        facts: Facts | None,
        rng: random.Random,
    ) -> None:
        self.parameters = parameters
        self.facts = facts
        self.rng = rng
        self.filled = Filled(graph, given=set(params), parameters=parameters)
        self.sources: dict[Target, str] = {}
        overrides = {name: params[name] for name in params if name not in parameters}
        for name in overrides:
            if not isinstance(name, str) or parse_target(name, graph) is None:
                raise InvalidRequest(
                    f"{clip(name)} is not a parameter; accepted are {_accepted(parameters, name)}", field=str(name)
                )
        for name, value in overrides.items():
            if name.rpartition(".")[2] in SEED_INPUTS and _is_random(value):
                target = Target(*_parsed(name, graph))
                # a node that is not there is refused below
                limits = seed_limits(graph, [target], facts) if target.node in graph else (None, None)
                overrides[name] = self.draw(limits)
        self.choose_for(overrides, params)
        self.overridden = apply_overrides(graph, overrides, optional_inputs)
        self.filled.params.update(zip(overrides, self.overridden.values(), strict=False))

    def choose_for(self, overrides: Collection[str], params: Mapping[str, Any]) -> None:
        """Set the parameters first that are choices, and bring inputs that are set by `"NODE.INPUT"`.

        They are checked when all parameters are set.
        """
        if not any(name.count(".") > 1 for name in overrides):
            return
        for parameter in [each for name, each in self.parameters.items() if name in params]:
            for target in parameter.targets:
                if any(name.startswith(f"{target.node}.{target.input}.") for name in overrides):
                    set_input(self.filled.graph, target.node, target.input, params[parameter.name])

    def draw(self, limits: Limits) -> int:
        low, high = limits
        top = HIGHEST_DRAWN if high is None else min(int(high), HIGHEST_DRAWN)
        return self.rng.randint(min(int(low or 0), top), top)

    def fitting(self, parameter: Parameter, value: Any = None) -> Parameter:
        """The parameter; a seed within the limits of all inputs that it feeds.

        Where its type is a guess, the server is asked about a fraction: all else fits both kinds of number.
        """
        if not parameter.is_seed:
            is_fraction = isinstance(value, float) and not value.is_integer()
            if not (is_fraction and parameter.is_type_guessed):
                return parameter
            return parameter.of_kind(input_kind(self.filled.graph, parameter, self.facts))
        return parameter.within(*seed_limits(self.filled.graph, parameter.all_targets, self.facts))

    def set(self, parameter: Parameter, value: Any) -> None:
        """Set a parameter to the value a caller gave, or draw a seed."""
        drawn = parameter.is_seed and _is_random(value)
        parameter = self.fitting(parameter, value)
        checked = self.draw(parameter.range) if drawn else parameter.check(value)
        free = [target for target in parameter.targets if target not in self.overridden]
        for target in free:
            self._claim(target, parameter.name, checked)
            set_input(self.filled.graph, target.node, target.input, checked)
        self.set_beside(parameter, checked)
        if not free:
            checked = self._overridden(parameter, None if drawn else checked)
        self.filled.params[parameter.name] = checked

    def set_beside(self, parameter: Parameter, value: Any) -> None:
        """Give the seeds beside a seed the numbers after it, from the lowest on after the highest."""
        low, high = parameter.range
        for number, group in enumerate(parameter.beside, 1):
            following = value + number
            if high is not None and following > high:
                following = int(low or 0) + number - 1
            for target in group:
                if target not in self.overridden:
                    set_input(self.filled.graph, target.node, target.input, following)

    def leave(self, parameter: Parameter) -> None:
        """Draw a seed that was not given, set a default that is not the graph's own, and report what is in use."""
        graph, first = self.filled.graph, parameter.targets[0]
        free = [
            target for target in parameter.targets if target not in self.overridden and target not in self.sources
        ]
        if parameter.is_seed:
            parameter = self.fitting(parameter)
            value = self.draw(parameter.range)
        else:
            value = literal_value(graph, first) if parameter.default is None else parameter.default
        own = graph[first.node]["inputs"].get(first.input)
        if first in free and value is not None and not same(own, value):
            for target in free:
                self._claim(target, parameter.name, value)
                set_input(graph, target.node, target.input, value)
            if parameter.is_seed:
                self.set_beside(parameter, value)
        value = literal_value(graph, first)
        if value is not None:
            self.filled.params[parameter.name] = value

    def bypass(self, parameter: Parameter) -> None:
        """Leave out the node of a parameter that was not given, unless another value was given for it."""
        node, graph = parameter.targets[0].node, self.filled.graph
        if node in graph and all(target.node != node for target in (*self.overridden, *self.sources)):
            bypass_node(graph, node, parameter.bypass)

    def _overridden(self, parameter: Parameter, value: Any) -> Any:
        """What a parameter comes to where `"NODE.INPUT"` has set all that it feeds; refused if it says otherwise."""
        target = parameter.targets[0]
        given = self.overridden[target]
        if value is not None and not same(given, value):
            raise InvalidRequest(
                f"{parameter.name} is {describe(value)}, but {target.node}.{target.input}, which it feeds, is "
                f"given as {describe(given)}.",
                field=parameter.name,
            )
        return given

    def finish(self) -> Filled:
        """Report the seed, the parameters in the template's order, and sizes that ComfyUI won't keep."""
        graph = self.filled.graph
        order = [name for name in self.parameters if name in self.filled.params]
        self.filled.params = {name: self.filled.params[name] for name in [*order, *self.filled.params]}
        self.filled.warnings += self._rounded_sizes()
        seeds = [each for each in self.parameters.values() if each.is_seed]
        seeds.sort(key=lambda each: each.name != "seed")
        target = seeds[0].targets[0] if seeds else find_seed(graph)
        value = literal_value(graph, target) if target else None
        self.filled.seed = value if isinstance(value, int) and not isinstance(value, bool) else None
        return self.filled

    def _rounded_sizes(self) -> list[str]:
        """A latent has one point for every 8 pixels, and ComfyUI rounds down without a word."""
        warnings = []
        for name in ("width", "height"):
            parameter, value = self.parameters.get(name), self.filled.params.get(name)
            if parameter is None or not isinstance(value, int) or value % PIXELS_A_LATENT == 0:
                continue
            if all(self.filled.graph[target.node]["class_type"] in EMPTY_LATENTS for target in parameter.targets):
                rounded = value // PIXELS_A_LATENT * PIXELS_A_LATENT
                warnings.append(
                    f"{name} is {value}; ComfyUI rounds it to {rounded}, a multiple of {PIXELS_A_LATENT}."
                )
        return warnings

    def _claim(self, target: Target, name: str, value: Any) -> None:
        """Refuse two parameters with different values for one input, as a square's width and height."""
        other = self.sources.setdefault(target, name)
        if other != name and not same(literal_value(self.filled.graph, target), value):
            raise InvalidRequest(
                f"{name} and {other} feed the same input, {target.node}.{target.input}, so they must be equal.",
                field=name,
            )


def _parsed(name: str, graph: Graph) -> tuple[str, str]:
    parsed = parse_target(name, graph)
    assert parsed is not None  # looked at before
    return parsed


def _is_random(value: Any) -> bool:
    """Whether to draw a seed; an empty text is a field left blank."""
    return value is None or same(value, -1) or (isinstance(value, str) and not value.strip())

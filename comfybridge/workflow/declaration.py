"""Reads parameter files, in which the owner of a template describes its parameters.

There are three formats: the bridge's own, and two of other tools, which load unchanged.

    NAME.yaml          description: ...
                       parameters: {seed: {node: 3, input: seed, type: integer, min: 0, description: ...}}
                       (`targets: [{node, input}, ...]` instead of node and input, for several inputs;
                       `required: true` for what callers must give; `bypass: INPUT` for a node that is left out
                       while no value is given, what it gets through INPUT going to the nodes that use it)
                       models, tasks, presets, dialects: as the files of these names read them
    NAME.yaml          node_mappings: {seed: {node_id: "3", property: seed}}
    NAME.params.json   {seed: {node_id: 3, input_name: seed, type: int, min: 0, max: 9, default: 1}}
"""

from __future__ import annotations

import math
from typing import Any

from comfybridge.errors import InvalidRequest, InvalidWorkflow
from comfybridge.workflow import dialect_rules, model_files, presets, tasks
from comfybridge.workflow.discovery import MEANINGS
from comfybridge.workflow.graph import Graph, is_link
from comfybridge.workflow.links import literal_value
from comfybridge.workflow.parameters import NUMERIC, TYPES, Parameter, Target, Type
from comfybridge.workflow.wording import clip, describe, listed

TOP_KEYS = ("description", "parameters", model_files.KEY, *tasks.KEYS, presets.KEY, dialect_rules.KEY)
MOST_NAMED = 5
LARGEST_BITS = 256  # ComfyUI's largest integers have 64
PLAIN_KEYS = ("node", "input", "targets", "type", "default", "min", "max", "choices", "description")  # of all formats
KEYS = (*PLAIN_KEYS, "required", "bypass")
TYPE_NAMES: dict[str, Type] = {
    **{name: name for name in TYPES},
    "str": "string",
    "text": "string",
    "int": "integer",
    "float": "number",
    "bool": "boolean",
}
# inputs that take fractions even if a graph happens to have a whole number
FRACTIONS = ("cfg", "denoise", "guidance", "strength", "scale", "weight", "shift", "ratio", "percent")


def declared(content: Any, graph: Graph, file_name: str) -> tuple[str, dict[str, Parameter] | None]:
    """The description and the parameters that a parameter file declares for a graph.

    Returns None for a file with only a description: the parameters are left to discovery.

    Raises:
        InvalidWorkflow: a parameter is wrong; the message says which and why.
    """
    if content is None:
        return "", None
    if not isinstance(content, dict):
        raise InvalidWorkflow(f"{file_name} is {describe(content)}; it must be an object.")
    if file_name.endswith(".json"):
        return "", _all(_modernised(content, file_name), graph, file_name)
    description = content.get("description") or ""
    if not isinstance(description, str):
        raise InvalidWorkflow(f"{file_name}: description is {describe(description)}; it must be a text.")
    if "node_mappings" in content:
        return description, _all(_modernised(content["node_mappings"], file_name), graph, file_name)
    _check_keys(content, TOP_KEYS, file_name)
    if content.get("parameters") is None:
        return description, None
    return description, _all(content["parameters"], graph, file_name)


def _all(entries: Any, graph: Graph, file_name: str) -> dict[str, Parameter]:
    if not isinstance(entries, dict):
        raise InvalidWorkflow(f"{file_name}: parameters is {describe(entries)}; it must be an object by name.")
    parameters = {}
    for name, entry in entries.items():
        if not isinstance(name, str) or not name:
            raise InvalidWorkflow(f"{file_name}: a parameter's name is {describe(name)}; it must be a text.")
        where = f"{file_name}: parameter {clip(name)}"
        if not isinstance(entry, dict):
            raise InvalidWorkflow(f"{where} is {describe(entry)}; it must be an object with node and input.")
        _check_keys(entry, KEYS, where)
        parameters[name] = _parameter(name, entry, graph, where)
    _check_bypasses(parameters, file_name)
    return parameters


def _check_bypasses(parameters: dict[str, Parameter], file_name: str) -> None:
    """Refuse a node that may be left out if several parameters feed it: the others would lead nowhere."""
    for name, parameter in parameters.items():
        if not parameter.bypass:
            continue
        node = parameter.targets[0].node
        others = [each for each in parameters if each != name and _feeds(parameters[each], node)]
        if others:
            raise InvalidWorkflow(
                f"{file_name}: parameter {clip(name)} has bypass, but {clip(others[0])} feeds node {clip(node)} too; "
                "such a node can have one parameter."
            )


def _feeds(parameter: Parameter, node: str) -> bool:
    return any(target.node == node for target in parameter.targets)


def _modernised(entries: Any, file_name: str) -> Any:
    """The entries of the two other formats, converted to the bridge's own; keys without meaning here are dropped."""
    if not isinstance(entries, dict):
        return entries
    modern: dict[Any, Any] = {}
    for name, entry in entries.items():
        if not isinstance(entry, dict):
            raise InvalidWorkflow(
                f"{file_name}: parameter {clip(name)} is {describe(entry)}; it must be an object with node_id."
            )
        kept = {key: value for key, value in entry.items() if key in PLAIN_KEYS and value is not None}
        node, input_name = entry.get("node_id"), entry.get("input_name", entry.get("property"))
        if node is not None:
            kept["node"] = node
        if input_name is not None:
            kept["input"] = input_name.removeprefix("inputs.") if isinstance(input_name, str) else input_name
        given = kept.get("type")
        if isinstance(given, str) and TYPE_NAMES.get(given.lower()) not in (None, *NUMERIC):
            kept.pop("min", None)  # presumably lengths of a text
            kept.pop("max", None)
        modern[name] = kept
    return modern


def _parameter(name: str, entry: dict[str, Any], graph: Graph, where: str) -> Parameter:
    targets = _targets(entry, graph, where)
    own = literal_value(graph, targets[0])
    kind = _type(entry.get("type"), name, targets[0], graph, where)
    low, high = (_limit(entry, key, kind, where) for key in ("min", "max"))
    if low is not None and high is not None and low > high:
        raise InvalidWorkflow(f"{where}: min {low} is more than max {high}.")
    description = entry.get("description") or ""
    if not isinstance(description, str):
        raise InvalidWorkflow(f"{where}: description is {describe(description)}; it must be a text.")
    default = entry.get("default")
    parameter = Parameter(
        name=name,
        targets=targets,
        type=kind,
        default=own if default is None and not entry.get("bypass") else default,
        min=low,
        max=high,
        choices=_choices(entry.get("choices"), where),
        description=description or (MEANINGS[name][1] if name in MEANINGS else ""),
        required=_required(entry, where),
        bypass=_bypass(entry, targets, graph, where),
        is_type_guessed=entry.get("type") is None,
    )
    if parameter.bypass and (parameter.is_file or parameter.is_seed or name == "model"):
        raise InvalidWorkflow(f"{where} is a file, a seed or the model, whose node can't be bypassed.")
    stated = any(entry.get(key) is not None for key in ("default", "min", "max", "choices"))
    # a seed that is not given is drawn, so the default in an older file (often -1) is never used
    if stated and parameter.default is not None and not parameter.is_seed:
        _check_default(parameter, where)
    return parameter


def _required(entry: dict[str, Any], where: str) -> bool:
    required = entry.get("required")
    if required is None:
        return False
    if not isinstance(required, bool):
        raise InvalidWorkflow(f"{where}: required is {describe(required)}; it must be true or false.")
    if required and entry.get("default") is not None:
        raise InvalidWorkflow(f"{where} is required but has a default, which would never be used.")
    return required


def _bypass(entry: dict[str, Any], targets: tuple[Target, ...], graph: Graph, where: str) -> str:
    name = entry.get("bypass")
    if name is None:
        return ""
    node = targets[0].node
    inputs = graph[node]["inputs"]
    links = [each for each in inputs if is_link(inputs[each])]
    if not isinstance(name, str) or name not in links:
        raise InvalidWorkflow(
            f"{where}: bypass is {describe(name)}; it must be an input of node {clip(node)} that is a link: "
            f"{listed(links, name)}."
        )
    if len(targets) > 1 or entry.get("required") or entry.get("default") is not None:
        raise InvalidWorkflow(f"{where} has bypass, so it must have one input, no default, and not be required.")
    used = [value for each in graph.values() for value in each["inputs"].values() if is_link(value)]
    if any(value[0] == node and value[1] > 0 for value in used):
        raise InvalidWorkflow(f"{where}: node {clip(node)} can't be bypassed: more than its first output is used.")
    return name


def _targets(entry: dict[str, Any], graph: Graph, where: str) -> tuple[Target, ...]:
    listing = entry.get("targets")
    if listing is None:
        return (_target(entry, graph, where),)
    if "node" in entry or "input" in entry:
        raise InvalidWorkflow(f"{where} has targets beside node and input; keep one of them.")
    if not isinstance(listing, list) or not listing or not all(isinstance(each, dict) for each in listing):
        raise InvalidWorkflow(f"{where}: targets must be a list of objects with node and input.")
    for each in listing:
        _check_keys(each, ("node", "input"), f"{where}, targets")
    return tuple(dict.fromkeys(_target(each, graph, where) for each in listing))


def _target(entry: dict[str, Any], graph: Graph, where: str) -> Target:
    node, input_name = entry.get("node"), entry.get("input")
    if not isinstance(node, (str, int)) or isinstance(node, bool) or not _is_writable(node):
        raise InvalidWorkflow(f"{where} names no node of the graph; it has {listed(graph)}.")
    node = _node_called(str(node), graph, where)
    if node not in graph:
        raise InvalidWorkflow(
            f"{where} names node {clip(node)}, which the graph does not have; it has {listed(graph, node)}."
        )
    inputs = graph[node]["inputs"]
    if not isinstance(input_name, str) or input_name not in inputs:
        what = f"input {clip(input_name)}" if isinstance(input_name, str) else "no input"
        raise InvalidWorkflow(
            f"{where} names {what} of node {clip(node)} ({clip(graph[node]['class_type'])}), "
            f"which has {listed(inputs, input_name)}."
        )
    return Target(node, input_name)


def _node_called(name: str, graph: Graph, where: str) -> str:
    """The id of a node that is named by its id or its title; the name itself if there is none."""
    if name in graph:
        return name
    titled = [node_id for node_id, node in graph.items() if node.get("_meta", {}).get("title") == name]
    if len(titled) > 1:
        which = f"which nodes {' and '.join(map(clip, titled[:MOST_NAMED]))} have"
        raise InvalidWorkflow(f"{where} names the title {clip(name)}, {which}; name one of them by its id.")
    return titled[0] if titled else name


def _type(given: Any, name: str, target: Target, graph: Graph, where: str) -> Type | None:
    if given is not None:
        kind = TYPE_NAMES.get(given.lower()) if isinstance(given, str) else None
        if kind is None:
            raise InvalidWorkflow(f"{where}: type is {describe(given)}; it must be one of {listed(TYPES, given)}.")
        return kind
    if name in MEANINGS:
        return MEANINGS[name][0]
    value = literal_value(graph, target)
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, str):
        is_file = target.input == "image" and "LoadImage" in graph[target.node]["class_type"]
        return "image" if is_file else "string"
    if isinstance(value, int):
        return "number" if any(word in f"{name} {target.input}".lower() for word in FRACTIONS) else "integer"
    return "number" if isinstance(value, float) else None


def _limit(entry: dict[str, Any], key: str, kind: Type | None, where: str) -> float | None:
    value = entry.get(key)
    if value is None:
        return None
    if kind not in NUMERIC:
        raise InvalidWorkflow(f"{where} has {key}, which is for numbers, but its type is {kind or 'not known'}.")
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not _is_writable(value):
        raise InvalidWorkflow(f"{where}: {key} is {describe(value)}; it must be a number.")
    return value


def _choices(given: Any, where: str) -> tuple[Any, ...] | None:
    if given is None:
        return None
    if not isinstance(given, list) or not given or not all(map(_is_writable, given)):
        raise InvalidWorkflow(f"{where}: choices must be a list of texts or numbers.")
    return tuple(given)


def _is_writable(value: Any) -> bool:
    """Whether it is a text, or a number that JSON has: YAML has others, and hexadecimal ones of any length."""
    if isinstance(value, int):
        return value.bit_length() <= LARGEST_BITS
    return isinstance(value, str) or (isinstance(value, float) and math.isfinite(value))


def _check_default(parameter: Parameter, where: str) -> None:
    if not isinstance(parameter.default, (str, int, float)):
        raise InvalidWorkflow(f"{where}: default is {describe(parameter.default)}; it must be a text or a number.")
    try:
        parameter.check(parameter.default)
    except InvalidRequest as error:
        raise InvalidWorkflow(f"{where}, its default: {error.message}") from None


def _check_keys(entry: dict[Any, Any], accepted: tuple[str, ...], where: str) -> None:
    for key in entry:
        if key not in accepted:
            raise InvalidWorkflow(
                f"{where} has the key '{clip(key)}', which is not known here; use {listed(accepted, clip(key))}."
            )

"""What ComfyUI would certainly refuse in a graph, known before it is asked.

ComfyUI has no call for it, so this follows its execution.py (`validate_prompt`, `validate_inputs`), and leaves to it
what its descriptions of node classes do not settle: inputs that depend on others, and what a class may check, or a
custom node may fill in, by code of its own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from comfybridge.comfyui.catalog import NodeClass
from comfybridge.comfyui.dynamic_inputs import DYNAMIC, parts
from comfybridge.comfyui.widgets import NUMBERS, choices_of
from comfybridge.workflow.graph import Graph, is_link
from comfybridge.workflow.model_files import MODEL_FILE
from comfybridge.workflow.parameters import Target

NODES = "nodes"  # the module of the oldest classes, none of which checks its numbers by code of its own
EXTRAS = "comfy_extras."
# ComfyUI tells it of each class since 2026-01; some weeks before, it began to check choices declared as COMBO
NEWER = "search_aliases"
WIDGETS = ("COMBO", "STRING", "BOOLEAN", *NUMBERS)
# types that ComfyUI never takes for each other
SOCKETS = frozenset(("MODEL", "CLIP", "VAE", "CONDITIONING", "LATENT", "IMAGE", "MASK"))
SAMPLERS = ("sampler_name", "scheduler")
MOST_CHOICES = 20  # ComfyUI does not send longer lists either
MOST_NODES = 100  # with errors that are told
NOT_IN_LIST = "value_not_in_list"

Error = dict[str, Any]


def node_errors(
    graph: Graph,
    classes: Mapping[str, NodeClass],
    targets: Collection[str] | None = None,
    brought: Collection[Target] = (),
) -> dict[str, Any]:
    """The errors for which ComfyUI would refuse a graph, as its own `node_errors`; empty if it may accept it.

    It refuses only what leaves no output node without an error.

    Args:
        classes: the graph's node classes by the names in it.
        targets: the output nodes that are to run; None: all.
        brought: inputs that get their values later.
    """
    outputs = [
        node_id
        for node_id in (graph if targets is None else targets)
        if (node_class := classes.get(graph[node_id]["class_type"])) and node_class.is_output
    ]
    feeding = {node_id: set(_validated_with(graph, node_id, classes)) for node_id in graph}
    fed: dict[str, set[str]] = {node_id: set() for node_id in graph}
    for node_id, origins in feeding.items():
        for origin in origins:
            fed[origin].add(node_id)
    validated = _reached(outputs, feeding)
    errors: dict[str, list[Error]] = {}
    for node_id in graph:
        found = list(_errors(graph, node_id, classes, brought)) if node_id in validated else []
        if found:
            errors[node_id] = found
    spoiled = _reached(errors, fed)
    if not spoiled.issuperset(outputs):
        return {}
    return {
        node_id: {
            "errors": errors[node_id],
            "dependent_outputs": sorted(_reached([node_id], fed).intersection(outputs)),
            "class_type": graph[node_id]["class_type"],
        }
        for node_id in list(errors)[:MOST_NODES]
    }


def missing_choices(errors: Mapping[str, Any]) -> list[str]:
    """The models, and the samplers, that ComfyUI lacks; empty if there are other errors too."""
    found = [error for each in errors.values() for error in each["errors"]]
    if any(error["type"] != NOT_IN_LIST for error in found):
        return []
    return [error["extra_info"]["received_value"] for error in found]


def _reached(starts: Iterable[str], onward: Mapping[str, Collection[str]]) -> set[str]:
    """Some nodes, and those that lead on from them."""
    seen = set(starts)
    pending = list(seen)
    while pending:
        new = [node_id for node_id in onward[pending.pop()] if node_id not in seen]
        seen.update(new)
        pending.extend(new)
    return seen


def _described(graph: Graph, node_id: str, classes: Mapping[str, NodeClass]) -> NodeClass | None:
    """The class of a node; None if ComfyUI would put another one in its place."""
    name = graph[node_id]["class_type"]
    node_class = classes.get(name)
    return node_class if node_class and node_class.name == name and _module(node_class) else None


def _module(node_class: NodeClass) -> str:
    return str(node_class.info.get("python_module") or "")


def _is_built_in(node_class: NodeClass | None) -> bool:
    return node_class is not None and (_module(node_class) == NODES or _module(node_class).startswith(EXTRAS))


def _inputs(node_class: NodeClass) -> Iterator[tuple[str, Any, Mapping[str, Any]]]:
    """The inputs that a node has whatever its values are: name, type and options."""
    for name, config in {**node_class.optional, **node_class.required}.items():
        kind, options = parts(config)
        is_dynamic = kind in DYNAMIC if isinstance(kind, str) else not isinstance(kind, list)
        if not is_dynamic:
            yield name, kind, options


def _validated_with(graph: Graph, node_id: str, classes: Mapping[str, NodeClass]) -> Iterator[str]:
    """The nodes that ComfyUI validates for the sake of another.

    A custom node's optional links don't count: of a switch, its pack may drop those that are not chosen.
    """
    node_class, given = _described(graph, node_id, classes), graph[node_id]["inputs"]
    if node_class is None:
        return
    for name, _, _ in _inputs(node_class):
        origin = _origin(graph, given.get(name))
        if origin is None:
            continue
        are_built_in = _is_built_in(node_class) and _is_built_in(_described(graph, origin, classes))
        if name in node_class.required or are_built_in:
            yield origin


def _origin(graph: Graph, value: object) -> str | None:
    """The node that a link comes from; None for other values."""
    return str(value[0]) if isinstance(value, list) and is_link(value) and str(value[0]) in graph else None


def _errors(
    graph: Graph, node_id: str, classes: Mapping[str, NodeClass], brought: Collection[Target]
) -> Iterator[Error]:
    node_class, given = _described(graph, node_id, classes), graph[node_id]["inputs"]
    if node_class is None:
        return
    is_built_in = _is_built_in(node_class)
    for name, kind, options in _inputs(node_class):
        if Target(node_id, name) in brought:
            continue
        if name not in given:
            is_socket = isinstance(kind, str) and kind not in WIDGETS
            if name in node_class.required and (is_built_in or is_socket):
                yield _error("required_input_missing", "Required input is missing", name, name)
            continue
        value = given[name]
        origin = _origin(graph, value)
        if origin is not None:
            source = _described(graph, origin, classes)
            if source is not None and _is_built_in(source):
                yield from _of_link(name, value, [kind, options], source, takes_only_that=is_built_in)
        elif is_built_in and isinstance(value, list) and len(value) != 2:
            said = "Bad linked input, must be a length-2 list of [node_id, slot_index]"
            yield _error("bad_linked_input", said, name, name, input_config=[kind, options], received_value=value)
        elif is_built_in and (value is None or isinstance(value, (str, int, float))):
            bounds = options if _module(node_class) == NODES else {}
            yield from _of_number(name, value, [kind, options], bounds)
            if isinstance(kind, list) or NEWER in node_class.info:
                yield from _of_choice(name, value, [kind, options])


def _of_link(
    name: str, link: list[Any], config: list[Any], source: NodeClass, *, takes_only_that: bool
) -> Iterator[Error]:
    kinds, wanted = source.info.get("output"), config[0]
    if not isinstance(kinds, list):
        return
    if link[1] >= len(kinds):
        facts = {"exception_type": "IndexError", "exception_message": "tuple index out of range", "linked_node": link}
        said = "Exception when validating node"
        yield _error("exception_during_validation", said, "tuple index out of range", name, **facts)
        return
    kind = kinds[link[1]]
    are_plain = isinstance(kind, str) and isinstance(wanted, str) and SOCKETS.issuperset((kind, wanted))
    if takes_only_that and are_plain and kind != wanted:
        details = f"{name}, received_type({kind}) mismatch input_type({wanted})"
        said = "Return type mismatch between linked nodes"
        facts = {"input_config": config, "received_type": kind, "linked_node": link}
        yield _error("return_type_mismatch", said, details, name, **facts)


def _of_number(name: str, value: Any, config: list[Any], bounds: Mapping[str, Any]) -> Iterator[Error]:
    kind = config[0]
    if not isinstance(kind, str) or kind not in NUMBERS:
        return
    facts = {"input_config": config, "received_value": value}
    try:
        number = int(value) if kind == "INT" else float(value)
    except (TypeError, ValueError, OverflowError) as error:
        said, details = f"Failed to convert an input value to a {kind} value", f"{name}, {value}, {error}"
        yield _error("invalid_input_type", said, details, name, **facts, exception_message=str(error))
        return
    lowest, highest = bounds.get("min"), bounds.get("max")
    facts["received_value"] = number
    if isinstance(lowest, (int, float)) and number < lowest:
        yield _error("value_smaller_than_min", f"Value {number} smaller than min of {lowest}", name, name, **facts)
    elif isinstance(highest, (int, float)) and number > highest:
        yield _error("value_bigger_than_max", f"Value {number} bigger than max of {highest}", name, name, **facts)


def _of_choice(name: str, value: object, config: list[Any]) -> Iterator[Error]:
    """A model that is not installed, or no sampler. Of other choices, such as input files, classes may take more."""
    choices = choices_of(config)
    if choices is None or not isinstance(value, str) or value in choices:
        return
    if name not in SAMPLERS and not MODEL_FILE.search(value):
        return
    is_short = len(choices) <= MOST_CHOICES
    listed = str(choices) if is_short else f"(list of length {len(choices)})"
    facts = {"input_config": config if is_short else None, "received_value": value}
    yield _error(NOT_IN_LIST, "Value not in list", f"{name}: {value!r} not in {listed}", name, **facts)


def _error(kind: str, message: str, details: str, input_name: str, **facts: Any) -> Error:
    return {"type": kind, "message": message, "details": details, "extra_info": {"input_name": input_name, **facts}}

"""ComfyUI's errors as sentences for people, without tracebacks and without paths of its file system.

The shapes are those of ComfyUI's execution.py (`validate_inputs`, `validate_prompt`, `execute`).
"""

from __future__ import annotations

import contextlib
import difflib
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from comfybridge.comfyui.events import ExecutionError
from comfybridge.comfyui.paths import without_paths
from comfybridge.errors import InvalidWorkflow

# returns the choices of an input of a node class; None if unknown
ChoicesOf = Callable[[str, str], "list[Any] | None"]

MOST_CHOICES_SHOWN = 20
LONGEST_REASON = 500
LONGEST_READ = 20_000  # the longest text quoted, in characters
# What reading a malformed error may raise.
MALFORMED = (TypeError, ValueError, KeyError, IndexError, AttributeError)
# the check of a node, or of one before it, failed, as it does for links that lead nowhere
EXCEPTIONS = ("exception_during_validation", "exception_during_inner_validation")
MODEL_INPUTS = ("ckpt_name", "unet_name")  # the inputs that the short name `model` sets

_MISSING_FILE = re.compile(r"Invalid \w+ file: (.+)")  # nodes.py: LoadImage.VALIDATE_INPUTS and similar ones
# folder_paths.py: get_save_image_path; paths follow, one a line
_OUTSIDE = re.compile(r"Saving image outside the output folder is not allowed.*", re.DOTALL)


def execution_sentence(event: ExecutionError) -> str:
    """`Node 3 (KSampler) failed: OutOfMemoryError: ...`, or what a node said when it blocked its successors."""
    message = _shortened(_clean_message(event.exception_message))
    if event.is_block:
        sentence = f"Node {event.node_id} ({event.node_type}) blocked the nodes after it: {message}"
    else:
        name = event.exception_type.rpartition(".")[2]
        kind = "" if name == "Exception" else f"{name}: "  # a message without content
        sentence = f"Node {event.node_id} ({event.node_type}) failed: {kind}{message}"
    return sentence.rstrip(": .") + "."


def _clean_message(text: str) -> str:
    """A node's message without paths; replaced by a sentence if it consists of paths."""
    if _OUTSIDE.search(text):
        return "its filename_prefix leads out of ComfyUI's output folder; files can be saved only below it"
    return without_paths(text)


def refusal(
    body: Mapping[str, Any], graph: Mapping[str, Any], choices_of: ChoicesOf = lambda *_: None
) -> InvalidWorkflow:
    """The error in ComfyUI's answer to an invalid graph.

    Args:
        body: its 400 answer, `{"error": {...}, "node_errors": {...}}`.
        graph: the graph that it refused.
        choices_of: returns the choices of an input if the answer omits them, as it does with more than 20.
    """
    node_errors = clean_node_errors(body.get("node_errors"))
    sentences = node_sentences(node_errors, choices_of)
    error = body.get("error") or {}
    reason = "; ".join(sentences) or _reason_of_all(error, graph)
    lacks = None
    if not sentences and (lacking := _lacking(error, graph)) is not None:
        node, class_type = lacking
        lacks = class_type if isinstance(class_type, str) else None
        node_errors = {node: {"class_type": lacks, "errors": [{"type": "missing_node_type", "message": reason}]}}
    return InvalidWorkflow(f"ComfyUI refused the graph: {reason}.", node_errors=node_errors, lacks=lacks)


def clean_node_errors(node_errors: Any) -> dict[str, Any]:
    """ComfyUI's `node_errors` without tracebacks and paths."""
    try:
        cleaned = _cleaned(node_errors)
    except RecursionError:
        return {}
    return cleaned if isinstance(cleaned, dict) else {}


def node_sentences(node_errors: Mapping[str, Any], choices_of: ChoicesOf = lambda *_: None) -> list[str]:
    """One sentence for each error, as in "node 4 (CheckpointLoaderSimple): ckpt_name 'x' is not one of 'y'"."""
    sentences: list[str] = []
    for node, each in node_errors.items():
        with contextlib.suppress(*MALFORMED):  # entries of another shape are skipped
            class_type = _shortened(str(each.get("class_type", "?")))
            who = f"node {_shortened(node)} ({class_type})"
            sentences += [f"{who}: {reason}" for reason in _reasons(each, class_type, choices_of)]
    return sentences


def _reasons(node_error: Mapping[str, Any], class_type: str, choices_of: ChoicesOf) -> list[str]:
    errors = node_error.get("errors") or []
    missing = [error for error in errors if error.get("type") == "required_input_missing"]
    reasons = [_reason(error, class_type, choices_of) for error in errors if error not in missing]
    if missing:
        names = " and ".join(_input_name(error) for error in missing)
        reasons.append(f"the input{'s' if len(missing) > 1 else ''} {names} must be given")
    return reasons


def _reason_of_all(error: Any, graph: Mapping[str, Any]) -> str:
    """The error of the graph as a whole."""
    if isinstance(error, Mapping):
        with contextlib.suppress(*MALFORMED):
            return _general_reason(error, graph)
    return _shortened(without_paths(str(error)[:LONGEST_READ]))


def _general_reason(error: Mapping[str, Any], graph: Mapping[str, Any]) -> str:
    kind, message = error.get("type"), str(error.get("message") or error.get("type") or "it gave no reason")
    if kind == "prompt_no_outputs":
        return "it has no output node, such as SaveImage or PreviewImage"
    lacking = _lacking_node(error, graph)
    if lacking is not None:
        return _missing_class(*lacking)
    details = str(error.get("details") or "")
    return _shortened(without_paths(f"{message.rstrip('.')} ({details})" if details else message.rstrip(".")))


def _lacking_node(error: Mapping[str, Any], graph: Mapping[str, Any]) -> tuple[str, object] | None:
    """The node of a class that ComfyUI lacks, and the class, if that is the fault."""
    extra = error.get("extra_info")
    if error.get("type") == "missing_node_type" and isinstance(extra, Mapping) and "node_id" in extra:
        return str(extra["node_id"]), extra.get("class_type")
    node = str(error.get("details") or "").partition("#")[2].rstrip("'")
    if node in graph and "does not exist" in str(error.get("message")):
        return node, graph[node].get("class_type")  # so did ComfyUI before 0.13, and named the node only
    return None


def _lacking(error: Any, graph: Mapping[str, Any]) -> tuple[str, object] | None:
    with contextlib.suppress(*MALFORMED):
        return _lacking_node(error, graph)
    return None


def _missing_class(node: str, class_type: object) -> str:
    if not class_type:
        return f"node {_shortened(node)} has no class_type; it must name a node class, such as KSampler"
    name = _shortened(str(class_type))
    return f"node {_shortened(node)}: this ComfyUI has no node class {name!r} (is a custom node missing?)"


def _reason(error: Mapping[str, Any], class_type: str, choices_of: ChoicesOf) -> str:
    extra = error.get("extra_info") or {}
    name, value = _input_name(error), extra.get("received_value")
    config = extra.get("input_config")
    kind = error.get("type")
    if kind == "value_not_in_list":
        choices = _choices(config) if isinstance(config, list) else choices_of(class_type, name)
        hint = f' (in a request, "model": {json.dumps(choices[0])})' if choices and name in MODEL_INPUTS else ""
        return f"{name} {_shortened(repr(value))} is not one of {_listed(choices, value)}{hint}"
    if kind == "custom_validation_failed" and (missing := _MISSING_FILE.search(str(error.get("details")))):
        return f"{name} {_shortened(missing[1])!r} is not a file in ComfyUI's input folder; send it in images"
    if kind == "value_smaller_than_min" and isinstance(config, list):
        return f"{name} {value!r} is less than {_option(config, 'min')}, the minimum"
    if kind == "value_bigger_than_max" and isinstance(config, list):
        return f"{name} {value!r} is more than {_option(config, 'max')}, the maximum"
    if kind == "invalid_input_type" and isinstance(config, list):
        return f"{name} {_shortened(repr(value))} is no {config[0]}"
    if kind in EXCEPTIONS and extra.get("exception_type") == "KeyError":
        missing_node = str(error.get("details")).strip("'")
        return f"an input links to node {missing_node}, which is not in the graph"
    if kind in EXCEPTIONS and re.search("(tuple|list) index out of range", str(error.get("details"))):
        return "an input links to an output that its node does not have"
    if kind == "dependency_cycle" and (nodes := extra.get("cycle_nodes")):
        return f"its inputs depend on its own output, through {' -> '.join(map(str, [*nodes, nodes[0]]))}"
    if kind == "bad_linked_input":
        return f"{name} is {_shortened(repr(value))}; a link must be a node's id and the number of its output"
    if kind == "return_type_mismatch":
        source = (extra.get("linked_node") or ["?"])[0]
        return f"{name} is linked to node {source}, which gives {extra.get('received_type')}, not {_type(config)}"
    said = error.get("message") or str(kind or "refused").replace("_", " ")
    return _shortened(f"{said}: {error.get('details') or ''}".rstrip(": "))


def _input_name(error: Mapping[str, Any]) -> str:
    return str((error.get("extra_info") or {}).get("input_name") or error.get("details"))


def _choices(config: list[Any]) -> list[Any] | None:
    return config[0] if isinstance(config[0], list) else _option(config, "options")


def _listed(choices: list[Any] | None, wanted: object) -> str:
    """The choices, those most similar to the given value first."""
    if choices is None:
        return "its choices"
    if not choices:
        return "its choices, because there are none (is a model missing?)"
    near = difflib.get_close_matches(str(wanted).lower(), [str(each).lower() for each in choices], n=3)
    ordered = sorted(choices, key=lambda each: near.index(str(each).lower()) if str(each).lower() in near else 3)
    shown = ", ".join(map(repr, ordered[:MOST_CHOICES_SHOWN]))
    rest = len(ordered) - MOST_CHOICES_SHOWN
    return f"{shown} and {rest} more" if rest > 0 else shown


def _option(config: list[Any], name: str) -> Any:
    return config[1].get(name) if len(config) > 1 and isinstance(config[1], Mapping) else None


def _type(config: Any) -> str:
    kind = config[0] if isinstance(config, list) and config else "what it takes"
    return kind if isinstance(kind, str) else "one of its choices"


def _shortened(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= LONGEST_REASON else text[:LONGEST_REASON] + "..."


def _cleaned(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _cleaned(each) for key, each in value.items() if key != "traceback"}
    if isinstance(value, list):
        return [_cleaned(each) for each in value]
    return without_paths(value) if isinstance(value, str) else value

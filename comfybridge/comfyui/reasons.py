"""ComfyUI's errors as sentences for people, without tracebacks and without paths of its file system.

The shapes are those of ComfyUI's execution.py (`validate_inputs`, `validate_prompt`, `execute`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from comfybridge.comfyui.events import ExecutionError
from comfybridge.errors import InvalidWorkflow

MOST_CHOICES_SHOWN = 20
LONGEST_REASON = 500

# An absolute path with at least one folder in it, quoted (then it may hold spaces) or bare; its last part is kept.
# Not what follows a word, a colon or another slash: those are URLs, fractions and dates.
_PATHS = re.compile(
    r"""(?P<quote>['"])(?:[A-Za-z]:[\\/]|[\\/]{1,2})(?:[^'"<>|\r\n]*[\\/])(?P<quoted>[^'"\\/\r\n]*)(?P=quote)"""
    r"""|(?<![\w:/\\.~-])(?:[A-Za-z]:[\\/]+|\\\\|/)(?:[^\s'"<>|:;,()\[\]\\/]+[\\/]+)+(?P<bare>[^\s'"<>|:;,()\[\]\\/]*)"""
)


def without_paths(text: str) -> str:
    """The text with every absolute path cut down to the name of its file."""
    return _PATHS.sub(_last_part, text)


def _last_part(match: re.Match[str]) -> str:
    if match["quote"]:
        return match["quote"] + match["quoted"] + match["quote"]
    return match["bare"] or "..."


def execution_sentence(event: ExecutionError) -> str:
    """`Node 3 (KSampler) failed: OutOfMemoryError: ...`, or what a node said when it blocked its successors."""
    message = _shortened(without_paths(event.exception_message))
    if event.is_block:
        sentence = f"Node {event.node_id} ({event.node_type}) blocked the nodes after it: {message}"
    else:
        name = event.exception_type.rpartition(".")[2]
        sentence = f"Node {event.node_id} ({event.node_type}) failed: {name}: {message}"
    return sentence.rstrip(": .") + "."


def refusal(body: Mapping[str, Any], graph: Mapping[str, Any]) -> InvalidWorkflow:
    """The error that ComfyUI's answer to an invalid graph amounts to.

    Args:
        body: its 400 answer, `{"error": {...}, "node_errors": {...}}`.
        graph: the graph that it refused.
    """
    error = body.get("error") or {}
    node_errors = clean_node_errors(body.get("node_errors"))
    sentences = node_sentences(node_errors)
    if sentences:
        message = f"ComfyUI refused the graph: {'; '.join(sentences)}."
    elif isinstance(error, Mapping):
        message = f"ComfyUI refused the graph: {_general_reason(error, graph)}."
    else:
        message = f"ComfyUI refused the graph: {_shortened(without_paths(str(error)))}."
    return InvalidWorkflow(message, node_errors=node_errors)


def clean_node_errors(node_errors: Any) -> dict[str, Any]:
    """ComfyUI's `node_errors` without tracebacks and paths."""
    cleaned = _cleaned(node_errors)
    return cleaned if isinstance(cleaned, dict) else {}


def node_sentences(node_errors: Mapping[str, Any]) -> list[str]:
    """One sentence for each error, as in "node 4 (CheckpointLoaderSimple): ckpt_name 'x' is not one of 'y'"."""
    sentences: list[str] = []
    for node, each in node_errors.items():
        errors = each.get("errors") or []
        missing = [error for error in errors if error.get("type") == "required_input_missing"]
        reasons = [_reason(error) for error in errors if error not in missing]
        if missing:
            names = " and ".join(_input_name(error) for error in missing)
            reasons.append(f"the input{'s' if len(missing) > 1 else ''} {names} must be given")
        sentences.extend(f"node {node} ({each.get('class_type', '?')}): {reason}" for reason in reasons)
    return sentences


def _general_reason(error: Mapping[str, Any], graph: Mapping[str, Any]) -> str:
    kind, message = error.get("type"), str(error.get("message") or error.get("type") or "it did not say why")
    node = str(error.get("details") or "").partition("#")[2].rstrip("'")
    class_type = graph.get(node, {}).get("class_type") if node else None
    if kind == "prompt_no_outputs":
        return "it has no output node, such as SaveImage or PreviewImage"
    if class_type and "does not exist" in message:
        return f"node {node}: this ComfyUI has no node class {class_type!r}; is a custom node missing?"
    extra = error.get("details")
    return _shortened(without_paths(f"{message.rstrip('.')} ({extra})" if extra else message.rstrip(".")))


def _reason(error: Mapping[str, Any]) -> str:
    extra = error.get("extra_info") or {}
    name, value = _input_name(error), extra.get("received_value")
    config = extra.get("input_config")
    kind = error.get("type")
    if kind == "value_not_in_list" and isinstance(config, list):
        return f"{name} {value!r} is not one of {_choices(config)}"
    if kind == "value_smaller_than_min" and isinstance(config, list):
        return f"{name} {value!r} is less than {_option(config, 'min')}, the least it takes"
    if kind == "value_bigger_than_max" and isinstance(config, list):
        return f"{name} {value!r} is more than {_option(config, 'max')}, the most it takes"
    if kind == "invalid_input_type" and isinstance(config, list):
        return f"{name} {_shortened(repr(value))} is no {config[0]}"
    if kind == "return_type_mismatch":
        source = (extra.get("linked_node") or ["?"])[0]
        return f"{name} is linked to node {source}, which gives {extra.get('received_type')}, not {_type(config)}"
    return _shortened(f"{error.get('message', 'refused')}: {error.get('details', '')}".rstrip(": "))


def _input_name(error: Mapping[str, Any]) -> str:
    return str((error.get("extra_info") or {}).get("input_name") or error.get("details"))


def _choices(config: list[Any]) -> str:
    choices = config[0] if isinstance(config[0], list) else (_option(config, "options") or [])
    shown = ", ".join(map(repr, choices[:MOST_CHOICES_SHOWN]))
    if len(choices) > MOST_CHOICES_SHOWN:
        shown += f" and {len(choices) - MOST_CHOICES_SHOWN} more"
    return shown or "the choices, of which there are none: is a model missing?"


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

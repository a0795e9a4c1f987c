"""The checks of POST /prompt before it queues a graph, and the bodies of its refusals.

Order and wording follow a real ComfyUI: a bridge passes these errors on, so their shapes are part of the protocol.
"""

from dataclasses import dataclass, field
from typing import Any

from comfybridge.simulator.input_checks import InputChecks, Problem
from comfybridge.simulator.nodes.catalog import node_classes
from comfybridge.simulator.nodes.definition import Graph
from comfybridge.simulator.tracebacks import traceback_lines
from comfybridge.simulator.version import Version
from comfybridge.simulator.world import World

# One replacement of several; this one takes over no inputs.
_RETIRED = {"Preview3DAnimation": "Preview3D"}


@dataclass
class Verdict:
    """The result: `error` is None when at least one output node may run."""

    error: dict[str, Any] | None = None
    outputs: list[str] = field(default_factory=list)
    node_errors: dict[str, Any] = field(default_factory=dict)


def validate(graph: Graph, targets: list[str] | None, world: World) -> Verdict:
    """Checks a graph; `targets` are the output nodes to run (None: all of them).

    Converts input values to their declared types in place, as ComfyUI does. Raises TypeError and similar errors for a
    value that is not a graph: the server then answers 500.
    """
    if world.version.is_modern:
        _replace_retired(graph)
    outputs = []
    for node_id in graph:
        if "class_type" not in graph[node_id]:
            return Verdict(error=_no_class(node_id, graph[node_id], world.version))
        node_class = node_classes(world.version).get(graph[node_id]["class_type"])
        if node_class is None:
            return Verdict(error=_unknown_class(node_id, graph[node_id], world.version))
        if node_class.output_node and (targets is None or node_id in targets):
            outputs.append(node_id)
    if not outputs:
        return Verdict(error=refusal("prompt_no_outputs", "Prompt has no outputs", ""))
    return _judge_outputs(graph, outputs, world)


def _replace_retired(graph: Graph) -> None:
    """Replaces retired classes by newer ones. Raises KeyError for such a node without `_meta`."""
    for node_id, node in graph.items():
        newer = _RETIRED.get(node.get("class_type", "")) if "inputs" in node else None
        if newer is not None:
            graph[node_id] = {**node, "class_type": newer, "inputs": {}, "_meta": dict(node["_meta"])}


def refusal(kind: str, message: str, details: str, **extra: Any) -> dict[str, Any]:
    """The `error` object of a 400."""
    return {"type": kind, "message": message, "details": details, "extra_info": extra}


def _no_class(node_id: str, node: dict[str, Any], version: Version) -> dict[str, Any]:
    details = f"Node ID '#{node_id}'"
    if not version.names_missing_nodes:
        message = "Cannot execute because a node is missing the class_type property."
        return refusal("invalid_prompt", message, details)
    title = node.get("_meta", {}).get("title")
    name = title or f"ID #{node_id}"
    message = f"Node '{name}' has no class_type. The workflow may be corrupted or a custom node is missing."
    return refusal("missing_node_type", message, details, node_id=node_id, class_type=None, node_title=title)


def _unknown_class(node_id: str, node: dict[str, Any], version: Version) -> dict[str, Any]:
    details, class_type = f"Node ID '#{node_id}'", node["class_type"]
    if not version.names_missing_nodes:
        return refusal("invalid_prompt", f"Cannot execute because node {class_type} does not exist.", details)
    title = node.get("_meta", {}).get("title", class_type)
    message = f"Node '{title}' not found. The custom node may not be installed."
    return refusal("missing_node_type", message, details, node_id=node_id, class_type=class_type, node_title=title)


def _judge_outputs(graph: Graph, outputs: list[str], world: World) -> Verdict:
    verdict = Verdict()
    checks = InputChecks(graph, world)
    complaints: list[str] = []
    for output in outputs:
        problems = _problems_of_output(checks, output)
        if problems is None:
            verdict.outputs.append(output)
            continue
        complaints += [f"{problem['message']}: {problem['details']}" for problem in problems]
        for node_id, found in checks.verdicts.items():
            # A node that is invalid only because of one before it has no problems of its own, and is left out.
            if found:
                entry = verdict.node_errors.setdefault(
                    node_id,
                    {"errors": found, "dependent_outputs": [], "class_type": graph[node_id]["class_type"]},
                )
                entry["dependent_outputs"].append(output)
    if not verdict.outputs:
        message = "Prompt outputs failed validation"
        verdict.error = refusal("prompt_outputs_failed_validation", message, "\n".join(complaints))
    return verdict


def _problems_of_output(checks: InputChecks, output: str) -> list[Problem] | None:
    """None for a valid output node; otherwise its own problems, of which there may be none."""
    try:
        return checks.problems_of(output)
    except Exception as error:
        problem: Problem = {
            "type": "exception_during_validation",
            "message": "Exception when validating node",
            "details": str(error),
            "extra_info": {
                "exception_type": type(error).__name__,
                "traceback": traceback_lines("validate_inputs", "check(graph[node_id])", line=788),
            },
        }
        checks.verdicts[output] = [problem]
        return [problem]

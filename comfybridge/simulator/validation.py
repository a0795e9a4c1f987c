"""What POST /prompt checks before it queues a graph, and the bodies of its refusals.

Order and wording follow a running ComfyUI: a bridge hands these errors on, so their shapes are part of the protocol.
"""

from dataclasses import dataclass, field
from typing import Any

from comfybridge.simulator.input_checks import InputChecks, Problem
from comfybridge.simulator.nodes.catalog import NODE_CLASSES
from comfybridge.simulator.nodes.definition import Graph
from comfybridge.simulator.tracebacks import traceback_lines
from comfybridge.simulator.world import World


@dataclass
class Verdict:
    """The result: `error` is None when at least one output node may run."""

    error: dict[str, Any] | None = None
    outputs: list[str] = field(default_factory=list)
    node_errors: dict[str, Any] = field(default_factory=dict)


def validate(graph: Graph, targets: list[str] | None, world: World) -> Verdict:
    """Judges a graph; `targets` are the output nodes to run (None: all of them).

    Converts input values to their declared types in place, as ComfyUI does. Raises TypeError and the like for what is
    no graph at all: the server then answers 500.
    """
    outputs = []
    for node_id in graph:
        if "class_type" not in graph[node_id]:
            message = "Cannot execute because a node is missing the class_type property."
            return Verdict(error=refusal("invalid_prompt", message, f"Node ID '#{node_id}'"))
        node_class = NODE_CLASSES.get(graph[node_id]["class_type"])
        if node_class is None:
            message = f"Cannot execute because node {graph[node_id]['class_type']} does not exist."
            return Verdict(error=refusal("invalid_prompt", message, f"Node ID '#{node_id}'"))
        if node_class.output_node and (targets is None or node_id in targets):
            outputs.append(node_id)
    if not outputs:
        return Verdict(error=refusal("prompt_no_outputs", "Prompt has no outputs", ""))
    return _judge_outputs(graph, outputs, world)


def refusal(kind: str, message: str, details: str) -> dict[str, Any]:
    """The `error` object of a 400."""
    return {"type": kind, "message": message, "details": details, "extra_info": {}}


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
            # A node that is wrong only because one above it is has no problems of its own, and is left out.
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
    """None for a good output node; else its own problems, of which there may be none."""
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

"""Finds outputs that ComfyUI names but does not serve: their nodes must run once more."""

from __future__ import annotations

from comfybridge.comfyui.outcome import Outcome
from comfybridge.prompts.outputs import collect_outputs, places_of
from comfybridge.prompts.submission import Submission
from comfybridge.workflow.folders import PREFIX_INPUT
from comfybridge.workflow.graph import is_link


def gone(submission: Submission, outcome: Outcome) -> set[str]:
    """The nodes whose wanted files are from an earlier run and have been deleted since.

    Raises:
        ComfyUIUnreachable, ComfyUIError, TimedOut: the call to ComfyUI failed.
    """
    nodes = {each.node_id for each in outcome.outputs if submission.is_repeat or each.node_id in outcome.cached}
    if not nodes:
        return set()
    client, options = submission.server.client, submission.request.output
    outputs = collect_outputs(outcome, client, submission.deadline, options).outputs
    return {each.node_id for each in outputs if each.node_id in nodes and each.is_remote and not each.is_there()}


def misnamed(submission: Submission, outcome: Outcome) -> dict[str, tuple[str, str]]:
    """For each node that saved under a linked name that ComfyUI does not serve: the file's folder and name."""
    wanted, graph = submission.request.output.nodes, submission.filled.graph
    return {
        each.node_id: (place.subfolder, place.filename)
        for each in outcome.outputs
        if (wanted is None or each.node_id in wanted) and each.node_id in graph
        if is_link(graph[each.node_id]["inputs"].get(PREFIX_INPUT))
        for place in places_of(each)
        if place.has_refused_name
    }

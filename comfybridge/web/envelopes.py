"""The fields of a request whose body is a graph, or has one wrapped up or written as text, as other tools send it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from comfybridge.errors import InvalidRequest
from comfybridge.workflow.wording import clip
from comfybridge.workflow.wrapping import is_node, is_of_editor, unwrap

WORKFLOW = "workflow"
OF_GRAPHS = ("prompt", WORKFLOW)  # the fields that take a graph
JOB = "input"  # what a worker's job has its fields in
OUTPUT = "output"  # a field of ours, and the graph where ComfyUI's editor wraps it up


def opened(body: Mapping[str, Any], known: Collection[str]) -> dict[str, Any]:
    """The fields with the graph, if there is one, as an object in `workflow` or `prompt`.

    What the objects around it hold beside it (`images`, `extra_data`...) becomes fields too, unless the request has
    fields of these names. A body that is no such thing stays as it is.

    Args:
        known: the names of the fields.

    Raises:
        InvalidRequest: there are several graphs.
        InvalidWorkflow: a text must be meant as a graph, but is not JSON.
    """
    fields = dict(body)
    job = fields.get(JOB)
    if isinstance(job, dict) and not is_node(job):
        del fields[JOB]
        fields = {**job, **fields}
    if is_of_editor(fields):
        return {WORKFLOW: fields}
    if any(map(is_node, fields.values())):  # then what else is an object and no field is meant as a node, too
        nodes = {
            name: fields.pop(name)
            for name, value in list(fields.items())
            if is_node(value) or (name not in known and isinstance(value, dict))
        }
        if WORKFLOW in fields:
            raise InvalidRequest("The body is a graph itself and has a workflow too; one request runs one graph.")
        fields[WORKFLOW] = nodes
    return _taken_out(fields, known)


def _taken_out(fields: dict[str, Any], known: Collection[str]) -> dict[str, Any]:
    names = [name for name in fields if name in (*OF_GRAPHS, OUTPUT) or name not in known]
    found = {name: each for name in names if (each := unwrap(fields[name])) is not None}
    if not found:
        return fields
    runnable = [name for name in found if not found[name].is_of_editor] or list(found)
    if len(runnable) > 1:
        raise InvalidRequest(
            f"{' and '.join(map(clip, runnable[:2]))} both hold a graph; one request runs one graph."
        )
    place = runnable[0]
    beside = found[place].beside
    if place in OF_GRAPHS:  # a file that another tool saved has much that means nothing here
        beside = {name: value for name, value in beside.items() if name in known and name != WORKFLOW}
    rest = {name: value for name, value in fields.items() if name not in found}
    return {**beside, **rest, (place if place in OF_GRAPHS else WORKFLOW): found[place].graph}

"""The fields of a request whose body is a graph, or has one wrapped up or written as text, as other tools send it."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from comfybridge.errors import InvalidRequest
from comfybridge.json_size import holds_too_much
from comfybridge.web.dialects.native.foreign_fields import NOT_DONE, set_aside
from comfybridge.workflow.wording import clip
from comfybridge.workflow.wrapping import is_node, is_of_editor, unwrap

WORKFLOW = "workflow"
OF_GRAPHS = ("prompt", WORKFLOW)  # the fields that take a graph
MOST_FIELDS = 1000
JOB = "input"  # what a worker's job has its fields in
OUTPUT = "output"  # a field of ours, and the graph where ComfyUI's editor wraps it up


@dataclass(frozen=True)
class Opened:
    """A body whose graph was found, if it has one.

    Attributes:
        fields: with the graph as an object in `workflow` or `prompt`.
        warnings: what other tools' fields beside the graph ask for, and is not done.
    """

    fields: dict[str, Any]
    warnings: list[str] = field(default_factory=list)


def opened(body: Mapping[str, Any], known: Collection[str]) -> Opened:
    """The fields with the graph, if there is one, as an object in `workflow` or `prompt`.

    What the objects around it hold beside it (`images`, `extra_data`...) becomes fields too, unless the request has
    fields of these names; other tools' fields are left out. A body that is no such thing stays as it is.

    Args:
        known: the names of the fields.

    Raises:
        InvalidRequest: there are several graphs.
        InvalidWorkflow: a text must be meant as a graph, but is not JSON.
    """
    fields = dict(body)
    job = job_in(fields.get(JOB), known)
    if job is not None:
        del fields[JOB]
        fields = {**job, **fields}
    if is_of_editor(fields):
        return Opened({WORKFLOW: fields})
    if any(map(is_node, fields.values())):  # then what else is an object and no field is meant as a node, too
        nodes = {
            name: fields.pop(name)
            for name, value in list(fields.items())
            if is_node(value) or (name not in known and isinstance(value, dict))
        }
        if WORKFLOW in fields:
            raise InvalidRequest("The body is a graph itself and has a workflow too; one request runs one graph.")
        fields[WORKFLOW] = nodes
    fields, is_wrapped = _taken_out(fields, known)
    has_graph = any(isinstance(fields.get(name), dict) for name in OF_GRAPHS)
    if len(fields) > MOST_FIELDS:  # there would be something to say of each
        raise InvalidRequest(f"The body has {len(fields)} fields; there are {len(known)}.")
    if has_graph:
        return Opened(*set_aside(fields, known, is_foreign=is_wrapped or job is not None))
    # what is unknown in a job without a graph may be a parameter of the template's that stands in the wrong place
    inner = {} if job is None else {name: value for name, value in fields.items() if name in job}
    outer = {name: value for name, value in fields.items() if name not in inner}
    kept, warnings = (outer, []) if job is None else set_aside(outer, known, is_foreign=False)
    return Opened({**inner, **kept}, warnings)


def job_in(value: object, known: Collection[str]) -> dict[str, Any] | None:
    """The fields in a worker's job, which may be JSON text; None if it is no job.

    Args:
        known: the names of the fields.
    """
    if isinstance(value, str):
        value = _object_in(value)
        if value is not None and not any(name in known for name in value) and unwrap(value) is None:
            return None  # a text that happens to be JSON
    return value if isinstance(value, dict) and not is_node(value) else None


def _object_in(text: str) -> dict[str, Any] | None:
    if text.lstrip()[:1] != "{" or holds_too_much(text):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _taken_out(fields: dict[str, Any], known: Collection[str]) -> tuple[dict[str, Any], bool]:
    """The fields with the graph in its place, and whether other tools' objects surrounded it."""
    names = [name for name in fields if name in (*OF_GRAPHS, OUTPUT) or name not in known]
    found = {name: each for name in names if (each := unwrap(fields[name])) is not None}
    if not found:
        return fields, False
    runnable = [name for name in found if not found[name].is_of_editor] or list(found)
    if len(runnable) > 1:
        raise InvalidRequest(
            f"{' and '.join(map(clip, runnable[:2]))} both hold a graph; one request runs one graph."
        )
    place = runnable[0]
    beside = found[place].beside
    if place in OF_GRAPHS:  # a file that another tool saved has much that means nothing here
        wanted = {*known, *NOT_DONE} - {WORKFLOW}
        beside = {name: value for name, value in beside.items() if name in wanted}
    rest = {name: value for name, value in fields.items() if name not in found}
    whole = {**beside, **rest, (place if place in OF_GRAPHS else WORKFLOW): found[place].graph}
    return whole, place not in OF_GRAPHS

"""Refuses a graph that a server could not run, before it is queued there."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping
from typing import Any

from comfybridge.comfyui.catalog import Catalog
from comfybridge.comfyui.reasons import ChoicesOf, refusal
from comfybridge.deadline import Deadline
from comfybridge.errors import BridgeError
from comfybridge.prompts.foreseen import missing_choices, node_errors
from comfybridge.prompts.preparation import Prepared
from comfybridge.prompts.refusals import as_of_caller, as_of_template

# Before a graph is refused, descriptions older than so many seconds are asked for anew.
RECENT_SECONDS = 3.0


def check_fits(prepared: Prepared, catalog: Catalog, targets: Collection[str] | None, deadline: Deadline) -> None:
    """Refuse what ComfyUI would certainly refuse, as far as its descriptions of the node classes tell.

    Args:
        targets: the output nodes that are to run; None: all.

    Raises:
        InvalidWorkflow: a node class or an input is missing or wrong. Its `lacks` is set if another server may have
            what is missing.
        BrokenWorkflow, ModelMissing: likewise, in a template.
        ComfyUIUnreachable, ComfyUIError, TimedOut: the server could not be asked.
    """

    def refused(body: Mapping[str, Any]) -> BridgeError:
        error = refusal(body, graph, choices_for_people(catalog, deadline))
        if template.is_of_caller or targets is not None:
            return as_of_caller(error, prepared.filled)
        return as_of_template(error, template, prepared.filled, prepared.brought)

    graph, template = prepared.filled.graph, prepared.template
    names = {node["class_type"] for node in graph.values()}
    known = catalog.node_classes(names, deadline)
    lacking = next((node_id for node_id, node in graph.items() if node["class_type"] not in known), None)
    if lacking is not None:
        facts = {"node_id": lacking, "class_type": graph[lacking]["class_type"]}
        raise refused({"error": {"type": "missing_node_type", "extra_info": facts}})
    errors = node_errors(graph, known, targets, prepared.brought)
    if errors:  # ComfyUI may have been updated, or a model have come
        known = catalog.node_classes(names, deadline, max_age=RECENT_SECONDS)
        for name in {each["class_type"] for each in errors.values()}:
            fresh = catalog.node_class(name, deadline, fresh=True)
            known = {**known, name: fresh} if fresh is not None else known
        errors = node_errors(graph, known, targets, prepared.brought)
    if errors:
        error = refused({"node_errors": errors})
        error.lacks = next(iter(missing_choices(errors)), None)
        raise error


def choices_for_people(catalog: Catalog, deadline: Deadline) -> ChoicesOf:
    """Choices for an error's sentence, which is worth no error of its own."""

    def choices_of(class_type: str, input_name: str) -> list[Any] | None:
        with contextlib.suppress(BridgeError):
            node_class = catalog.node_class(class_type, deadline)
            return node_class.choices(input_name) if node_class else None
        return None

    return choices_of

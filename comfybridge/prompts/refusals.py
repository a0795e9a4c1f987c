"""Decides who is at fault if ComfyUI refuses a template's graph: the caller, or the template itself."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from comfybridge.errors import BridgeError, BrokenWorkflow, InvalidWorkflow, ModelMissing
from comfybridge.workflow.filling import Filled, given_targets, targets_of
from comfybridge.workflow.model_files import how_to_get
from comfybridge.workflow.parameters import Target
from comfybridge.workflow.template import Template
from comfybridge.workflow.wording import clip

_FILE = re.compile(r".+\.[A-Za-z0-9]{2,12}")


def as_of_template(
    refusal: InvalidWorkflow, template: Template, filled: Filled, brought: Collection[Target]
) -> BridgeError:
    """The refusal itself if it concerns the caller's values; otherwise an error of the template.

    Args:
        brought: the inputs that name a file that came with the request.
    """
    values = [filled.graph[target.node]["inputs"].get(target.input) for target in _overridden(filled, template)]
    if any(isinstance(value, (list, dict)) for value in values):
        return refusal  # the caller has changed links, which may cause any error
    callers = given_targets(filled).union(brought)
    # an example picture of the owner's, in the place of which the caller has given none
    callers.update(*(each.targets for each in template.parameters.values() if each.is_file))
    problems = list(_problems(refusal.node_errors or {}))
    wrong = next((target for target, _ in problems if is_callers(target, callers)), None)
    if wrong is not None:
        refusal.field = _name_of(wrong, filled)
        return refusal
    missing = [target for target, error in problems if _is_missing_model(error)]
    if missing and len(missing) == len(problems):
        return ModelMissing(_missing(template, filled, missing), node_errors=refusal.node_errors)
    return does_not_fit(template, refusal.message, node_errors=refusal.node_errors, lacks=refusal.lacks)


def as_of_caller(refusal: InvalidWorkflow, filled: Filled) -> InvalidWorkflow:
    """The refusal of a caller's own graph, with the parameter that is wrong: the first that the caller has given."""
    names = (_name_of(target, filled) for target, _ in _problems(refusal.node_errors or {}))
    refusal.field = next((name for name in names if name), None)
    return refusal


def is_callers(target: Target, given: Collection[Target]) -> bool:
    """Whether the caller has set an input, or a choice on which it depends."""
    names = target.input.split(".")
    return any(Target(target.node, ".".join(names[:count])) in given for count in range(1, len(names) + 1))


def does_not_fit(
    template: Template, said: str, *, node_errors: dict[str, Any] | None = None, lacks: str | None = None
) -> BrokenWorkflow:
    """The error of a template that the server can't run, whoever asks for it."""
    sentence = f"The workflow {clip(template.name)} does not fit this ComfyUI. {said}"
    return BrokenWorkflow(sentence, node_errors=node_errors, lacks=lacks)


def _overridden(filled: Filled, template: Template) -> Iterator[Target]:
    for name in filled.given:
        if name not in template.parameters:
            yield from targets_of(name, filled.graph, template.parameters)


def _name_of(target: Target, filled: Filled) -> str | None:
    """What the caller calls an input that it has set."""
    names = (name for name in filled.given if target in targets_of(name, filled.graph, filled.parameters))
    return next(names, None)


def _problems(node_errors: Mapping[str, Any]) -> Iterator[tuple[Target, Mapping[str, Any]]]:
    """Each error that ComfyUI has found, with its input; entries of another shape are skipped."""
    for node, said in node_errors.items():
        errors = said.get("errors") if isinstance(said, Mapping) else None
        for error in errors if isinstance(errors, list) else []:
            extra = error.get("extra_info") if isinstance(error, Mapping) else None
            name = extra.get("input_name") if isinstance(extra, Mapping) else None
            if isinstance(error, Mapping):
                yield Target(node, str(name)), error


def _is_missing_model(error: Mapping[str, Any]) -> bool:
    extra = error.get("extra_info")
    wanted = extra.get("received_value") if isinstance(extra, Mapping) else None
    return error.get("type") == "value_not_in_list" and isinstance(wanted, str) and bool(_FILE.fullmatch(wanted))


def _missing(template: Template, filled: Filled, targets: list[Target]) -> str:
    named: dict[str, Target] = {}
    for target in targets:
        named.setdefault(str(filled.graph[target.node]["inputs"].get(target.input)), target)
    remedies = "; ".join(how_to_get(name, target.input, template.models) for name, target in named.items())
    which = ", ".join(f"{clip(name)} ({target.input} of node {target.node})" for name, target in named.items())
    return f"The workflow {clip(template.name)} needs {which}, not installed in ComfyUI; {remedies}."

"""From a request to a graph that is filled, checked and fit for the server that is to run it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from comfybridge.comfyui.catalog import Catalog
from comfybridge.deadline import Deadline
from comfybridge.dynamic_choices import check_dynamic_choices
from comfybridge.errors import InvalidRequest, InvalidWorkflow
from comfybridge.file_names import check_file_names
from comfybridge.inputs import Placed, may_be_data, place_files, split_params
from comfybridge.request import GenerationRequest
from comfybridge.workflow.discovery import discover
from comfybridge.workflow.graph import check_graph
from comfybridge.workflow.library import Library
from comfybridge.workflow.model_choice import settle_model
from comfybridge.workflow.parameters import Parameter
from comfybridge.workflow.template import Filled, fill, fill_graph
from comfybridge.workflow.wording import describe

MOST_NODES_NAMED = 20


@dataclass(frozen=True)
class Prepared:
    """What is ready to be queued, once its files are on the server.

    Attributes:
        filled: the graph with its parameters.
        placed: the request's input files, and the inputs that are to name them.
    """

    filled: Filled
    placed: list[Placed]


def prepare(
    request: GenerationRequest,
    library: Library,
    catalog: Catalog,
    default_workflow: str,
    deadline: Deadline,
    *,
    is_confined: bool = False,
) -> Prepared:
    """The request's graph with its parameters filled in, and where its input files go.

    Args:
        catalog: tells what the server's node classes take, and which models it has.
        default_workflow: the template for a request that names none.
        is_confined: whether the request's owner has nothing but the parameters of templates.

    Raises:
        InvalidRequest, InvalidWorkflow, UnknownWorkflow: the request can't work.
        ComfyUIUnreachable, ComfyUIError, TimedOut: the server could not be asked.
    """

    def inputs_of(node: Mapping[str, Any]) -> set[str] | None:
        node_class = catalog.node_class(node["class_type"], deadline)
        return set(node_class.inputs(node["inputs"])) if node_class else None

    _check_extra_data(request.extra_data)
    if request.graph is not None:
        if request.workflow is not None:
            raise InvalidRequest("Either a graph or the name of a workflow can be given, not both.")
        parameters: Mapping[str, Parameter] = (
            discover(check_graph(request.graph)) if _may_bring_files(request) else {}
        )
        params, files = split_params(request.params, parameters)
        filled = fill_graph(request.graph, params, inputs_of)
    else:
        template = library.get(default_workflow if request.workflow is None else request.workflow)
        parameters = template.parameters
        params, files = split_params(request.params, parameters)
        filled = fill(template, params, inputs_of)
        if template.model is not None:
            _settle_model(filled, template.model, catalog, deadline)
    _check_nodes(filled, "partial_execution_targets", request.partial_execution_targets)
    _check_nodes(filled, "output.nodes", request.output.nodes)
    _check_has_output(filled, request.partial_execution_targets, catalog, deadline)
    check_dynamic_choices(filled, catalog, deadline)
    placed = place_files([*request.images, *files], filled, parameters)
    check_file_names(
        filled,
        parameters,
        {target for each in placed for target in each.targets},
        lambda class_type: catalog.node_class(class_type, deadline),
        is_own_graph=request.graph is not None,
        is_confined=is_confined,
    )
    return Prepared(filled, placed)


def _check_extra_data(extra_data: Mapping[str, Any]) -> None:
    """Refuse what ComfyUI accepts, and what makes it fail whenever anybody asks for its jobs, until it is forgotten.

    ComfyUI reads `extra_pnginfo.workflow.id` of each prompt (`_extract_job_metadata` in its comfy_execution/jobs.py).
    """
    for path in ("extra_pnginfo",), ("extra_pnginfo", "workflow"):
        value: Any = extra_data
        for name in path:
            value = value.get(name, {})
        if not isinstance(value, Mapping):
            raise InvalidRequest(
                f"extra_data: {'.'.join(path)} is {describe(value)}; it must be an object, or be left out."
            )


def _may_bring_files(request: GenerationRequest) -> bool:
    return bool(request.images) or any(may_be_data(value) for value in request.params.values())


def _settle_model(filled: Filled, model: Parameter, catalog: Catalog, deadline: Deadline) -> None:
    target = model.targets[0]
    choices = catalog.choices(filled.graph[target.node], target.input, deadline)
    if choices is not None:
        settle_model(filled, model, choices)


def _check_nodes(filled: Filled, field: str, nodes: Iterable[str] | None) -> None:
    unknown = [node for node in nodes or [] if node not in filled.graph]
    if unknown:
        raise InvalidRequest(
            f"{field} names node {unknown[0]}, which the graph does not have; it has "
            f"{', '.join(list(filled.graph)[:MOST_NODES_NAMED])}."
        )


def _check_has_output(filled: Filled, targets: list[str] | None, catalog: Catalog, deadline: Deadline) -> None:
    """Refuse a graph none of whose nodes ComfyUI would run it for; where a class is unknown, ComfyUI decides."""
    graph = filled.graph
    feeding = {
        str(value[0])
        for node in graph.values()
        for value in node["inputs"].values()
        if isinstance(value, list) and value
    }
    # a node that feeds no other is most likely the output: usually one look at the catalog is enough
    for node in sorted(graph if targets is None else targets, key=lambda each: each in feeding):
        node_class = catalog.node_class(graph[node]["class_type"], deadline)
        if node_class is None or node_class.is_output:
            return
    if targets is not None:
        raise InvalidRequest("partial_execution_targets names no output node of the graph.")
    raise InvalidWorkflow(
        "The graph has no output node, so ComfyUI would make nothing of it; add one, such as SaveImage."
    )

"""From a request to a graph that is filled, checked and fit for the server that is to run it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from comfybridge.comfyui.catalog import Catalog, NodeClass
from comfybridge.deadline import Deadline
from comfybridge.errors import BrokenWorkflow, InvalidRequest, InvalidWorkflow
from comfybridge.files.forms import FileForms
from comfybridge.files.inputs import Placed, check_names, place_files
from comfybridge.files.names import NodeClassOf, check_file_names
from comfybridge.files.sent import files_in, may_be_data, split_params
from comfybridge.prompts.changed_choices import follow_choices
from comfybridge.prompts.dynamic_choices import check_dynamic_choices
from comfybridge.request import GenerationRequest, InputFile
from comfybridge.workflow.discovery import discover
from comfybridge.workflow.editor_texts import replace_as_editor
from comfybridge.workflow.graph import check_graph
from comfybridge.workflow.library import Library
from comfybridge.workflow.model_choice import ChoicesOf, settle_model, spell_as_installed
from comfybridge.workflow.parameters import Parameter, Target
from comfybridge.workflow.template import Filled, Template, check_required, fill, fill_graph
from comfybridge.workflow.wording import describe

MOST_NODES_NAMED = 20
IMAGE = "image"  # how the names of parameters for input files begin


@dataclass(frozen=True)
class Prepared:
    """What is ready to be queued, once its files are on the server.

    Attributes:
        filled: the graph with its parameters.
        placed: the request's input files, and the inputs that are to name them.
        template: what it was made of; None for a graph of the caller's own.
    """

    filled: Filled
    placed: list[Placed]
    template: Template | None = None

    @property
    def brought(self) -> set[Target]:
        """The inputs that are to name a file that came with the request."""
        return {target for each in self.placed for target in each.forms}


def prepare(
    request: GenerationRequest,
    library: Library,
    catalog: Catalog,
    default_workflow: str,
    deadline: Deadline,
    *,
    dynamic_texts: bool = True,
    is_confined: bool = False,
) -> Prepared:
    """The request's graph with its parameters filled in, and where its input files go.

    Args:
        catalog: tells what the server's node classes take, and which models it has.
        default_workflow: the template for a request that names none.
        dynamic_texts: whether texts are replaced as ComfyUI's editor does it, where the request does not say.
        is_confined: whether the request's owner has nothing but the parameters of templates.

    Raises:
        InvalidRequest, InvalidWorkflow, UnknownWorkflow: the request can't work.
        BrokenWorkflow, ModelMissing: its template can't.
        ComfyUIUnreachable, ComfyUIError, TimedOut: the server could not be asked.
    """

    def node_class_of(class_type: str) -> NodeClass | None:
        return catalog.node_class(class_type, deadline)

    def choices_of(node: Mapping[str, Any], input_name: str) -> list[Any] | None:
        return catalog.choices(node, input_name, deadline)

    _check_extra_data(request.extra_data)
    template, parameters, filled, files = _filled(request, library, default_workflow, node_class_of)
    forms = FileForms(filled.graph, node_class_of)
    prepared = Prepared(filled, place_files([*request.images, *files], filled, parameters, forms), template)
    check_names(filled, parameters, forms)
    if template is not None:
        check_required(template, filled, prepared.brought)
        _settle_model(filled, template, choices_of)
    spell_as_installed(filled, choices_of)
    if dynamic_texts if request.dynamic_texts is None else request.dynamic_texts:
        replace_as_editor(filled, partial(_takes_choices, node_class_of), datetime.now())
    _check_nodes(filled, "partial_execution_targets", request.partial_execution_targets)
    _check_nodes(filled, "output.nodes", request.output.nodes)
    _check_has_output(filled, request.partial_execution_targets, template, node_class_of)
    follow_choices(filled, catalog, deadline)
    check_dynamic_choices(filled, template, catalog, deadline)
    check_file_names(
        filled,
        parameters,
        prepared.brought,
        node_class_of,
        is_own_graph=request.graph is not None,
        is_confined=is_confined,
    )
    return prepared


def _filled(
    request: GenerationRequest, library: Library, default_workflow: str, node_class_of: NodeClassOf
) -> tuple[Template | None, Mapping[str, Parameter], Filled, list[InputFile]]:
    """The template, the parameters that are needed to place files, the filled graph, and the files that are in it or
    in `params`.
    """

    def inputs_of(node: Mapping[str, Any]) -> set[str] | None:
        node_class = node_class_of(node["class_type"])
        return set(node_class.inputs(node["inputs"])) if node_class else None

    if request.graph is None:
        name = default_workflow if request.workflow is None else request.workflow
        template = library.get(name).learned(node_class_of)
        params, files = split_params(request.params, template.parameters, template.graph)
        return template, template.parameters, fill(template, params, inputs_of, node_class_of), files
    if request.workflow is not None:
        raise InvalidRequest("Either a graph or the name of a workflow can be given, not both.")
    parameters: Mapping[str, Parameter] = {}
    params, files = request.params, files_in(request.graph, request.params)
    if files or _may_bring_files(request):
        graph = check_graph(request.graph)
        parameters = discover(graph, node_class_of)
        params, others = split_params(request.params, parameters, graph)
        files += others
    return None, parameters, fill_graph(request.graph, params, inputs_of, node_class_of), files


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
    return bool(request.images) or any(
        may_be_data(value) or str(name).startswith(IMAGE) for name, value in request.params.items()
    )


def _settle_model(filled: Filled, template: Template, choices_of: ChoicesOf) -> None:
    if template.model is None:
        return
    target = template.model.targets[0]
    choices = choices_of(filled.graph[target.node], target.input)
    if choices is not None:
        settle_model(filled, template.model, choices, template.models)


def _takes_choices(node_class_of: NodeClassOf, class_type: str, input_name: str) -> bool:
    node_class = node_class_of(class_type)
    return node_class is not None and bool(node_class.declared(input_name)[1].get("dynamicPrompts"))


def _check_nodes(filled: Filled, field: str, nodes: Iterable[str] | None) -> None:
    unknown = [node for node in nodes or [] if node not in filled.graph]
    if unknown:
        raise InvalidRequest(
            f"{field} names node {unknown[0]}, which the graph does not have; it has "
            f"{', '.join(list(filled.graph)[:MOST_NODES_NAMED])}."
        )


def _check_has_output(
    filled: Filled, targets: list[str] | None, template: Template | None, node_class_of: NodeClassOf
) -> None:
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
        node_class = node_class_of(graph[node]["class_type"])
        if node_class is None or node_class.is_output:
            return
    if targets is not None:
        raise InvalidRequest("partial_execution_targets names no output node of the graph.")
    if template is not None:
        raise BrokenWorkflow(f"The workflow {template.name} has no output node, so ComfyUI would make nothing of it.")
    raise InvalidWorkflow(
        "The graph has no output node, so ComfyUI would make nothing of it; add one, such as SaveImage."
    )

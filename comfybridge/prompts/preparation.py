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
from comfybridge.files.sent import files_in, split_params
from comfybridge.prompts.changed_choices import follow_choices
from comfybridge.prompts.dynamic_choices import check_dynamic_choices
from comfybridge.request import GenerationRequest, InputFile
from comfybridge.workflow.editor_texts import replace_as_editor
from comfybridge.workflow.filling import Filled, check_required, fill, given_targets
from comfybridge.workflow.library import Library
from comfybridge.workflow.lora_tags import LOADER, NAME_INPUT, load_tagged
from comfybridge.workflow.model_choice import ChoicesOf, settle_model, spell_as_installed
from comfybridge.workflow.parameters import Target
from comfybridge.workflow.presets import with_presets
from comfybridge.workflow.template import Template
from comfybridge.workflow.unconverted import Unconverted, read_workflow
from comfybridge.workflow.wording import describe

MOST_NODES_NAMED = 20
IMAGE = "image"  # how the names of parameters for input files begin


@dataclass(frozen=True)
class Prepared:
    """A graph that is ready to be queued, once its files are on the server.

    Attributes:
        filled: the graph with its parameters.
        placed: the request's input files, and the inputs that are to name them.
        template: the template that it was made from.
    """

    filled: Filled
    placed: list[Placed]
    template: Template

    @property
    def brought(self) -> set[Target]:
        """The inputs that are to name a file that came with the request."""
        return {target for each in self.placed for target in each.forms}


def workflow_of(request: GenerationRequest, library: Library, default_workflow: str) -> Template | Unconverted:
    """What a request's graph is made of: the template that it names, or its own graph as one without a name.

    Args:
        default_workflow: the template for a request that names none.

    Raises:
        UnknownWorkflow, BrokenWorkflow: there is no such template, or it cannot be used.
        InvalidWorkflow: the graph is not well-formed.
        InvalidRequest: the request has a graph and names a template too.
    """
    name = request.template_name(default_workflow)
    if name is not None:
        return library.get(name)
    if request.workflow is not None:
        raise InvalidRequest("Either a graph or the name of a workflow can be given, not both.", field="workflow")
    workflow = read_workflow(request.graph)
    return workflow if isinstance(workflow, Unconverted) else Template.of_graph(workflow)


def prepare(
    request: GenerationRequest,
    template: Template,
    catalog: Catalog,
    deadline: Deadline,
    *,
    dynamic_texts: bool = True,
    is_confined: bool = False,
) -> Prepared:
    """The request's graph with its parameters filled in, and where its input files go.

    Args:
        template: from `workflow_of`, as the server has it.
        catalog: the server's node classes and models.
        dynamic_texts: whether texts are replaced as ComfyUI's editor does it, where the request does not say.
        is_confined: whether the request's owner has nothing but the parameters of templates.

    Raises:
        InvalidRequest, InvalidWorkflow: the request can't work.
        BrokenWorkflow, ModelMissing: its template can't.
        ComfyUIUnreachable, ComfyUIError, TimedOut: the server could not be asked.
    """

    def node_class_of(class_type: str) -> NodeClass | None:
        return catalog.node_class(class_type, deadline)

    def choices_of(node: Mapping[str, Any], input_name: str) -> list[Any] | None:
        return catalog.choices(node, input_name, deadline)

    _check_extra_data(request.extra_data)
    template, filled, files = _filled(request, template, node_class_of)
    forms = FileForms(filled.graph, node_class_of)
    prepared = Prepared(filled, place_files(files, filled, template, forms), template)
    check_names(filled, template.parameters, forms)
    if not template.is_of_caller:
        check_required(template, filled, prepared.brought)
        _settle_model(filled, template, choices_of)
    spell_as_installed(filled, choices_of)
    if dynamic_texts if request.dynamic_texts is None else request.dynamic_texts:
        _replace_texts(filled, template, node_class_of)
    if request.lora_tags:
        _load_tagged(filled, template, catalog, deadline)
    _check_nodes(filled, "partial_execution_targets", request.partial_execution_targets)
    _check_nodes(filled, "output.nodes", request.output.nodes)
    _check_has_output(filled, request.partial_execution_targets, template, node_class_of)
    follow_choices(filled, catalog, deadline)
    check_dynamic_choices(filled, template, catalog, deadline)
    check_file_names(
        filled,
        template.parameters,
        prepared.brought,
        node_class_of,
        is_own_graph=template.is_of_caller,
        is_confined=is_confined,
    )
    return prepared


def _filled(
    request: GenerationRequest, template: Template, node_class_of: NodeClassOf
) -> tuple[Template, Filled, list[InputFile]]:
    """The template as the server knows it, its graph filled in, and all files of the request, wherever they are."""

    def inputs_of(node: Mapping[str, Any]) -> set[str] | None:
        node_class = node_class_of(node["class_type"])
        return set(node_class.inputs(node["inputs"])) if node_class else None

    in_graph = files_in(template.graph, request.params) if template.is_of_caller else []
    is_asked = bool(request.params or request.images or in_graph or request.lora_tags or request.n > 1)
    if not template.is_of_caller or is_asked:
        template = template.learned(node_class_of)
    given = with_presets(template, request.presets, request.params) if request.presets else request.params
    params, in_params = split_params(given, template.parameters, template.graph)
    filled = fill(template, params, inputs_of, node_class_of)
    return template, filled, [*request.images, *in_graph, *in_params]


def _check_extra_data(extra_data: Mapping[str, Any]) -> None:
    """Refuse values that ComfyUI accepts but that make its job list fail for everyone until it forgets the prompt.

    ComfyUI reads `extra_pnginfo.workflow.id` of each prompt (`_extract_job_metadata` in its comfy_execution/jobs.py).
    """
    for path in ("extra_pnginfo",), ("extra_pnginfo", "workflow"):
        value: Any = extra_data
        for name in path:
            value = value.get(name, {})
        if not isinstance(value, Mapping):
            raise InvalidRequest(
                f"extra_data: {'.'.join(path)} is {describe(value)}; it must be an object, or be left out.",
                field="extra_data",
            )


def _settle_model(filled: Filled, template: Template, choices_of: ChoicesOf) -> None:
    if template.model is None:
        return
    target = template.model.targets[0]
    if target.node not in filled.graph:  # left out
        return
    choices = choices_of(filled.graph[target.node], target.input)
    if choices is not None:
        settle_model(filled, template.model, choices, template.models)


def _replace_texts(filled: Filled, template: Template, node_class_of: NodeClassOf) -> None:
    takes_choices, authored = partial(_takes_choices, node_class_of), template.authored
    if authored is None:
        replace_as_editor(filled, takes_choices, datetime.now())
    else:
        plain = template.held - given_targets(filled)
        replace_as_editor(filled, takes_choices, datetime.now(), plain, authored.names)


def _takes_choices(node_class_of: NodeClassOf, class_type: str, input_name: str) -> bool:
    node_class = node_class_of(class_type)
    return node_class is not None and bool(node_class.declared(input_name)[1].get("dynamicPrompts"))


def _load_tagged(filled: Filled, template: Template, catalog: Catalog, deadline: Deadline) -> None:
    """Load the LoRAs that the prompt names."""

    def installed(is_asked_anew: bool) -> list[Any] | None:
        loader = catalog.node_class(LOADER, deadline, fresh=is_asked_anew)
        return None if loader is None else loader.choices(NAME_INPUT)

    def types_of(class_type: str) -> tuple[str, ...]:
        node_class = catalog.node_class(class_type, deadline)
        types = node_class.info.get("output") if node_class else None
        return tuple(map(str, types)) if isinstance(types, list) else ()

    targets = sorted(template.texts({"prompt"}), key=lambda target: (target.node, target.input))
    try:
        load_tagged(filled, targets, installed, types_of)
    except InvalidRequest as error:
        error.field = "prompt"
        raise


def _check_nodes(filled: Filled, field: str, nodes: Iterable[str] | None) -> None:
    unknown = [node for node in nodes or [] if node not in filled.graph]
    if unknown:
        raise InvalidRequest(
            f"{field} names node {unknown[0]}, which the graph does not have; it has "
            f"{', '.join(list(filled.graph)[:MOST_NODES_NAMED])}.",
            field=field,
        )


def _check_has_output(
    filled: Filled, targets: list[str] | None, template: Template, node_class_of: NodeClassOf
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
        said = "partial_execution_targets names no output node of the graph."
        raise InvalidRequest(said, field="partial_execution_targets")
    if not template.is_of_caller:
        raise BrokenWorkflow(f"The workflow {template.name} has no output node, so it would produce nothing.")
    raise InvalidWorkflow("The graph has no output node, so it would produce nothing; add one, such as SaveImage.")

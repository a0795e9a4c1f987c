"""What a workflow needs, and whether a server has it: node classes, and models."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from comfybridge.comfyui.catalog import FRESH_SECONDS
from comfybridge.comfyui.servers import Server, Servers
from comfybridge.deadline import Deadline
from comfybridge.errors import BridgeError
from comfybridge.workflow.graph import Graph
from comfybridge.workflow.model_files import DIRECTORIES, MODEL_FILE, ModelFile
from comfybridge.workflow.parameters import Target, offered
from comfybridge.workflow.template import Template


@dataclass(frozen=True)
class NeededModel:
    """A model that a workflow needs.

    Attributes:
        file: its name, and where to download it as far as the author of the workflow says.
        is_installed: None if no server tells.
        used_instead: the only model of its kind that is installed, which takes its place if a caller names none.
    """

    file: ModelFile
    is_installed: bool | None = None
    used_instead: str | None = None


@dataclass(frozen=True)
class Inventory:
    """What a workflow needs.

    Attributes:
        models: those that its author lists come first; then others that its graph names.
        missing_nodes: the node classes that the server lacks; None if no server tells.
    """

    models: list[NeededModel] = field(default_factory=list)
    missing_nodes: list[str] | None = None

    @property
    def lacking(self) -> int:
        """How much of it is missing, as far as is known."""
        absent = [each for each in self.models if each.is_installed is False and each.used_instead is None]
        return len(self.missing_nodes or ()) + len(absent)


def needs(template: Template) -> Inventory:
    """What a template needs, without asking a server."""
    return Inventory([NeededModel(file) for file, _ in _models(template)])


def inventory(template: Template, servers: Servers, deadline: Deadline) -> Inventory:
    """What a template needs, and whether the server that lacks least of it has it.

    Raises:
        ComfyUIUnreachable, ComfyUIError, TimedOut: no server answers.
    """
    found: list[Inventory] = []
    failure: BridgeError | None = None
    for _, said in servers.each(partial(_on, template), deadline):
        if isinstance(said, BridgeError):
            failure = failure or said
            continue
        found.append(said)
        if not said.lacking:
            break
    if not found:
        raise failure or servers.nobody()
    return min(found, key=lambda each: each.lacking)


def _on(template: Template, server: Server, deadline: Deadline) -> Inventory:
    graph = template.graph
    names = {node["class_type"] for node in graph.values()}
    classes = server.catalog.node_classes(names, deadline, max_age=FRESH_SECONDS)
    models = []
    for file, targets in _models(template):
        if targets:
            is_installed = _is_chosen(graph, targets, server, deadline)
        else:
            is_installed = _is_in_folder(file, server, deadline)
        instead = _stand_in(template, targets, server, deadline) if is_installed is False else None
        models.append(NeededModel(file, is_installed, instead))
    return Inventory(models, sorted(names - classes.keys()))


def _is_chosen(graph: Graph, targets: Sequence[Target], server: Server, deadline: Deadline) -> bool | None:
    """Whether all inputs that name a model offer it; None if one does not tell what it offers."""
    found: list[bool | None] = []
    for target in targets:
        node = graph[target.node]
        choices = server.catalog.choices(node, target.input, deadline)
        found.append(None if choices is None else offered(node["inputs"][target.input], choices) is not None)
    return False if False in found else None if None in found else True


def _stand_in(template: Template, targets: Sequence[Target], server: Server, deadline: Deadline) -> str | None:
    """What `settle_model` takes in the place of a template's own model, without a word of the caller."""
    model = template.model
    if model is None or template.is_of_caller or not set(targets).intersection(model.targets):
        return None
    first = model.targets[0]
    choices = server.catalog.choices(template.graph[first.node], first.input, deadline) or ()
    return str(choices[0]) if len(choices) == 1 else None


def _is_in_folder(file: ModelFile, server: Server, deadline: Deadline) -> bool | None:
    files: Sequence[Any] | None = server.client.models(file.directory, deadline) if file.directory else None
    return None if files is None else offered(file.name, files) is not None


def _models(template: Template) -> Iterator[tuple[ModelFile, list[Target]]]:
    """The models that a template needs, each with the inputs of the graph that name it."""
    named: dict[str, list[Target]] = {}
    for node_id, node in template.graph.items():
        for name, value in node["inputs"].items():
            if isinstance(value, str) and MODEL_FILE.search(value):
                named.setdefault(_plain(value), []).append(Target(node_id, name))
    for file in template.models:
        yield file, named.pop(_plain(file.name), [])
    for targets in named.values():
        first = targets[0]
        value = template.graph[first.node]["inputs"][first.input]
        yield ModelFile(value, DIRECTORIES.get(first.input, "")), targets


def _plain(name: str) -> str:
    return name.replace("\\", "/")

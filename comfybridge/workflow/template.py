"""Templates. A graph that came with a request is one without a name."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from comfybridge.tasks import Task
from comfybridge.workflow.dialect_rules import DialectRules
from comfybridge.workflow.discovery import Discovery, examine
from comfybridge.workflow.editor.conversion import Conversion
from comfybridge.workflow.facts import Facts
from comfybridge.workflow.graph import Graph
from comfybridge.workflow.masks import MaskForm, mask_form
from comfybridge.workflow.model_files import ModelFile
from comfybridge.workflow.parameter_file import ParameterFile
from comfybridge.workflow.parameters import Limits, Parameter, Target
from comfybridge.workflow.tasks import found_tasks

EMPTY_LATENTS = ("EmptyLatentImage", "EmptySD3LatentImage")  # nodes.py, nodes_sd3.py: size // 8
PIXELS_A_LATENT = 8
MOST_SUGGESTED = 5
NO_LINK = "no sampler in the graph takes one"
HIGHEST_DRAWN = 2**53 - 1  # JavaScript clients can hold it exactly, and so ask for the same picture again
SYSTEM_RANDOM = random.SystemRandom()


@dataclass
class Template:
    """A graph with a name and parameters. Shared between requests, so it must not be changed.

    A whole graph that came with a request is one without a name. What is not given stays in it as it is, seeds too,
    and its parameters are looked for only where something is given (`learned`).

    Attributes:
        name: what callers name it; empty for a graph of the caller's own.
        description: for people.
        graph: a checked graph.
        parameters: what callers may choose, by name.
        model: where its model is named, whether or not callers may choose another; None if that is not found.
        models: where to download its models, as far as its author says.
        discovery: the parameters found in its graph; None before the search.
        is_declared: whether its owner says what its parameters are, so that those found do not count.
        declared_tasks: what it is for, as its owner says; empty if nothing is said.
        presets: the parameters that each value of each choice sets: `presets["quality"]["low"]`.
        dialects: how it reads the fields of other APIs, by the dialect's name.
        authored: what its author said in the editor, if the graph was converted.
        file: what the editor saved, if it came to the graph.
        parameter_file: what its owner says of its parameters, if there is such a file.
    """

    name: str
    description: str
    graph: Graph
    parameters: dict[str, Parameter]
    model: Parameter | None = None
    models: tuple[ModelFile, ...] = ()
    discovery: Discovery | None = None
    is_declared: bool = False
    declared_tasks: tuple[Task, ...] = ()
    presets: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)
    dialects: Mapping[str, DialectRules] = field(default_factory=dict)
    authored: Conversion | None = field(default=None, repr=False)
    file: Mapping[str, Any] | None = field(default=None, repr=False)
    parameter_file: ParameterFile | None = field(default=None, repr=False)

    @classmethod
    def of_graph(cls, graph: Graph, authored: Conversion | None = None) -> Template:
        """The template without a name that a checked graph of a caller's is."""
        return cls("", "", graph, {}, authored=authored)

    @classmethod
    def of_discovery(
        cls,
        name: str,
        description: str,
        graph: Graph,
        found: Discovery,
        models: tuple[ModelFile, ...] = (),
        authored: Conversion | None = None,
    ) -> Template:
        """A template with the parameters found in its graph."""
        model = found.parameters.get("model")
        return cls(name, description, graph, found.parameters, model, models, found, authored=authored)

    @property
    def is_of_caller(self) -> bool:
        """Whether it is a whole graph that came with a request."""
        return not self.name

    @cached_property
    def tasks(self) -> tuple[Task, ...]:
        """What it is for, as its owner says or as its parameters show; empty if neither tells."""
        return self.declared_tasks or found_tasks(self.name, self.graph, self.parameters)

    def mask_form(self) -> MaskForm | None:
        """How the file of its parameter `mask` is read; None if it takes no mask."""
        return mask_form(self.graph, self.parameters)

    @property
    def types(self) -> set[str]:
        """The classes of its nodes."""
        return {node["class_type"] for node in self.graph.values()}

    @property
    def held(self) -> set[Target]:
        """The inputs whose values a subgraph's node holds: the editor sends these as they stand there."""
        shown = self.authored.shown if self.authored else ()
        return {Target(*target) for each in shown for target in each.targets}

    @property
    def unclear(self) -> dict[str, str]:
        """Why parameters that one might expect were not found, as sentences by name."""
        return self.discovery.unclear if self.discovery and not self.is_declared else {}

    def learned(self, facts: Facts | None = None) -> Template:
        """The template as it is for a server, which may tell what the nodes' outputs are; itself if that is known.

        Raises:
            ComfyUIUnreachable, ComfyUIError, TimedOut: as the facts do.
        """
        is_known = not self.is_of_caller if self.discovery is None else not self.discovery.unknown
        if is_known or self.is_declared:
            return self
        found = examine(self.graph, facts, self.authored)
        return replace(self, parameters=found.parameters, model=found.parameters.get("model"), discovery=found)

    def texts(self, names: Collection[str]) -> set[Target]:
        """The inputs of parameters of these names, whether they are declared or only found."""
        found = self.discovery.parameters if self.discovery else {}
        return {
            target
            for parameters in (self.parameters, found)
            for name in names
            if name in parameters
            for target in parameters[name].targets
        }

    def schema(
        self, choices: Mapping[str, Sequence[Any]] | None = None, limits: Mapping[str, Limits] | None = None
    ) -> dict[str, Any]:
        """A JSON Schema of the parameters.

        Args:
            choices: what the server offers, by the name of the parameter, such as its models.
            limits: the lowest and highest numbers that the server takes, by the name of the parameter.
        """
        offers, ranges = choices or {}, limits or {}
        required = [name for name, each in self.parameters.items() if each.required]
        properties = {
            name: each.within(*ranges.get(name, (None, None))).schema(offers.get(name))
            for name, each in self.parameters.items()
        }
        model = None if self.model is None or self.is_of_caller else self.model.name
        if model in properties and len(offers.get(model, ())) == 1:  # as `settle_model` does
            properties[model].setdefault("default", offers[model][0])
        return {
            "type": "object",
            "properties": properties,
            **({"required": required} if required else {}),
            "additionalProperties": False,
        }


def input_kind(graph: Graph, parameter: Parameter, facts: Facts | None) -> Any:
    """The type of a parameter's inputs, such as `FLOAT`, as the server gives it; None if it differs or is unknown.

    Raises:
        ComfyUIUnreachable, ComfyUIError, TimedOut: as the facts do.
    """
    if facts is None:
        return None
    told = [(facts(graph[target.node]["class_type"]), target.input) for target in parameter.targets]
    kinds = [node_class.declared(name)[0] if node_class else None for node_class, name in told]
    return kinds[0] if all(kind == kinds[0] for kind in kinds) else None

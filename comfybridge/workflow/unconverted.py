"""Workflows as ComfyUI's editor saved them: what their prompt is depends on the server that is to run it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from comfybridge.workflow.editor.conversion import Moment, conversion
from comfybridge.workflow.editor.file import types_in
from comfybridge.workflow.facts import ClassFacts
from comfybridge.workflow.graph import LONGEST_CLASS, Graph, check_graph
from comfybridge.workflow.named import named_template
from comfybridge.workflow.parameter_file import ParameterFile
from comfybridge.workflow.template import Template
from comfybridge.workflow.wrapping import unwrap


class DescribedClass(ClassFacts, Protocol):
    """What a server says of a node class, and what it calls the class: another name where it has retired the one."""

    @property
    def name(self) -> str:
        """The server's name of it."""

    @property
    def info(self) -> Mapping[str, Any]:
        """Its entry in `/object_info`."""


@dataclass(frozen=True, eq=False)
class Unconverted:
    """A workflow that becomes a template once a server has described its node classes.

    Attributes:
        file: what the editor saved.
        types: the node classes to be described.
        name: the template's name; empty for a workflow that came with a request.
        parameter_file: what the template's owner says of its parameters.
        moment: as `conversion` takes it.
    """

    file: Mapping[str, Any] = field(repr=False)
    types: frozenset[str]
    name: str = ""
    parameter_file: ParameterFile | None = None
    moment: Moment | None = None

    @classmethod
    def of(cls, file: Mapping[str, Any]) -> Unconverted:
        """The workflow in a file of the editor.

        Raises:
            InvalidWorkflow: its subgraphs are malformed.
        """
        return cls(file, frozenset(each for each in types_in(file) if len(each) <= LONGEST_CLASS))

    def template(self, classes: Mapping[str, DescribedClass]) -> Template:
        """The template that it is on a server.

        Args:
            classes: those of `types` that the server has, or has others for.

        Raises:
            InvalidWorkflow: it can't be converted truthfully, or its parameter file does not fit it.
        """
        authored = conversion(self.file, {name: each.info for name, each in classes.items()}, self.moment)
        for node in authored.prompt.values():
            node["class_type"] = classes[node["class_type"]].name
        graph = check_graph(authored.prompt)
        if not self.name:
            return replace(Template.of_graph(graph, authored), file=self.file)
        template = named_template(self.name, graph, self.parameter_file, _by_new_names(classes).get, authored)
        return replace(template, file=self.file)


def read_workflow(value: object) -> Graph | Unconverted:
    """A checked graph, or the workflow that the editor saved.

    Args:
        value: either of them, or what `wrapping.py` knows how to take it out of.

    Raises:
        InvalidWorkflow: it is neither, or malformed.
    """
    found = unwrap(value)
    if found is not None and found.is_of_editor:
        return Unconverted.of(found.graph)
    return check_graph(value if found is None else found.graph)


def _by_new_names(classes: Mapping[str, DescribedClass]) -> dict[str, DescribedClass]:
    return {each.name: each for each in classes.values()}

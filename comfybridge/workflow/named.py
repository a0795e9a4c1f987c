"""Templates with a name, out of a graph and what their owner says of its parameters."""

from __future__ import annotations

from dataclasses import replace

from comfybridge.workflow.declaration import declared
from comfybridge.workflow.dialect_rules import declared_rules
from comfybridge.workflow.discovery import examine
from comfybridge.workflow.editor.conversion import Conversion
from comfybridge.workflow.facts import Facts
from comfybridge.workflow.graph import Graph
from comfybridge.workflow.model_files import declared_models
from comfybridge.workflow.parameter_file import ParameterFile
from comfybridge.workflow.presets import check_presets, declared_presets
from comfybridge.workflow.tasks import declared_tasks
from comfybridge.workflow.template import Template


def named_template(
    name: str,
    graph: Graph,
    parameter_file: ParameterFile | None,
    facts: Facts | None = None,
    authored: Conversion | None = None,
) -> Template:
    """The template of a checked graph.

    Args:
        facts: a server's description of node classes, where it is at hand.
        authored: what the author said in the editor, if the graph was converted.

    Raises:
        InvalidWorkflow: the parameter file does not fit the graph.
    """
    found = examine(graph, facts, authored)
    if parameter_file is None:
        return Template.of_discovery(name, "", graph, found, authored=authored)
    description, parameters = declared(parameter_file.content, graph, parameter_file.name)
    models = declared_models(parameter_file.content, parameter_file.name)
    if parameters is None:
        template = Template.of_discovery(name, description, graph, found, models, authored)
    else:
        model = parameters.get("model") or found.parameters.get("model")
        template = Template(
            name, description, graph, parameters, model, models, found, is_declared=True, authored=authored
        )
    return replace(_with_uses(template, parameter_file), parameter_file=parameter_file)


def _with_uses(template: Template, parameter_file: ParameterFile) -> Template:
    """The template with what its owner says of its uses, which only the bridge's own format has."""
    content, where = parameter_file.content, parameter_file.name
    if not isinstance(content, dict) or where.endswith(".json") or "node_mappings" in content:
        return template
    is_known = template.is_declared or template.discovery is None or not template.discovery.unknown
    used = replace(
        template,
        declared_tasks=declared_tasks(content, where),
        presets=declared_presets(content, where),
        dialects=declared_rules(content, where, template.parameters if is_known else None),
    )
    if is_known:  # else a server may know of more parameters
        check_presets(used, where)
    return used

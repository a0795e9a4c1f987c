"""Checks a request that is to run later, so that one that can't work is refused at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from comfybridge.comfyui.servers import Server, Servers
from comfybridge.errors import BridgeError, ComfyUIError, ComfyUIUnreachable, TimedOut
from comfybridge.files.sent import split_params
from comfybridge.prompts.admitted import Admitted
from comfybridge.prompts.conversions import none_can
from comfybridge.prompts.queueing import Queueing
from comfybridge.workflow.filling import fill
from comfybridge.workflow.graph import Graph
from comfybridge.workflow.model_files import MODEL_FILE
from comfybridge.workflow.parameters import Target
from comfybridge.workflow.presets import with_presets
from comfybridge.workflow.template import Template
from comfybridge.workflow.unconverted import Unconverted


@dataclass(frozen=True)
class Checked:
    """What a ComfyUI must have for a request, as far as that is known.

    Attributes:
        classes: node classes.
        models: model files, each as node class, input, and name.
    """

    classes: tuple[str, ...]
    models: tuple[tuple[str, str, str], ...]


class Checker:
    """Checks requests. Safe to share between threads.

    Args:
        has_servers: whether the servers are those of the bridge itself, and near.
        has_agents: whether there may be others that can run what they lack.
    """

    def __init__(self, servers: Servers, queueing: Queueing, *, has_servers: bool, has_agents: bool) -> None:
        self._servers = servers
        self._queueing = queueing
        self._has_servers = has_servers
        self._has_agents = has_agents

    def check(self, admitted: Admitted) -> Checked:
        """As `Bridge.check`."""
        workflow = self._queueing.workflow_of(admitted)
        failures: list[tuple[Server, BridgeError]] = []
        if self._has_servers:
            for server, said in self._servers.each(
                lambda server, _: self._queueing.check(server, admitted, workflow), admitted.deadline
            ):
                if not isinstance(said, BridgeError):
                    return Checked(*needs(said, sent=_sent(admitted)))
                failures.append((server, said))
        said_no = [each for each in failures if not _is_out_of_reach(each[1])]
        may_be_elsewhere = self._has_agents or len(said_no) < len(failures)
        if said_no and not (may_be_elsewhere and all(error.lacks is not None for _, error in said_no)):
            raise none_can(said_no)
        return _without_server(admitted, workflow)


def needs(
    graph: Graph, spared: Collection[Target] = (), sent: Collection[str] = ()
) -> tuple[tuple[str, ...], tuple[tuple[str, str, str], ...]]:
    """The node classes of a graph, and the model files that it names.

    Args:
        spared: inputs whose models may be replaced by others.
        sent: the names of files that come with the request.
    """
    models = {
        (node["class_type"], name, value): None
        for node_id, node in graph.items()
        for name, value in node["inputs"].items()
        if isinstance(value, str) and MODEL_FILE.search(value) and Target(node_id, name) not in spared
        if value not in sent
    }
    return tuple(sorted({node["class_type"] for node in graph.values()})), tuple(models)


def _sent(admitted: Admitted) -> set[str]:
    return {each.name for each in admitted.asked.images}


def _is_out_of_reach(error: BridgeError) -> bool:
    return isinstance(error, (ComfyUIUnreachable, ComfyUIError, TimedOut))


def _without_server(admitted: Admitted, workflow: Template | Unconverted) -> Checked:
    """As much as shows without a ComfyUI: whether the template has the parameters, and what it is made of."""
    if isinstance(workflow, Unconverted):
        return Checked((), ())  # which of its classes run, and under which names, the server knows
    request, graph, spared = admitted.asked, workflow.graph, set[Target]()
    if not workflow.is_of_caller:
        given: Mapping[str, Any] = request.params
        if request.presets:
            given = with_presets(workflow, request.presets, request.params)
        is_known = workflow.is_declared or workflow.discovery is None or not workflow.discovery.unknown
        if is_known:
            params, _ = split_params(given, workflow.parameters, graph)
            graph = fill(workflow, params).graph
        if workflow.model is not None and workflow.model.name not in given:
            spared.update(workflow.model.targets)
    classes, models = needs(graph, spared, _sent(admitted))
    return Checked(classes, models)

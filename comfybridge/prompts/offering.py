"""What the servers accept for the parameters of a workflow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from comfybridge.comfyui.catalog import NodeClass
from comfybridge.comfyui.dynamic_inputs import ANY
from comfybridge.comfyui.servers import Server, Servers
from comfybridge.deadline import Deadline
from comfybridge.errors import BridgeError
from comfybridge.policy.rights import Rights
from comfybridge.prompts.templates import Templates
from comfybridge.workflow.editor.conversion import Moment
from comfybridge.workflow.offer import Offer, offer_of
from comfybridge.workflow.template import Template
from comfybridge.workflow.unconverted import Unconverted, read_workflow


class Offering:
    """Asks servers about workflows. Safe to share between threads."""

    def __init__(self, servers: Servers, templates: Templates) -> None:
        self._servers = servers
        self._templates = templates

    def offer(self, template: Template, deadline: Deadline) -> Offer:
        """As `Bridge.offer`."""
        facts = partial(self._described, deadline=deadline)
        return offer_of(template.learned(facts), facts, ANY)

    def convert(self, graph: Mapping[str, Any], deadline: Deadline, rights: Rights | None) -> Offer:
        """As `Bridge.convert`, for a graph that is not too large."""
        if rights is not None:
            rights.check_takes_graphs()
        workflow = read_workflow(graph)
        if isinstance(workflow, Unconverted):
            template = self._templates.converted(replace(workflow, moment=Moment()), deadline)
        else:
            template = Template.of_graph(workflow)
        if rights is not None:
            rights.check_nodes(template.graph)
        try:
            offer = self.offer(template, deadline)
        except BridgeError:
            if template.authored is not None:
                raise
            return Offer(template.learned())  # its inputs show parameters without a server too
        return offer if rights is None or rights.policy.server_info else Offer(offer.template)

    def _described(self, class_type: str, deadline: Deadline) -> NodeClass | None:
        """A node class by the first server that has it; None if none of those that answer does."""
        failure: BridgeError | None = None
        has_answered = False
        for _, said in self._servers.each(partial(_node_class, class_type), deadline):
            if isinstance(said, NodeClass):
                return said
            has_answered |= said is None
            failure = said if failure is None else failure
        if has_answered or failure is None:
            return None
        raise failure


def _node_class(class_type: str, server: Server, deadline: Deadline) -> NodeClass | None:
    return server.catalog.node_class(class_type, deadline)

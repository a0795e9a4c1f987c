"""What the editor saved, made into templates by what each server says of its node classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from comfybridge.comfyui.catalog import NodeClass
from comfybridge.comfyui.servers import Server
from comfybridge.deadline import Deadline
from comfybridge.errors import BridgeError, BrokenWorkflow, ComfyUIUnreachable, InvalidWorkflow, TooLarge
from comfybridge.json_size import has_more_bytes
from comfybridge.workflow.template import Template
from comfybridge.workflow.unconverted import Unconverted

# Before a workflow is refused, what is older than so many seconds is asked for anew: ComfyUI may have been updated.
RECENT_SECONDS = 3.0


@dataclass(frozen=True)
class _Made:
    """A template, and the classes by which it was made."""

    template: Template
    classes: Mapping[str, NodeClass]

    def fits(self, classes: Mapping[str, NodeClass]) -> bool:
        """Whether these are the same objects."""
        mine = self.classes
        return mine.keys() == classes.keys() and all(mine[name] is each for name, each in classes.items())


class Conversions:
    """Makes templates of what the editor saved, once for each server and state of its classes.

    Safe to share between threads: at worst, two of them do the same work.

    Args:
        most_bytes: the limit for the prompt of a caller's own workflow.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._made: WeakKeyDictionary[Unconverted, dict[Server, _Made]] = WeakKeyDictionary()

    def on(self, workflow: Template | Unconverted, server: Server, deadline: Deadline) -> Template:
        """The template that a workflow is on a server.

        Raises:
            InvalidWorkflow, TooLarge: a caller's own workflow can't be converted there.
            BrokenWorkflow: a template can't.
            ComfyUIUnreachable, ComfyUIError, TimedOut: the server could not be asked.
        """
        if isinstance(workflow, Template):
            return workflow
        try:
            return self.made(workflow, server, deadline)
        except InvalidWorkflow as error:
            if not workflow.name:
                raise
            raise BrokenWorkflow(
                f"The workflow {workflow.name} is broken: {error.message}", lacks=error.lacks
            ) from None

    def made(self, workflow: Unconverted, server: Server, deadline: Deadline) -> Template:
        """As `on`, but a fault of a template raises InvalidWorkflow, and the message does not name the template."""
        by_server = self._made.setdefault(workflow, {})
        classes = server.catalog.node_classes(workflow.types, deadline)
        made = by_server.get(server)
        if made is None or not made.fits(classes):
            made = self._make(workflow, classes, server, deadline)
            by_server[server] = made
        return made.template

    def _make(
        self, workflow: Unconverted, classes: Mapping[str, NodeClass], server: Server, deadline: Deadline
    ) -> _Made:
        try:
            return self._with(workflow, classes)
        except InvalidWorkflow as error:
            refusal = error
        recent = server.catalog.node_classes(classes, deadline, max_age=RECENT_SECONDS)
        if any(recent.get(name) is not each for name, each in classes.items()):
            try:
                return self._with(workflow, recent)
            except InvalidWorkflow as error:
                refusal = error
        # another server may have that class, or that choice
        refusal.lacks = next(iter(sorted(workflow.types - recent.keys())), "a choice")
        raise refusal

    def _with(self, workflow: Unconverted, classes: Mapping[str, NodeClass]) -> _Made:
        template = workflow.template(classes)
        if not workflow.name and has_more_bytes(self._most_bytes, template.graph):
            raise TooLarge(
                f"The workflow comes to a prompt of more than {self._most_bytes} bytes, the most that "
                "COMFYBRIDGE_MAX_GRAPH_BYTES allows."
            )
        return _Made(template, classes)


def none_can(failures: Sequence[tuple[Server, BridgeError]]) -> BridgeError:
    """The error for a workflow that no server can run.

    Args:
        failures: the error of each server; at least one server answered.
    """
    refused = [(server, error) for server, error in failures if error.lacks is not None]
    if not refused or len(failures) == 1:
        return failures[-1][1]
    first = refused[0][1]
    said = first.message
    if any(error.message != said for _, error in refused):
        said = " ".join(f"ComfyUI at {server.url}: {error.message}" for server, error in refused)
    out_of_reach = next((error for _, error in failures if isinstance(error, ComfyUIUnreachable)), None)
    if out_of_reach is not None:
        sentence = f"{out_of_reach.message} No other ComfyUI can run the workflow: {said}"
        return ComfyUIUnreachable(sentence, retry_after=out_of_reach.retry_after)
    return type(first)(said, node_errors=first.node_errors, lacks=first.lacks)

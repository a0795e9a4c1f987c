"""The library's templates as the servers can run them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from comfybridge.comfyui.servers import Server, Servers
from comfybridge.deadline import Deadline
from comfybridge.errors import BridgeError, InvalidWorkflow
from comfybridge.prompts.conversions import Conversions, none_can
from comfybridge.workflow.library import Library
from comfybridge.workflow.template import Template
from comfybridge.workflow.unconverted import Unconverted


@dataclass(frozen=True)
class Listing:
    """What became of the files in the library.

    Attributes:
        templates: those that can be used, by name.
        broken: those that can't, each as `{"name", "error"}`.
        unread: those of the editor's format while no server says what their nodes are, likewise.
    """

    templates: list[Template] = field(default_factory=list)
    broken: list[dict[str, str]] = field(default_factory=list)
    unread: list[dict[str, str]] = field(default_factory=list)


class Templates:
    """Reads templates with the help of any server that can run them. Safe to share between threads."""

    def __init__(self, library: Library, servers: Servers, conversions: Conversions) -> None:
        self._library = library
        self._servers = servers
        self._conversions = conversions

    def get(self, name: str, deadline: Deadline) -> Template:
        """A template by its name.

        Raises:
            UnknownWorkflow, BrokenWorkflow: there is none, or no server can run it.
            ComfyUIUnreachable, ComfyUIError, TimedOut: it is of the editor's format, and no server answers.
        """
        return self.converted(self._library.get(name), deadline)

    def all(self) -> list[Template | Unconverted]:
        """Those that are well-formed, by name; whether a server can run them is not known yet."""
        return self._library.templates()

    def known(self, name: str) -> Template | Unconverted | None:
        """As `Library.known`."""
        return self._library.known(name)

    def converted(self, workflow: Template | Unconverted, deadline: Deadline) -> Template:
        """The template that a workflow is on the first server that can run it.

        Raises:
            InvalidWorkflow, TooLarge, BrokenWorkflow: as `Conversions.on`.
            ComfyUIUnreachable, ComfyUIError, TimedOut: no server answers.
        """
        if isinstance(workflow, Template):
            return workflow
        return self._first(lambda server, patience: self._conversions.on(workflow, server, patience), deadline)

    def listing(self, deadline: Deadline, wanted: Callable[[str], bool] = lambda _: True) -> Listing:
        """All templates.

        Args:
            deadline: for the servers' answers; what they have not told of by then is unread.
            wanted: whether the template of a name is to be listed.
        """
        listing = Listing(broken=[each for each in self._library.broken() if wanted(each["name"])])
        for each in self._library.templates():
            if isinstance(each, Template):
                if wanted(each.name):
                    listing.templates.append(each)
            elif wanted(each.name):
                self._add(each, listing, deadline)
        listing.broken.sort(key=lambda each: each["name"])
        return listing

    def _add(self, workflow: Unconverted, listing: Listing, deadline: Deadline) -> None:
        try:
            made = self._first(lambda server, patience: self._conversions.made(workflow, server, patience), deadline)
            listing.templates.append(made)
        except InvalidWorkflow as error:
            listing.broken.append({"name": workflow.name, "error": error.message})
        except BridgeError as error:
            sentence = f"It was saved by ComfyUI's editor, and is read once ComfyUI answers: {error.message}"
            listing.unread.append({"name": workflow.name, "error": sentence})

    def _first(self, ask: Callable[[Server, Deadline], Template], deadline: Deadline) -> Template:
        failures: list[tuple[Server, BridgeError]] = []
        for server, said in self._servers.each(ask, deadline):
            if not isinstance(said, BridgeError):
                return said
            failures.append((server, said))
        raise none_can(failures) if failures else self._servers.nobody()

"""What the ComfyUIs of an agent can run: their node classes, and their models."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from comfybridge.comfyui.client import ComfyUIClient
from comfybridge.comfyui.servers import Servers
from comfybridge.comfyui.widgets import choices_of
from comfybridge.deadline import Deadline
from comfybridge.workflow.model_files import MODEL_FILE


@dataclass(frozen=True)
class Abilities:
    """What jobs can run.

    Attributes:
        classes: the names of node classes.
        models: the model files that an input of a class takes, by `CLASS.INPUT`; with slashes, whatever the system.
    """

    classes: frozenset[str] = frozenset()
    models: Mapping[str, frozenset[str]] = field(default_factory=dict, repr=False)

    def lacking(self, classes: Iterable[str], models: Iterable[tuple[str, str, str]]) -> str | None:
        """What is missing for a job, as the end of a sentence; None if nothing is, as far as is known.

        Args:
            classes, models: as `Checked` has them.
        """
        for name in classes:
            if name not in self.classes:
                return f"the node class {name}"
        for class_type, input_name, file_name in models:
            known = self.models.get(f"{class_type}.{input_name}")
            if known is not None and _plain(file_name) not in known:
                return f"the model {file_name}"
        return None

    @cached_property
    def hash(self) -> str:
        """The same for equal abilities."""
        return hashlib.sha256(self._text).hexdigest()[:16]

    @cached_property
    def _text(self) -> bytes:
        told = {
            "classes": sorted(self.classes),
            "models": {name: sorted(files) for name, files in sorted(self.models.items())},
        }
        return json.dumps(told).encode()

    def to_bytes(self) -> bytes:
        """For a message: loaders of one kind list the same models, so it is compressed."""
        return zlib.compress(self._text, 1)

    @classmethod
    def from_bytes(cls, data: bytes) -> Abilities:
        """From `to_bytes`.

        Raises:
            ValueError, TypeError, AttributeError, KeyError, zlib.error: they are of something else.
        """
        told = json.loads(zlib.decompress(data))
        models = {name: frozenset(files) for name, files in told["models"].items()}
        return cls(frozenset(told["classes"]), models)


def abilities_of(servers: Servers, deadline: Deadline) -> Abilities:
    """What the servers that answer can run, together.

    Raises:
        ComfyUIUnreachable, ComfyUIError, TimedOut: none answers.
    """
    classes: set[str] = set()
    models: dict[str, set[str]] = {}
    answers = servers.answers(lambda server, patience: _ask(server.client, patience), deadline)
    for _, (infos, retired) in answers:
        classes.update(infos)
        classes.update(retired)
        for name, info in infos.items():
            for input_name, files in _models_of(info):
                models.setdefault(f"{name}.{input_name}", set()).update(files)
    return Abilities(frozenset(classes), {name: frozenset(files) for name, files in models.items()})


def _ask(client: ComfyUIClient, deadline: Deadline) -> tuple[Mapping[str, Any], Iterable[str]]:
    """The node classes of a server, and those that it puts others in the place of."""
    return client.all_object_info(deadline), client.node_replacements(deadline)


def _models_of(info: Any) -> Iterable[tuple[str, set[str]]]:
    """The inputs of a class that take model files, and these."""
    inputs = info.get("input") if isinstance(info, Mapping) else None
    for group in ("required", "optional"):
        named = inputs.get(group) if isinstance(inputs, Mapping) else None
        for name, config in named.items() if isinstance(named, Mapping) else ():
            choices = choices_of(config)
            files = {_plain(each) for each in choices or () if isinstance(each, str) and MODEL_FILE.search(each)}
            if files or (choices == [] and name.endswith("_name")):  # none of that kind is installed
                yield name, files


def _plain(file_name: str) -> str:
    return file_name.replace("\\", "/")

"""What a ComfyUI server says of its node classes, cached."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from comfybridge.comfyui.client import ComfyUIClient
from comfybridge.deadline import Deadline

# Node classes change when ComfyUI restarts, model lists when somebody copies a file.
FRESH_SECONDS = 30.0


@dataclass(frozen=True)
class NodeClass:
    """A node class, as `/object_info` describes it.

    Attributes:
        name: its `class_type`.
        is_output: whether ComfyUI runs a graph for its sake.
        display_name, description: what people read of it.
        required, optional: the options of each input by name, as ComfyUI gives them: `[type, {...}]`.
    """

    name: str
    is_output: bool
    required: Mapping[str, Any]
    optional: Mapping[str, Any]
    display_name: str = ""
    description: str = ""

    @property
    def input_names(self) -> list[str]:
        """All inputs that it takes."""
        return [*self.required, *self.optional]

    def declared(self, input_name: str) -> tuple[Any, Mapping[str, Any]]:
        """The type and the options of an input; None and no options for one that it does not take."""
        config = self.required.get(input_name) or self.optional.get(input_name)
        if not isinstance(config, (list, tuple)) or not config:
            return None, {}
        options = config[1] if len(config) > 1 else None
        return config[0], options if isinstance(options, Mapping) else {}

    def choices(self, input_name: str) -> list[Any] | None:
        """What an input can be chosen from; None if it is not a choice.

        ComfyUI writes a choice as `[[...], {...}]` or as `["COMBO", {"options": [...]}]`.
        """
        config = self.required.get(input_name) or self.optional.get(input_name)
        if not isinstance(config, list) or not config:
            return None
        if isinstance(config[0], list):
            return config[0]
        if config[0] == "COMBO" and len(config) > 1 and isinstance(config[1], Mapping):
            options = config[1].get("options")
            return options if isinstance(options, list) else None
        return None


@dataclass
class Catalog:
    """The node classes of one server. Safe to share between threads: at worst two of them ask the same."""

    client: ComfyUIClient
    _known: dict[str, tuple[float, NodeClass]] = field(default_factory=dict)

    def node_class(self, name: str, deadline: Deadline, *, fresh: bool = False) -> NodeClass | None:
        """A node class; None if the server has none of that name. Raises what `ComfyUIClient.object_info` raises.

        Args:
            fresh: ask the server even if the answer is known.
        """
        known = self._known.get(name)
        if known is not None and not fresh and time.monotonic() - known[0] < FRESH_SECONDS:
            return known[1]
        info = self.client.object_info(name, deadline)
        if info is None:
            self._known.pop(name, None)
            return None
        node_class = _node_class(name, info)
        self._known[name] = (time.monotonic(), node_class)
        return node_class

    def choices(self, class_type: str, input_name: str, wanted: object, deadline: Deadline) -> list[Any] | None:
        """What an input can be chosen from; asked for anew if the wanted value is not among what is known."""
        node_class = self.node_class(class_type, deadline)
        choices = node_class.choices(input_name) if node_class else None
        if choices is not None and wanted not in choices:
            node_class = self.node_class(class_type, deadline, fresh=True)
            choices = node_class.choices(input_name) if node_class else None
        return choices


def _node_class(name: str, info: Mapping[str, Any]) -> NodeClass:
    inputs = _mapping(info.get("input"))
    required, optional = _mapping(inputs.get("required")), _mapping(inputs.get("optional"))
    display_name, description = (str(info.get(key) or "") for key in ("display_name", "description"))
    return NodeClass(name, bool(info.get("output_node")), required, optional, display_name, description)


def _mapping(value: object) -> Mapping[str, Any]:
    """The value, if it is of the shape that it should have: some nodes describe their inputs otherwise."""
    return value if isinstance(value, Mapping) else {}

"""Caches a ComfyUI server's descriptions of its node classes."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from comfybridge.comfyui.client import ComfyUIClient
from comfybridge.comfyui.dynamic_inputs import DYNAMIC, parts, spelled_out
from comfybridge.comfyui.widgets import choices_of
from comfybridge.deadline import Deadline

# Node classes change when ComfyUI restarts, model lists when a file is copied.
FRESH_SECONDS = 30.0


@dataclass(frozen=True)
class NodeClass:
    """A node class, as `/object_info` describes it.

    Attributes:
        name: its `class_type`.
        is_output: whether ComfyUI runs a graph for its sake.
        required, optional: the options of each input by name, as ComfyUI gives them: `[type, {...}]`. Inputs within
            others are not spelled out.
        output_names: the names of its outputs, by their slots.
        display_name, description: what people read of it.
    """

    name: str
    is_output: bool
    required: Mapping[str, Any]
    optional: Mapping[str, Any]
    output_names: tuple[str, ...] = ()
    display_name: str = ""
    description: str = ""

    @cached_property
    def has_dynamic_inputs(self) -> bool:
        """Whether the inputs of a node depend on the values of some of them."""
        return any(parts(config)[0] in DYNAMIC for config in (*self.required.values(), *self.optional.values()))

    def inputs(self, given: Mapping[str, Any], *, with_rows: bool = True) -> dict[str, Any]:
        """The options of all inputs that a node with these values takes, by their full names: `format.bit_depth`.

        Args:
            with_rows: whether to include the inputs of rows, such as `images.image0`.
        """
        return dict(spelled_out({"required": self.required, "optional": self.optional}, given, with_rows=with_rows))

    def declared(self, input_name: str) -> tuple[Any, Mapping[str, Any]]:
        """The type and the options of an input; the first ones if they depend on other inputs' values.

        None and no options for an input that the class does not have.
        """
        return parts(next(iter(self.declarations(input_name)), None))

    def declarations(self, input_name: str, given: Mapping[str, Any] | None = None) -> list[Any]:
        """The options of one input, as ComfyUI reports them; several if they depend on values not given.

        Args:
            given: the values that a node has; None: any.
        """
        if "." not in input_name:  # most have none
            return [group[input_name] for group in (self.required, self.optional) if input_name in group]
        declared = spelled_out({"required": self.required, "optional": self.optional}, given)
        return [config for name, config in declared if name == input_name]

    def choices(self, input_name: str, given: Mapping[str, Any] | None = None) -> list[Any] | None:
        """The choices of an input; None if it is not a choice, or the choices are unknown.

        Args:
            given: as for `declarations`.
        """
        found = [choices_of(config) for config in self.declarations(input_name, given)]
        if not found or None in found:
            return None
        together = [choice for choices in found for choice in choices or ()]
        return (
            found[0] if len(found) == 1 else [each for at, each in enumerate(together) if each not in together[:at]]
        )

    def limits(self, input_name: str) -> tuple[float | None, float | None]:
        """The minimum and maximum of an input; None if there is none, or if it does not take a number."""
        found = [parts(config)[1] for config in self.declarations(input_name)]
        lowest = _numbers(options.get("min") for options in found)
        highest = _numbers(options.get("max") for options in found)
        return min(lowest, default=None), max(highest, default=None)


@dataclass
class Catalog:
    """The node classes of one server. Safe to share between threads: at worst, two of them make the same call."""

    client: ComfyUIClient
    _known: dict[str, tuple[float, NodeClass]] = field(default_factory=dict)

    def node_class(self, name: str, deadline: Deadline, *, fresh: bool = False) -> NodeClass | None:
        """A node class; None if the server does not have it. Raises what `ComfyUIClient.object_info` raises.

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

    def choices(self, node: Mapping[str, Any], input_name: str, deadline: Deadline) -> list[Any] | None:
        """The choices of a node's input; fetched again if its value is not among the known ones."""
        class_type, given = node["class_type"], node["inputs"]
        node_class = self.node_class(class_type, deadline)
        choices = node_class.choices(input_name, given) if node_class else None
        if choices is not None and given.get(input_name) not in choices:
            node_class = self.node_class(class_type, deadline, fresh=True)
            choices = node_class.choices(input_name, given) if node_class else None
        return choices

    def known(self, name: str) -> NodeClass | None:
        """A node class as the server last described it, however long ago; None if never fetched."""
        known = self._known.get(name)
        return None if known is None else known[1]


def _node_class(name: str, info: Mapping[str, Any]) -> NodeClass:
    inputs = _mapping(info.get("input"))
    required, optional = _mapping(inputs.get("required")), _mapping(inputs.get("optional"))
    names = info.get("output_name")
    outputs = tuple(str(each) for each in names) if isinstance(names, list) else ()
    display_name, description = (str(info.get(key) or "") for key in ("display_name", "description"))
    return NodeClass(name, bool(info.get("output_node")), required, optional, outputs, display_name, description)


def _numbers(values: Iterable[Any]) -> list[float]:
    return [each for each in values if isinstance(each, (int, float)) and math.isfinite(each)]


def _mapping(value: object) -> Mapping[str, Any]:
    """The value if it is a mapping; some nodes describe their inputs in other shapes."""
    return value if isinstance(value, Mapping) else {}

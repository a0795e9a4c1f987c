"""Reads node classes from /object_info: their inputs in order, which of them are widgets, and their outputs.

An input is a socket, which takes a link, or a widget, which holds a value and may take a link instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

COMBO = "COMBO"
DYNAMIC_COMBO = "COMFY_DYNAMICCOMBO_V3"
DYNAMIC_GROUP = "COMFY_DYNAMICGROUP_V3"
AUTOGROW = "COMFY_AUTOGROW_V3"
MATCH_TYPE = "COMFY_MATCHTYPE_V3"
BOUNDING_BOX = "BOUNDING_BOX"
CURVE = "CURVE"
# The editor makes the values of their widgets when it queues the prompt; no file contains them.
MADE_WHEN_QUEUED = {
    "LOAD_3D": "a photograph of its 3D scene",
    "LOAD_3D_ANIMATION": "a photograph of its 3D scene",
    "WEBCAM": "a photograph by the webcam",
    "AUDIO_RECORD": "a recording by the microphone",
}
# Widgets that the editor does not save: they have no position among the values of a node.
NOT_SAVED = frozenset(("IMAGECOMPARE", "RESOLUTION_PREVIEW"))
# Initial values of widgets whose class declares no default; a combo has its first choice.
_FIRST_VALUES: dict[str, Any] = {
    "INT": 0,
    "FLOAT": 0,
    "STRING": "",
    "BOOLEAN": False,
    "COLOR": "#000000",
    "MARKDOWN": "",
    "TEXTAREA": "",
    "IMAGECOMPARE": ["", ""],
    "RESOLUTION_PREVIEW": None,
    "PAINTER": None,
    "COMPOSITOR": {},
    BOUNDING_BOX: {"x": 0, "y": 0, "width": 512, "height": 512},
    "BOUNDING_BOXES": [],
    "COLORS": [],
    CURVE: {"points": [[0, 0], [1, 1]], "interpolation": "monotone_cubic"},
    "RANGE": {"min": 0, "max": 1},
    "CHART": {},
    "GALLERIA": [],
    "VIDEO_EDIT": {},
    "LIGHT_INFO_PREVIEW": None,
}
_WIDGETS = frozenset((COMBO, DYNAMIC_COMBO, *_FIRST_VALUES, *MADE_WHEN_QUEUED))
_SEEDS = ("seed", "noise_seed")


@dataclass(frozen=True)
class Declared:
    """An input that a class declares.

    Attributes:
        kind: the type that it takes; COMBO for a list of choices.
        choices: the choices of a combo.
        options: its other options.
        is_of_choice: whether it belongs to a choice of a dynamic combo.
    """

    name: str
    kind: str
    choices: list[Any]
    options: Mapping[str, Any]
    is_of_choice: bool = False

    @cached_property
    def look(self) -> str:
        """The type that determines its widget."""
        other = self.options.get("widgetType")
        return other if isinstance(other, str) else self.kind

    @cached_property
    def is_widget(self) -> bool:
        """Whether it holds a value, and is not just a socket."""
        return self.look in _WIDGETS and not self.options.get("forceInput")

    @property
    def is_combo(self) -> bool:
        """Whether its value is chosen from a list."""
        return self.look in (COMBO, DYNAMIC_COMBO)

    @property
    def has_socket(self) -> bool:
        """Whether it can take a link."""
        return not self.options.get("socketless")

    @property
    def is_controlled(self) -> bool:
        """Whether it is followed by a widget that says how the value changes after each run."""
        control = self.options.get("control_after_generate")
        if self.look == "INT":
            return self.name in _SEEDS if control is None else bool(control)
        return bool(control) and self.look in (COMBO, "FLOAT")

    @property
    def first_value(self) -> Any:
        """Its initial value; None if it has none."""
        default = self.options.get("default")
        if self.is_combo:
            if self.options.get("multi_select"):
                return default if isinstance(default, list) else []
            return default or next(iter(self.choices), None)
        return _FIRST_VALUES.get(self.look) if default is None else default

    def inputs_for(self, key: Any) -> list[Declared] | None:
        """The inputs that belong to a choice of a dynamic combo; None if it does not offer that choice."""
        for option in _listed(self.options.get("options")):
            if isinstance(option, Mapping) and option.get("key") == key:
                return [each.under(self.name) for each in _declared(option.get("inputs"), None)]
        return None

    def under(self, name: str) -> Declared:
        """A copy of it as an input of a choice."""
        return Declared(f"{name}.{self.name}", self.kind, self.choices, self.options, is_of_choice=True)


@dataclass(frozen=True)
class NodeClass:
    """A class of nodes that the server has.

    Attributes:
        title: the title that the editor gives to its nodes.
        is_of_pack: whether it is known to come from a pack, which may have scripts in the editor.
    """

    name: str
    title: str
    inputs: list[Declared]
    output_kinds: list[str]
    is_of_pack: bool

    @cached_property
    def forced(self) -> list[bool]:
        """For each value of a node whether its input is a socket now, if all such inputs were once widgets."""
        positions = []
        for declared in self.inputs:
            is_forced = bool(declared.options.get("forceInput"))
            if (is_forced or declared.is_widget) and declared.look not in NOT_SAVED:
                positions.append(is_forced)
                if declared.options.get("control_after_generate"):
                    positions.append(False)
        return positions


class NodeClasses:
    """The classes of a server; each is read on first use."""

    def __init__(self, object_info: Mapping[str, Any]) -> None:
        """Take the server's answer to GET /object_info."""
        self._described = object_info
        self._read: dict[str, NodeClass | None] = {}

    def get(self, name: str) -> NodeClass | None:
        """The class of that name; None if the server has none."""
        if name not in self._read:
            described = self._described.get(name)
            self._read[name] = _node_class(name, described) if isinstance(described, Mapping) else None
        return self._read[name]


def _node_class(name: str, described: Mapping[str, Any]) -> NodeClass:
    title, module = described.get("display_name"), described.get("python_module")
    return NodeClass(
        name,
        title if isinstance(title, str) and title else name,
        list(_declared(described.get("input"), described.get("input_order"))),
        [_kind(each) for each in _listed(described.get("output"))],
        isinstance(module, str) and module.startswith("custom_nodes."),
    )


def _declared(inputs: object, order: object) -> Iterator[Declared]:
    """Inputs in the editor's order: required ones first."""
    for section in ("required", "optional"):
        found = inputs.get(section) if isinstance(inputs, Mapping) else None
        if not isinstance(found, Mapping):
            continue
        first = _listed(order.get(section)) if isinstance(order, Mapping) else []
        names = {name: None for name in first if isinstance(name, str) and name in found}
        for name in {**names, **found}:
            yield _input(name, found[name])


def _input(name: str, config: object) -> Declared:
    parts = list(config) if isinstance(config, (list, tuple)) else [config]
    kind = parts[0] if parts else "*"
    options = parts[1] if len(parts) > 1 and isinstance(parts[1], Mapping) else {}
    choices = kind if isinstance(kind, (list, tuple)) else _choices(options)
    return Declared(name, _kind(kind), list(choices), options)


def _choices(options: Mapping[str, Any]) -> list[Any]:
    return [
        each["key"] if isinstance(each, Mapping) and "key" in each else each
        for each in _listed(options.get("options"))
    ]


def _kind(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return COMBO
    return value if isinstance(value, str) else "*"


def _listed(value: object) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else []

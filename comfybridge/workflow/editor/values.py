"""Reads the values of a node's widgets, which a file has as a list, by position.

The class determines the position of each widget. Some widgets that the editor adds take a position but are not sent.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from comfybridge.errors import InvalidWorkflow
from comfybridge.workflow.editor import javascript
from comfybridge.workflow.editor.additions import added_widgets
from comfybridge.workflow.editor.classes import (
    BOUNDING_BOX,
    COMBO,
    DYNAMIC_COMBO,
    MADE_WHEN_QUEUED,
    NOT_SAVED,
    Declared,
    NodeClass,
)
from comfybridge.workflow.editor.saved import Node
from comfybridge.workflow.wording import describe, listed

MISSING = object()  # stands for no value at all
CUSTOM_COMBO = "CustomCombo"
_OLD_SAMPLER = "sample_"
_SAMPLERS = ("KSampler", "KSamplerAdvanced")
_REFRESH = "refresh"


@dataclass(slots=True)
class Widget:
    """A widget of a node with its value; MISSING for that of a combo without choices."""

    declared: Declared
    value: Any

    @property
    def is_dynamic_text(self) -> bool:
        """Whether choices are drawn in its text when it is sent."""
        return self.declared.look == "STRING" and self.declared.options.get("dynamicPrompts") is True


@dataclass(slots=True)
class Filled:
    """The widgets and inputs that a node has by its class and by its choices.

    Attributes:
        widgets: the widgets that are sent, by name.
        inputs: sockets and widgets that can take links, in the editor's order.
    """

    widgets: dict[str, Widget] = field(default_factory=dict)
    inputs: list[Declared] = field(default_factory=list)


class _Given:
    """The values in the file, in order or by name.

    Attributes:
        names: the widget at each position taken so far; None for a skipped position.
    """

    def __init__(self, values: list[Any] | dict[str, Any]) -> None:
        self.names: list[str | None] = []
        self._by_name = values if isinstance(values, dict) else {}
        self._rest: Iterator[Any] = iter(values if isinstance(values, list) else ())

    def take(self, name: str) -> Any:
        """The value of the next saved widget."""
        self.names.append(name)
        return self._by_name[name] if name in self._by_name else next(self._rest, MISSING)

    def skip(self, count: int) -> None:
        """Skip the positions of widgets that are not sent."""
        self.names.extend([None] * count)
        for _ in range(count):
            next(self._rest, MISSING)

    def rest(self) -> list[Any]:
        """The values that no widget has taken yet."""
        return list(self._rest)


def fill(node: Node, node_class: NodeClass) -> Filled:
    """Give each widget of a node its value.

    Raises:
        InvalidWorkflow: a choice that determines other widgets is unknown, or the pack of the class adds widgets. The
            message follows the node's name, and has no full stop.
    """
    values = node.values
    if isinstance(values, list):
        values = _without_sockets(values, node_class)
    if node_class.name == CUSTOM_COMBO and isinstance(values, list):
        return _custom_combo(values, node_class)
    given = _Given(values)
    filled = _fill(node, node_class, given)
    if node_class.is_of_pack and any(isinstance(each, dict) and each for each in given.rest()):
        raise InvalidWorkflow("a script of its pack lays out its values, which can't be read without the pack")
    return filled


def positions(node: Node, node_class: NodeClass) -> list[str | None]:
    """The widget at each position among the values of a node, by name; None for one that is not sent."""
    given = _Given(node.values)
    _fill(node, node_class, given)
    return given.names


def _fill(node: Node, node_class: NodeClass, given: _Given) -> Filled:
    filled = Filled()
    links_to_widgets: list[Declared] = []
    rows = list(reversed(node_class.inputs))
    while rows:
        declared = rows.pop()
        if not declared.is_widget:
            ends = links_to_widgets if "." in declared.name else filled.inputs
            ends.append(declared)
            continue
        value = MISSING if declared.look in NOT_SAVED else given.take(declared.name)
        value = held_by(declared, value)
        if declared.has_socket:
            links_to_widgets.append(declared)
        if value is MISSING and (declared.look == COMBO or declared.look in MADE_WHEN_QUEUED):
            filled.widgets[declared.name] = Widget(declared, MISSING)
        elif value is not MISSING:
            if declared.name == "sampler_name" and node.type in _SAMPLERS and isinstance(value, str):
                value = value.removeprefix(_OLD_SAMPLER)
            filled.widgets[declared.name] = Widget(declared, value)
        if declared.look == DYNAMIC_COMBO and value is not MISSING:
            rows.extend(reversed(_chosen(declared, value)))
        _followers(declared, given, filled)
    for name, value in added_widgets(node_class.name):
        filled.widgets[name] = Widget(Declared(name, "STRING", [], {}), value)
    filled.inputs.extend(links_to_widgets)
    return filled


def held_by(declared: Declared, value: Any) -> Any:
    """The value as its widget converts it."""
    if value is MISSING or (value is None and declared.is_combo):
        first = declared.first_value
        return MISSING if first is None and (declared.is_combo or value is MISSING) else first
    if declared.look == "STRING" and declared.options.get("multiline") and not isinstance(value, str):
        return javascript.text(value)
    return value


def _chosen(declared: Declared, value: Any) -> list[Declared]:
    inputs = declared.inputs_for(value)
    if inputs is None:
        raise InvalidWorkflow(
            f"{declared.name} is {describe(value)}, which this ComfyUI does not offer, so the values after it can't "
            f"be told apart; it offers {listed(declared.choices, value)}"
        )
    return inputs


def _followers(declared: Declared, given: _Given, filled: Filled) -> None:
    """Skip the widgets that the editor adds after a widget."""
    if declared.look == BOUNDING_BOX:
        given.skip(4)  # its x, y, width and height as separate widgets
    remote = declared.options.get("remote")
    if declared.look == COMBO and isinstance(remote, dict):
        given.skip(1)  # whether the list is fetched again after each run
        if remote.get("refresh_button"):
            value = given.take(_REFRESH)
            button = Declared(_REFRESH, "STRING", [], {})
            filled.widgets[_REFRESH] = Widget(button, _REFRESH if value is MISSING else value)
    if declared.is_controlled:
        given.skip(2 if declared.look == COMBO else 1)  # how it changes; for a combo also a filter of choices


def _without_sockets(values: list[Any], node_class: NodeClass) -> list[Any]:
    """The values without those of inputs that were widgets when the file was saved but are sockets now."""
    forced = node_class.forced
    if len(forced) != len(values) or not any(forced):
        return values
    return [value for value, is_socket in zip(values, forced, strict=True) if not is_socket]


def _custom_combo(values: list[Any], node_class: NodeClass) -> Filled:
    """A combo with choices written by the author: one more widget for each, and an empty one at the end."""
    filled = Filled(inputs=[each for each in node_class.inputs if each.has_socket])
    texts: list[Any] = []
    for value in [*values[2:], ""]:
        texts.append(value)
        if not value:
            break
    choice = values[0] if values else None
    if choice is None and texts[0]:
        choice = javascript.text(texts[0])
    for name, value in (("choice", choice), ("index", _place(choice, texts))):
        if value is not None:
            filled.widgets[name] = Widget(Declared(name, COMBO, [], {}), value)
    for count, value in enumerate(texts, 1):
        filled.widgets[f"option{count}"] = Widget(Declared(f"option{count}", "STRING", [], {}), value)
    return filled


def _place(choice: Any, texts: list[Any]) -> int:
    return texts.index(choice) if choice in texts else -1


def place_of_choice(widgets: dict[str, Widget], choice: Any) -> int:
    """The index of a choice among the options of a `CustomCombo`; -1 if it is not one of them."""
    return _place(choice, [widget.value for name, widget in widgets.items() if name.startswith("option")])

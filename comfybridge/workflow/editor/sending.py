"""Makes the prompt: each node that is sent, with the values of its widgets and its links."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from comfybridge.errors import InvalidWorkflow
from comfybridge.workflow.editor import javascript
from comfybridge.workflow.editor.additions import DRAW_LINKS, FILLS_PREFIX
from comfybridge.workflow.editor.classes import CURVE, DYNAMIC_GROUP, MADE_WHEN_QUEUED
from comfybridge.workflow.editor.dynamic_prompts import Draw, drawn
from comfybridge.workflow.editor.file_names import FileNames, search_name, title_of
from comfybridge.workflow.editor.following import Following, Held, Output
from comfybridge.workflow.editor.placing import Placed, Scope
from comfybridge.workflow.editor.sentences import named, unknown_types
from comfybridge.workflow.editor.values import CUSTOM_COMBO, MISSING, Widget, place_of_choice
from comfybridge.workflow.folders import PREFIX_INPUT
from comfybridge.workflow.graph import Graph, check_cycles
from comfybridge.workflow.wording import clip


@dataclass(frozen=True, slots=True)
class Shown:
    """A widget inside a subgraph that the surrounding node shows.

    Attributes:
        node: the id of the surrounding node, a prefix of the ids of nodes inside.
        title: the title of that node.
        name: the widget's name on that node.
        label: the author's own name for the widget, if any.
        targets: the inputs in the prompt that hold its value, as (node id, input).
    """

    node: str
    title: str
    name: str
    label: str | None
    targets: tuple[tuple[str, str], ...]


class Sending:
    """Makes the prompt out of nodes that are placed.

    Attributes:
        titles, labels, names, warnings: see `Conversion`.
    """

    def __init__(self, file_names: FileNames | None, draw: Draw | None) -> None:
        """Take what fills in file names and what draws choices in texts; None leaves them unchanged."""
        self.titles: dict[str, str] = {}
        self.labels: dict[tuple[str, str], str] = {}
        self.names: dict[str, str] = {}
        self.warnings: list[str] = []
        self._file_names = file_names
        self._draw = draw
        self._following = Following()
        self._shown: dict[tuple[str, str], tuple[Held, list[tuple[str, str]]]] = {}

    def send(self, top: Scope) -> Graph:
        """The prompt.

        Raises:
            InvalidWorkflow: a node can't be sent faithfully, the links form a cycle, or there is nothing to send.
        """
        sent = [node for node in _reached(top) if node.saved.is_sent and node.layout.definition is None]
        unknown = [node for node in sent if node.layout.node_class is None and not node.is_virtual]
        if unknown:
            raise InvalidWorkflow(unknown_types([(node.saved, node.id) for node in unknown]))
        for node in sent:
            _check(node)
        prompt = {node.id: self._node(node) for node in sent if not node.is_virtual}
        if not prompt:
            raise InvalidWorkflow("The workflow has no node that runs: it is empty, or all is muted or bypassed.")
        for inputs in (node["inputs"] for node in prompt.values()):
            for name in [name for name, value in inputs.items() if isinstance(value, list)]:
                if inputs[name][0] not in prompt:
                    del inputs[name]
        check_cycles(prompt)
        return prompt

    def shown(self) -> tuple[Shown, ...]:
        """The widgets of subgraphs that their nodes show, as far as they were sent."""
        return tuple(
            Shown(held.by.id, title_of(held.by), held.name, held.label, tuple(targets))
            for held, targets in self._shown.values()
        )

    def _node(self, node: Placed) -> dict[str, Any]:
        if node.saved.title:
            self.titles[node.id] = node.saved.title
        name = search_name(node)
        if name is not None:
            self.names.setdefault(name, node.id)
        inputs: dict[str, Any] = {}
        for name, widget in node.layout.filled.widgets.items():
            value = self._text(node, name, widget)
            if value is MISSING:
                continue
            value = _sent(node, name, value)
            is_curve = widget.declared.look == CURVE and value is not None
            inputs[name] = {"__type__": CURVE, "__value__": value} if is_curve else _no_link(value)
        choice = None if node.saved.type != CUSTOM_COMBO else node.value("choice")
        for index, slot in enumerate(node.layout.slots):
            if slot.label:
                self.labels[node.id, slot.name] = slot.label
            source = self._following.source(node, index)
            if isinstance(source, Output):
                if source.slot < 0:
                    raise InvalidWorkflow(
                        f"{named(node.saved, node.id)}: the link to {clip(slot.name)} is from no output."
                    )
                inputs[slot.name] = [source.node.id, source.slot]
            elif isinstance(source, Held):
                inputs[slot.name] = _no_link(_sent(node, slot.name, _of_combo(node, slot.name, source.value)))
                self._shown.setdefault((source.by.id, source.name), (source, []))[1].append((node.id, slot.name))
                choice = source.value if slot.name == "choice" else choice
            elif slot.link is not None:
                self._warn(node, slot.name, slot.link)
        if node.saved.type == CUSTOM_COMBO:
            inputs["index"] = place_of_choice(node.layout.filled.widgets, choice)
        return {"inputs": inputs, "class_type": node.saved.type, "_meta": {"title": title_of(node)}}

    def _text(self, node: Placed, name: str, widget: Widget) -> Any:
        """The text that a widget sends for its value."""
        value = node.value(name)
        if not isinstance(value, str):
            return value
        if widget.is_dynamic_text:
            return drawn(value, self._draw)
        if name == PREFIX_INPUT and node.saved.type in FILLS_PREFIX and self._file_names is not None:
            return self._file_names.filled(value)
        return value

    def _warn(self, node: Placed, name: str, link_id: str) -> None:
        """Warn about a link that the file does not contain."""
        if link_id not in node.within.graph.links:
            self.warnings.append(
                f"{named(node.saved, node.id)}: input {clip(name)} has a link that the workflow does not hold; it "
                "counts as none."
            )


def _reached(top: Scope) -> Iterator[Placed]:
    """The nodes in the file's order; each subgraph node is followed by the nodes inside it.

    The content of a muted or bypassed node in the file's own graph is left out; at deeper levels it is not, as in the
    editor.
    """
    pending = list(reversed(top.nodes.values()))
    while pending:
        node = pending.pop()
        yield node
        if node.inside is not None and (node.saved.is_sent or node.within is not top):
            pending.extend(reversed(node.inside.nodes.values()))


def _check(node: Placed) -> None:
    """Refuse a node for which the editor sends something that no file contains."""
    where = named(node.saved, node.id)
    if node.saved.type in DRAW_LINKS:
        raise InvalidWorkflow(
            f"{where} draws links by a script of its pack when a prompt is queued, and the file does not hold them; "
            "draw them as links."
        )
    if node.layout.problem is not None:
        raise InvalidWorkflow(f"{where}: {node.layout.problem}.")
    for declared in node.layout.filled.inputs:
        if declared.kind == DYNAMIC_GROUP:
            raise InvalidWorkflow(f"{where} has a group of inputs, {clip(declared.name)}, that can't be read yet.")
    for name, widget in node.layout.filled.widgets.items():
        made = MADE_WHEN_QUEUED.get(widget.declared.look)
        if made is not None:
            raise InvalidWorkflow(
                f"{where} sends {made} as {clip(name)}, which the editor makes when a prompt is queued; the file "
                "does not hold it."
            )


def _sent(node: Placed, name: str, value: Any) -> Any:
    try:
        return javascript.plain(value)
    except javascript.TooDeep:
        raise InvalidWorkflow(
            f"{named(node.saved, node.id)}: {clip(name)} is nested more than {javascript.DEEPEST} levels deep."
        ) from None


def _of_combo(node: Placed, name: str, value: Any) -> Any:
    """The value, or the first choice in place of null if the widget is a combo."""
    widget = node.layout.filled.widgets.get(name)
    return widget.declared.first_value if value is None and widget and widget.declared.is_combo else value


def _no_link(value: Any) -> Any:
    """The value, wrapped if ComfyUI would take it for a link."""
    return {"__value__": value} if isinstance(value, list) else value

"""Nodes of other packs that load a file, for the simulator: each shows the text that it was given."""

from __future__ import annotations

from typing import Any

import pytest

from comfybridge.simulator.nodes.catalog import node_classes
from comfybridge.simulator.nodes.definition import NodeClass, NodeRun
from comfybridge.simulator.version import NEWEST, Version
from tests.graphs import node

TEXT = ("STRING", {"multiline": True})


def _show(_: NodeRun, **inputs: Any) -> dict[str, Any]:
    return {"text": [str(value) for value in inputs.values()]}


def _give_on(_: NodeRun, text: str) -> tuple[str]:
    return (text,)


def loader(name: str, input_name: str, spec: tuple[Any, ...] = TEXT) -> NodeClass:
    """A node class that shows the text of its one input."""
    return NodeClass(name, _show, {input_name: spec}, output_node=True)


def install(monkeypatch: pytest.MonkeyPatch, *classes: NodeClass) -> None:
    """Have the simulator know the node classes, and `TextBox`, which gives on a text."""
    for each in (*classes, NodeClass("TextBox", _give_on, {"text": TEXT}, returns=("STRING",))):
        monkeypatch.setitem(node_classes(Version(NEWEST)), each.name, each)


def loading_text(name: str, input_name: str, value: object = "a.png") -> dict[str, Any]:
    """A graph of one such node."""
    return {"1": node(name, **{input_name: value})}

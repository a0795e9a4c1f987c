"""Values that somebody wrote as a text, where what the text means depends on what it is for: the fields of a form."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from comfybridge.workflow.graph import Graph, parse_target
from comfybridge.workflow.parameters import Parameter


class Written(str):
    """A value as a text: `768` is a number where a number is wanted, and a text where a text is."""

    __slots__ = ()


def read_written(params: Mapping[str, Any], parameters: Mapping[str, Parameter], graph: Graph) -> dict[str, Any]:
    """The parameters with what their texts mean: by a parameter's type, or by what an input of the graph holds."""
    return {
        name: _read(value, _is_text(name, parameters, graph)) if isinstance(value, Written) else value
        for name, value in params.items()
    }


def _is_text(name: str, parameters: Mapping[str, Parameter], graph: Graph) -> bool:
    if name in parameters:
        return parameters[name].type in ("string", "image")
    parsed = parse_target(name, graph)
    if parsed is None or parsed[0] not in graph:
        return False
    return isinstance(graph[parsed[0]]["inputs"].get(parsed[1]), str)


def _read(text: str, is_text: bool) -> Any:
    """A number, true or false; the text itself where it is none, or a text is wanted."""
    if not is_text:
        try:
            value = json.loads(text if text[:1] != "T" and text[:1] != "F" else text.lower())
        except (ValueError, RecursionError):
            return str(text)
        if isinstance(value, (int, float, bool, list)) or value is None:
            return value
    return str(text)

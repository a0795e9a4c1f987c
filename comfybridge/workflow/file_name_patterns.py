"""Fills in `%date:yyyy-MM-dd%` and `%KSampler.seed%` in the prefix of file names, as ComfyUI's editor does.

The rules are those of `applyTextReplacements` and `formatDate` in ComfyUI's frontend. Other patterns are left
unchanged, such as `%width%` and `%year%`, which ComfyUI itself replaces.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime

from comfybridge.workflow.graph import Graph
from comfybridge.workflow.links import literal_value
from comfybridge.workflow.parameters import Target

DATE = "date:"
_PATTERN = re.compile(r"%([^%]+)%")
_DATE_PART = re.compile("dd?|MM?|hh?|mm?|ss?|yyy?y?")
_NOT_IN_NAMES = re.compile(r'[/?<>\\:*|"\x00-\x1f\x7f]')


def fill_patterns(prefix: str, graph: Graph, now: datetime, names: Mapping[str, str] | None = None) -> str:
    """The prefix with dates and the values of inputs filled in.

    A node is named by its class, or else by its title; of several, the graph's first counts.

    Args:
        names: the nodes by the names that the editor has for them, instead of by their classes.
    """
    return _PATTERN.sub(lambda match: _filled(match, graph, now, names), prefix)


def _filled(match: re.Match[str], graph: Graph, now: datetime, names: Mapping[str, str] | None) -> str:
    pattern = match[1]
    if pattern.startswith(DATE):
        return _DATE_PART.sub(lambda part: _date_part(part[0], now), pattern.removeprefix(DATE))
    name, dot, input_name = pattern.partition(".")
    node = _node(name, graph, names) if dot and "." not in input_name else None
    if node is None or input_name not in graph[node]["inputs"]:
        return match[0]
    value = literal_value(graph, Target(node, input_name))
    if value is None:  # the value comes over a link, and is unknown yet
        return match[0]
    return _NOT_IN_NAMES.sub("_", _written(value))


def _node(name: str, graph: Graph, names: Mapping[str, str] | None) -> str | None:
    of_class = (node_id for node_id, node in graph.items() if node["class_type"] == name)
    named = next(of_class, None) if names is None else names.get(name)
    return named or next((node_id for node_id, node in graph.items() if _title(node) == name), None)


def _title(node: dict[str, object]) -> object:
    meta = node.get("_meta")
    return meta.get("title") if isinstance(meta, dict) else None


def _written(value: object) -> str:
    """A value as JavaScript writes it."""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(value)


def _date_part(part: str, now: datetime) -> str:
    if part[0] == "y":
        return {"yyyy": f"{now.year:04}", "yy": f"{now.year:04}"[2:]}.get(part, part)
    number = {"d": now.day, "M": now.month, "h": now.hour, "m": now.minute, "s": now.second}[part[0]]
    return str(number).rjust(len(part), "0")

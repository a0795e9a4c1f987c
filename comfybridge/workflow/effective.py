"""What of a graph takes effect: without the branches that a switch leaves out, and values that a node passes over.

switches    the branch that is selected, and no other
displays    what they are given, and not what they showed the last time
presets     no width and height where the node takes its size from a list
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from comfybridge.workflow.graph import Graph, is_link
from comfybridge.workflow.names import plain, word_set, words
from comfybridge.workflow.wording import clip

Inputs = Mapping[str, Any]

_SWITCH = re.compile(r"switch|select|branch|if ?else|mux|multiplex|router|conditional|choose", re.IGNORECASE)
# the branches of a switch by their names, that for true in front
_BRANCHES = (
    ("on_true", "on_false"),
    ("tt_value", "ff_value"),
    ("if_true", "if_false"),
    ("true_value", "false_value"),
    ("value_true", "value_false"),
    ("ontrue", "onfalse"),
    ("true", "false"),
)
_ALL_BRANCHES = frozenset(name for pair in _BRANCHES for name in pair)
_MEMBER = re.compile(r"^(.*?)(?:[_ ]?(\d+)|[_ ]([A-Za-z])|(?<=[a-z])([A-Z]))$")
_SELECTORS = word_set("switch select selected selector index input boolean bool condition cond choice which")
_YES = frozenset(("true", "on", "yes", "enable", "enabled"))
_NO = frozenset(("false", "off", "no", "disable", "disabled"))

_DISPLAYS = word_set("show shows shown display displays preview debug inspect print console")

_EQUIPMENT = ("model", "clip", "vae", "image", "images")

_SIZES = (("width", "height"), ("empty_latent_width", "empty_latent_height"))
_PRESETS = word_set("preset presets ratio aspect resolution resolutions dimensions size sizes")
_NO_PRESETS = word_set("keep maintain preserve lock constrain swap method mode batch tile")
_PRESET = re.compile(r"\d+ *[:x×*/] *\d+|square|portrait|landscape|wide|\b\d{3,4}p\b", re.IGNORECASE)
_CUSTOM = re.compile(r"custom|manual|none|width x height|自定义", re.IGNORECASE)


class Unclear(Exception):
    """Why it can't be told what takes effect in a node; follows the node's title."""


def effective_graph(graph: Graph) -> tuple[Graph, dict[str, str]]:
    """The graph with the inputs that take effect, and what is left out of which nodes, as sentences by node id.

    The graph that is given stays as it is; nodes of which nothing is left out are the same objects.
    """
    notes: dict[str, str] = {}
    effective: Graph = {}
    for node_id, node in graph.items():
        inputs, note = node["inputs"], ""
        try:
            chosen = _switched(graph, node)
            if chosen is not None:
                inputs = chosen
        except Unclear as unclear:
            inputs, note = {}, str(unclear)
        if _is_display(node):
            inputs = {name: value for name, value in inputs.items() if not isinstance(value, str)}
        preset = _preset(inputs)
        if preset:
            inputs = {name: value for name, value in inputs.items() if not any(name in pair for pair in _SIZES)}
            note = f"takes its width and height from its {clip(preset)}, '{clip(node['inputs'][preset])}'"
        effective[node_id] = node if inputs is node["inputs"] else {**node, "inputs": inputs}
        if note:
            notes[node_id] = f"node {clip(node_id)} ({clip(node['class_type'])}) {note}"
    return effective, notes


# -- switches ------------------------------------------------------------------------------------------------------


def _switched(graph: Graph, node: dict[str, Any]) -> dict[str, Any] | None:
    """The inputs of a switch that count; None for a node that is no switch."""
    inputs = node["inputs"]
    pair = None if _ALL_BRANCHES.isdisjoint(inputs) else _linked_pair(inputs)
    if pair is not None:
        chosen = pair[0] if _truth(graph, inputs, pair) else pair[1]
        return {chosen: inputs[chosen]} if chosen in inputs else {}
    if not _is_switch(node["class_type"]):
        return None
    members = _members(inputs)
    if len(members) < 2:
        return None
    selector = _selector(inputs, members)
    if selector is None:
        # such as Any Switch of rgthree: the first that is there
        first = next((name for name in members.values() if is_link(inputs[name])), None)
        return {first: inputs[first]} if first else None
    return _selected(inputs, members, selector, _literal(graph, inputs[selector]))


def _linked_pair(inputs: Inputs) -> tuple[str, str] | None:
    return next((pair for pair in _BRANCHES if any(is_link(inputs.get(name)) for name in pair)), None)


@lru_cache(maxsize=4096)
def _is_switch(class_type: str) -> bool:
    return _SWITCH.search(class_type) is not None


def _truth(graph: Graph, inputs: Inputs, pair: tuple[str, str]) -> bool:
    others = [name for name in inputs if name not in pair]
    values = [_literal(graph, inputs[name]) for name in others if _SELECTORS.intersection(words(plain(name)))]
    values = values or [_literal(graph, inputs[name]) for name in others]
    for value in values:
        truth = _as_truth(value)
        if truth is not None:
            return truth
    raise Unclear("chooses between two inputs by a value that is known only when it runs")


def _as_truth(value: object) -> bool | None:
    if isinstance(value, (bool, int)):
        return bool(value)
    if isinstance(value, str) and value.lower() in _YES | _NO:
        return value.lower() in _YES
    return None


def _members(inputs: Inputs) -> dict[str, str]:
    """The inputs of a switch that one is chosen from, by number or letter, in their order: the longest such row."""
    rows: dict[str, dict[str, str]] = {}
    for name in inputs:
        found = _MEMBER.match(plain(name))
        if found:
            member = found[2] or found[3] or found[4]
            rows.setdefault(found[1].lower(), {})[member.lower()] = name
    linked = [row for row in rows.values() if any(is_link(inputs[name]) for name in row.values())]
    best = max(linked or rows.values(), key=len, default={})
    return dict(sorted(best.items(), key=lambda item: (len(item[0]), item[0])))


def _selector(inputs: Inputs, members: Mapping[str, str]) -> str | None:
    others = [name for name in inputs if name not in members.values() and isinstance(inputs[name], (int, str, list))]
    named = [name for name in others if _SELECTORS.intersection(words(plain(name)))]
    # "select" before "sel_mode" and the like; a number or a link before a text
    named.sort(key=lambda name: (isinstance(inputs[name], bool), isinstance(inputs[name], str)))
    return next(iter(named), None)


def _selected(inputs: Inputs, members: Mapping[str, str], selector: str, value: object) -> dict[str, Any]:
    chosen = None
    if isinstance(value, bool) or value is None:
        pass
    elif isinstance(value, int):
        numbered = list(members)
        letters = not numbered[0].isdigit()
        if letters:
            chosen = members[numbered[value - 1]] if 0 < value <= len(numbered) else None
        else:
            chosen = members.get(str(value))
    elif isinstance(value, str):
        texts = {name.lower(): name for name in members.values()}
        chosen = texts.get(value.lower()) or members.get(value.lower())
    if chosen is None:
        raise Unclear(f"chooses one of several inputs by its {clip(selector)} in a way that is not known")
    return {chosen: inputs[chosen]}


def _literal(graph: Graph, value: object) -> object:
    """A value, or that of the node behind a link, if that node holds just one."""
    for _ in range(8):
        if not is_link(value):
            return value
        node = graph.get(str(value[0]))  # type: ignore[index]
        inputs = node["inputs"] if node else {}
        if len(inputs) != 1:
            return None
        value = next(iter(inputs.values()))
    return None


# -- displays and presets ------------------------------------------------------------------------------------------


def _is_display(node: dict[str, Any]) -> bool:
    """Whether a node shows what it is given over a link, and hands it on."""
    if _DISPLAYS.isdisjoint(words(node["class_type"])):
        return False
    return any(is_link(value) for name, value in node["inputs"].items() if name not in _EQUIPMENT)


def _preset(inputs: Inputs) -> str | None:
    """The input that a node takes its size from although it has a width and a height."""
    if not any(width in inputs and height in inputs for width, height in _SIZES):
        return None
    for name, value in inputs.items():
        found = set(words(plain(name)))
        if not isinstance(value, str) or not _PRESETS & found or _NO_PRESETS & found:
            continue
        if _PRESET.search(value) and not _CUSTOM.search(value):
            return name
    return None

"""Limits on the size of a graph's outputs, as far as its inputs show it.

The limits apply to numbers in inputs with certain names, in any node; only the letters of a name count:

- `width`, `height`, `steps`, `batch_size`, `megapixels`, and names that end with such a word (`empty_latent_width`,
  `maxwidth`, `batch-size`), even with a unit after it (`width_px`);
- sides that may be the width or the height (`largest_size`, `longer_edge`, `resolution`): both limits apply to them,
  and the limit on pixels to their square;
- `amount` in nodes that repeat a batch.

In the name of a nested input, such as `resize_type.width`, vague names and `amount` count only after the last dot.

Sizes of other things than pictures do not count (`tile_size`, `kernel_size`). Sizes that follow from other inputs,
such as an upscaler's factor, are unknown.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from comfybridge.workflow.graph import Graph, is_link
from comfybridge.workflow.links import Walked, follow
from comfybridge.workflow.wording import clip

_NO_LETTERS = re.compile(r"[^a-z]+")
_NAMES = re.compile(
    r"(width|height|steps|batchsize|batchcount|megapixels)"
    r"(?:in)?(?:px|pixels?|max|maximum|min|minimum|limit|total|count|value|override)?$"
)
_SIDES = re.compile(
    r"(?:(?:larg|long|short|small)(?:er|est)?|big(?:ger|gest)|max|maximum|min|minimum|target|image|output|latent|picture|"
    r"resized?|scaled?|final|square)(?:size|edge|side|sidelength|edgelength|dimension|resolution)(?:px|pixels?)?$"
)
# may be for something other than a number, so links are allowed
VAGUE = {**dict.fromkeys(("size", "side", "edge", "resolution"), "side"), "batch": "batch_size"}
PARAMETERS = ("width", "height", "steps", "batch_size")
SIZES = ("width", "height", "pixels", "side")
PIXELS_A_MEGAPIXEL = 1024 * 1024  # as ImageScaleToTotalPixels counts them (nodes_post_processing.py)
# ComfyUI's own nodes that hold one number and pass it to the nodes linked to them (nodes_primitive.py)
CONSTANTS = ("PrimitiveInt", "PrimitiveFloat")
MOST_CONSTANTS_IN_A_ROW = 32
LONGEST_NAME = 100  # of an input; longer names are not cached


@dataclass(frozen=True)
class Limits:
    """The maximum for an input; None: any number."""

    width: int | None = None
    height: int | None = None
    pixels: int | None = None
    steps: int | None = None
    batch_size: int | None = None

    def for_each_of(self, count: int) -> Limits:
        """The limits for each of several graphs that are run together."""
        return self if self.batch_size is None else replace(self, batch_size=self.batch_size // count)

    def of(self, kind: str) -> int | None:
        """The limit of one kind of input."""
        most: int | None = getattr(self, kind)
        return most


def excess(graph: Graph, params: Mapping[str, Any], limits: Limits, *, is_trusted: bool) -> str | None:
    """The first excess over the limits, worded to follow "may have"; None if there is none.

    Args:
        params: the parameters that were filled in, by their names.
        is_trusted: whether the graph's links are those of a template. A link that leads to no number is then the
            owner's responsibility; otherwise it is refused where a limit applies, because it could be any number.
    """
    for name in PARAMETERS:  # a template may have another name for the input
        problem = _beyond(limits, name, number_in(params.get(name)), name)
        if problem:
            return problem
    walked = Walked(graph) if is_trusted else None
    for node_id, node in graph.items():
        problem = _of_node(graph, node_id, node, limits, walked)
        if problem:
            return problem
    return None


def exceeded(params: Mapping[str, Any], limits: Limits) -> str | None:
    """The parameter that exceeds a limit by itself or, of a picture's sides, with the other; None if none does."""
    numbers = {name: number_in(params.get(name)) for name in PARAMETERS}
    for name, number in numbers.items():
        if _beyond(limits, name, number, name):
            return name
    width, height = numbers["width"], numbers["height"]
    is_too_large = width and height and _beyond(limits, "pixels", width * height, "width")
    return "width" if is_too_large else None


def number_in(value: object) -> float | None:
    """The number that ComfyUI reads from a literal, also from a text or `{"__value__": 5}`; None if it is not one."""
    if isinstance(value, dict):
        value = value.get("__value__")
    if isinstance(value, (int, float)):
        return value
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return None
    return None


def _of_node(
    graph: Graph, node_id: str, node: Mapping[str, Any], limits: Limits, trusted: Walked | None
) -> str | None:
    sides: dict[tuple[str, str], float] = {}
    for name, value in node["inputs"].items():
        kind = _kind(name)
        if kind is None and _last_part(name) == "amount" and "Batch" in node["class_type"]:
            kind = "batch_size"
        if kind is None:
            continue
        if not _is_limited(limits, kind):
            continue
        where = f"{clip(name)} in node {clip(node_id)} ({clip(node['class_type'])})"
        number = _number(graph, node_id, name, value, trusted)
        if number is None:
            if isinstance(value, (list, dict)) and trusted is None and _letters(_last_part(name)) not in VAGUE:
                return f"{where} only as a number, not as a link, which may bring any number"
            continue
        if kind == "pixels":
            number *= PIXELS_A_MEGAPIXEL
        problem = _beyond_side(limits, number, where) if kind == "side" else _beyond(limits, kind, number, where)
        if problem:
            return problem
        if kind in ("width", "height"):
            sides[name.lower().replace(kind, ""), kind] = number
    return _beyond_pixels(sides, limits, node_id, node)


def _beyond_pixels(
    sides: Mapping[tuple[str, str], float], limits: Limits, node_id: str, node: Mapping[str, Any]
) -> str | None:
    for (prefix, kind), width in sides.items():
        height = sides.get((prefix, "height"))
        if kind == "width" and height is not None:
            where = f"width times height in node {clip(node_id)} ({clip(node['class_type'])})"
            problem = _beyond(limits, "pixels", width * height, where)
            if problem:
                return problem
    return None


def _is_limited(limits: Limits, kind: str) -> bool:
    if kind == "side":
        return any(limits.of(each) is not None for each in ("width", "height", "pixels"))
    return limits.of(kind) is not None or (kind in SIZES and limits.pixels is not None)


def _beyond_side(limits: Limits, side: float, where: str) -> str | None:
    """The limits that are exceeded by a side that may be the width or the height."""
    return (
        _beyond(limits, "width", side, where)
        or _beyond(limits, "height", side, where)
        or _beyond(limits, "pixels", side * side, f"the square of {where}")
    )


def _beyond(limits: Limits, kind: str, number: float | None, where: str) -> str | None:
    most = limits.of(kind)
    if most is None or number is None or number <= most:  # False for nan
        return None
    unit = " pixels" if kind == "pixels" else ""
    return f"at most {most}{unit} as {where}, not {_shown(number)}"


def _shown(number: float) -> str:
    if isinstance(number, int):
        return str(number) if number.bit_length() <= 64 else "a number of more than 64 bits"
    return f"{number:.15g}"


def _number(graph: Graph, node_id: str, name: str, value: object, trusted: Walked | None) -> float | None:
    """The number that an input gets, by itself or by a link; `trusted` is the graph if its links are a template's."""
    if not is_link(value):
        return number_in(value)
    if trusted is None:
        return _constant(graph, value)
    target = follow(trusted, node_id, name, "number" if _kind(name) == "pixels" else "integer")
    return None if target is None else number_in(graph[target.node]["inputs"].get(target.input))


def _constant(graph: Graph, value: Any) -> float | None:
    for _ in range(MOST_CONSTANTS_IN_A_ROW):
        node = graph.get(str(value[0]))
        if node is None or node["class_type"] not in CONSTANTS:
            return None
        value = node["inputs"].get("value")
        if not is_link(value):
            return number_in(value)
    return None


def _kind(name: str) -> str | None:
    """The limit that applies to inputs of that name, in any node."""
    return _kind_of(name) if len(name) <= LONGEST_NAME else _kind_of.__wrapped__(name)


def _last_part(name: str) -> str:
    return name.rpartition(".")[2]


def _letters(name: str) -> str:
    return _NO_LETTERS.sub("", name.lower())


@lru_cache(maxsize=4096)
def _kind_of(name: str) -> str | None:
    letters = _letters(name)
    match = _NAMES.search(letters)
    if match is None:
        return VAGUE.get(_letters(_last_part(name))) or ("side" if _SIDES.search(letters) else None)
    word = match[1]
    if word == "megapixels":
        return "pixels"
    return "batch_size" if word.startswith("batch") else word

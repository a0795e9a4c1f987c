"""Inputs of a node class that depend on the values of other inputs, as newer versions of ComfyUI declare them.

    COMFY_DYNAMICCOMBO_V3   a choice: each option brings inputs of its own, named `format.bit_depth`
    COMFY_DYNAMICSLOT_V3    an input that brings others if it is given COMFY_AUTOGROW_V3       a row of inputs of one
    kind, named `images.image0`, `images.image1`; not an input itself

They nest. ComfyUI expands them in `get_finalized_class_inputs` (comfy_api/latest/_io.py), once for each graph.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

COMBO = "COMFY_DYNAMICCOMBO_V3"
SLOT = "COMFY_DYNAMICSLOT_V3"
ROW = "COMFY_AUTOGROW_V3"
DYNAMIC = (COMBO, SLOT, ROW)
LONGEST_ROW = 100  # ComfyUI's own limit

GROUPS = ("required", "optional")

# Represents the value of an input that is unknown yet.
ANY = object()


def spelled_out(
    groups: Mapping[str, Any],
    given: Mapping[str, Any] | None = None,
    path: str = "",
    *,
    with_rows: bool = True,
) -> Iterator[tuple[str, Any]]:
    """The full name of each input, and its options as ComfyUI reports them: `[type, {...}]`.

    Args:
        groups: inputs by name, under `required` and `optional`.
        given: the values that a node has, which determine its inputs; None: all possible inputs, a name more than
            once if several options bring it.
        path: the prefix of the names.
        with_rows: whether to include the inputs of rows.
    """
    for group in GROUPS:
        for name, config in _mapping(groups.get(group)).items():
            yield from _of_input(path + name, config, given, with_rows)


def keys(config: Any) -> list[Any] | None:
    """The options of a choice that brings inputs; None if the input is not such a choice."""
    kind, options = parts(config)
    return [option["key"] for option in _options(options)] if kind == COMBO else None


def parts(config: Any) -> tuple[Any, Mapping[str, Any]]:
    """An input's type and its options; None if ComfyUI reports no type."""
    if not isinstance(config, (list, tuple)) or not config:
        return None, {}
    return config[0], _mapping(config[1]) if len(config) > 1 else {}


def _of_input(name: str, config: Any, given: Mapping[str, Any] | None, with_rows: bool) -> Iterator[tuple[str, Any]]:
    kind, options = parts(config)
    if kind == ROW:
        if with_rows:
            yield from _of_row(name, _mapping(options.get("template")))
        return
    yield name, config
    if kind == COMBO:
        chosen = ANY if given is None else given.get(name)
        for option in _options(options):
            if chosen is ANY or chosen == option["key"]:
                yield from spelled_out(_mapping(option.get("inputs")), given, f"{name}.", with_rows=with_rows)
    elif kind == SLOT and (given is None or name in given):
        yield from spelled_out(_mapping(options.get("inputs")), given, f"{name}.", with_rows=with_rows)


def _of_row(name: str, template: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    of_one = next((config for _, config in spelled_out(_mapping(template.get("input")))), None)
    names = template.get("names")
    if not isinstance(names, list):
        most = template.get("max")
        count = min(most, LONGEST_ROW) if isinstance(most, int) else 0
        names = [f"{template.get('prefix', '')}{number}" for number in range(count)]
    for each in names[:LONGEST_ROW]:
        yield f"{name}.{each}", of_one


def _options(options: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found = options.get("options")
    return [each for each in found if isinstance(each, Mapping) and "key" in each] if isinstance(found, list) else []


def _mapping(value: object) -> Mapping[str, Any]:
    """The value if it is a mapping; some nodes describe their inputs in other shapes."""
    return value if isinstance(value, Mapping) else {}

"""Inputs that depend on the values of others: ComfyUI's dynamic combos and rows, expanded for one node.

A combo's options bring inputs of their own, named `format.bit_depth`; a row is a number of inputs of one kind, named
`images.image0`. The node's function gets both as one dict: `format={"format": "png", "bit_depth": "8-bit"}`.
"""

from collections.abc import Iterator, Mapping
from typing import Any

COMBO = "COMFY_DYNAMICCOMBO_V3"
ROW = "COMFY_AUTOGROW_V3"

Types = dict[str, dict[str, Any]]


def spelled_out(types: Mapping[str, Mapping[str, Any]], given: Mapping[str, Any]) -> Types:
    """The inputs of a node with these values. A combo with a choice that does not exist is left out."""
    found: Types = {"required": {}, "optional": {}}
    for group, name, spec in _walk(types, given, ""):
        found[group][name] = spec
    return found


def nested(types: Mapping[str, Mapping[str, Any]], values: Mapping[str, Any]) -> dict[str, Any]:
    """The values in the form that the node's function takes."""
    result: dict[str, Any] = {}
    kinds = {name: spec[0] for group in types.values() for name, spec in group.items()}
    for name, value in values.items():
        if name not in kinds:
            result[name] = value
            continue
        parents, last = name.split(".")[:-1], name.split(".")[-1]
        place = result
        for parent in parents:
            place = place.setdefault(parent, {})
        if kinds[name] == COMBO:
            place.setdefault(last, {})[last] = value
        else:
            place[last] = value
    return result


def _walk(
    types: Mapping[str, Mapping[str, Any]], given: Mapping[str, Any], path: str
) -> Iterator[tuple[str, str, Any]]:
    for group in ("required", "optional"):
        for name, spec in types.get(group, {}).items():
            full = path + name
            if spec[0] == ROW:
                yield from _row(full, spec[1]["template"])
            elif spec[0] == COMBO:
                for option in spec[1]["options"]:
                    if full in given and option["key"] == given[full]:
                        yield group, full, spec
                        yield from _walk(option["inputs"], given, f"{full}.")
            else:
                yield group, full, spec


def _row(path: str, template: Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
    [spec] = template["input"]["required"].values()
    for number in range(template["max"]):
        group = "required" if number < template["min"] else "optional"
        yield group, f"{path}.{template['prefix']}{number}", spec

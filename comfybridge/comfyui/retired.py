"""Node classes that ComfyUI has retired, and swaps when a graph is queued (`GET /node_replacements`, since 0.14).

    {"T2IAdapterLoader": [{"new_node_id": "ControlNetLoader", "old_widget_ids": null,
        "input_mapping": [{"new_id": "control_net_name", "old_id": "t2i_adapter_name"}], "output_mapping": null}]}

Without an `input_mapping`, the new class has the inputs of the old one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_GROUPS = ("required", "optional")
_ANYTHING: list[Any] = ["STRING", {}]  # a widget that is sent as it is


def described(replacement: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """The description of a retired class, as far as that of the class in its place tells.

    Args:
        replacement: what ComfyUI says of the two, with an `input_mapping`.
        new: its description of the new class.
    """
    inputs = dict(_inputs(replacement, new))
    return {
        "input": {"required": inputs},
        "output": _outputs(replacement, new),
        "output_name": new.get("output_name"),
        "output_node": new.get("output_node"),
    }


def _inputs(replacement: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The old inputs: the widgets in the order in which the editor saved them; sockets are in the file itself."""
    declared = _declared(new)
    pairs = [each for each in _listed(replacement.get("input_mapping")) if isinstance(each, Mapping)]
    new_names = {str(each["old_id"]): str(each.get("new_id")) for each in pairs if "old_id" in each}
    widgets = replacement.get("old_widget_ids")
    for name in map(str, widgets) if isinstance(widgets, list) else new_names:
        config = declared.get(new_names.get(name, ""))
        if config is None and not isinstance(widgets, list):
            continue
        yield name, _alone(config or _ANYTHING)


def _declared(new: Mapping[str, Any]) -> dict[str, Any]:
    groups = new.get("input")
    found = [groups.get(name) for name in _GROUPS] if isinstance(groups, Mapping) else []
    return {name: config for group in found if isinstance(group, Mapping) for name, config in group.items()}


def _alone(config: Any) -> Any:
    """An input without a widget beside it: the names of all old ones are listed."""
    if not isinstance(config, list) or not config:
        return _ANYTHING
    options = config[1] if len(config) > 1 and isinstance(config[1], Mapping) else {}
    return [config[0], {**options, "control_after_generate": False}]


def _outputs(replacement: Mapping[str, Any], new: Mapping[str, Any]) -> list[Any]:
    kinds = _listed(new.get("output"))
    mapping = replacement.get("output_mapping")
    if not isinstance(mapping, list):
        return kinds
    by_place = {each.get("old_idx"): each.get("new_idx") for each in mapping if isinstance(each, Mapping)}
    places = [each for each in by_place if isinstance(each, int) and 0 <= each < len(by_place)]
    found = []
    for place in sorted(places):
        at = by_place[place]
        found.append(kinds[at] if isinstance(at, int) and 0 <= at < len(kinds) else "*")
    return found


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else []

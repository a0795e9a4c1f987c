"""Whether a prompt is the one that the editor made."""

import gzip
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent / "data"


@cache
def load(name: str) -> Any:
    """What a file of `data/` holds. It is shared by tests, which must not change it."""
    return json.loads(gzip.decompress((DATA / f"{name}.json.gz").read_bytes()))


def differences(wanted: dict[str, Any], got: dict[str, Any]) -> Iterator[str]:
    """In what two prompts differ: in their nodes, and in the classes and inputs of those; a line for each."""
    for node_id in sorted(wanted.keys() ^ got.keys()):
        yield f"{node_id}: {'missing' if node_id in wanted else 'too many'}"
    for node_id in wanted.keys() & got.keys():
        ours, theirs = got[node_id], wanted[node_id]
        if ours["class_type"] != theirs["class_type"]:
            yield f"{node_id}: {ours['class_type']} instead of {theirs['class_type']}"
        for name in ours["inputs"].keys() | theirs["inputs"].keys():
            mine, real = (node["inputs"].get(name, "nothing at all") for node in (ours, theirs))
            if not same(mine, real):
                yield f"{node_id} {theirs['class_type']}.{name}: {mine!r} instead of {real!r}"


def same(one: Any, other: Any) -> bool:
    """Whether two values are the same for JavaScript: 1 is 1.0, and true is no number."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, (int, float)) and isinstance(other, (int, float)):
        return float(one) == float(other)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and one == other

"""Links between nodes: a value that is `[node id, output number]`."""

from collections.abc import Iterator, Mapping
from typing import Any


def is_link(value: Any) -> bool:
    """Whether ComfyUI would follow this input value to another node."""
    return (
        isinstance(value, list)
        and len(value) == 2
        and isinstance(value[0], str)
        and isinstance(value[1], (int, float))
    )


def linked_nodes(node: Mapping[str, Any]) -> Iterator[str]:
    """The ids of the nodes that this node's inputs come from, in the order of its inputs."""
    for value in node["inputs"].values():
        if is_link(value):
            yield value[0]

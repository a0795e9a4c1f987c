"""A graph out of what other tools wrap around it.

`{"prompt": GRAPH, "client_id": ...}` is the body of ComfyUI's own `POST /prompt`, `{"output": GRAPH, "workflow": {}}`
what its editor's `graphToPrompt` gives, `{"input": {"workflow": GRAPH, "images": [...]}}` the job of a worker, and
`{ID: {"prompt": [0, ID, GRAPH, ...]}}` a history. Some tools write the graph into their JSON as JSON text. Names say
little then, so a graph is known by its nodes, wherever it stands.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from comfybridge.errors import InvalidWorkflow
from comfybridge.json_size import MOST_VALUES, holds_too_much
from comfybridge.workflow.wording import clip

DEEPEST = 4  # objects, lists and texts around a graph
# what ComfyUI writes into the files that it makes; a copy of the graph may be there
NOTES = ("extra_data", "extra_pnginfo")
# A text without any of these is not a graph, and need not be parsed as JSON.
_MARKS = ("class_type", "nodes")
# No prose has this: it is meant as a graph, even if it cannot be parsed.
_A_NODE = re.compile(r"""\\*["']class_type\\*["']\s*:""")


@dataclass(frozen=True)
class Wrapped:
    """A graph that was found.

    Attributes:
        graph: the graph, in API format or in the editor's.
        beside: what else the objects around it hold, by name; without the editor's format of the graph.
    """

    graph: dict[str, Any]
    beside: dict[str, Any]

    @property
    def is_of_editor(self) -> bool:
        """Whether it is in the format that ComfyUI's editor saves."""
        return is_of_editor(self.graph)


def unwrap(value: object) -> Wrapped | None:
    """The graph that a value is or holds: one in API format, or else one in the editor's; None if there is none.

    Raises:
        InvalidWorkflow: it holds several, or a text that is one but for its JSON.
    """
    return _find(value, _is_graph, DEEPEST) or _find(value, is_of_editor, DEEPEST)


def is_node(value: object) -> bool:
    """Whether a value looks like a node of a graph in API format."""
    return isinstance(value, dict) and "class_type" in value


def is_of_editor(value: dict[str, Any]) -> bool:
    """Whether an object is what ComfyUI's editor saves."""
    nodes = value.get("nodes")
    return isinstance(nodes, list) and ("links" in value or any(isinstance(each, dict) for each in nodes))


def _is_graph(value: dict[str, Any]) -> bool:
    return any(map(is_node, value.values()))


def _find(value: object, is_wanted: Callable[[dict[str, Any]], bool], depth: int) -> Wrapped | None:
    if isinstance(value, dict):
        if is_wanted(value):
            return Wrapped(value, {})
        if is_of_editor(value):
            return None
    if depth == 0:
        return None
    if isinstance(value, str):
        return _find(_read(value), is_wanted, depth - 1)
    places = [(name, found) for name, each in _items(value) if (found := _find(each, is_wanted, depth - 1))]
    if not places:
        return None
    name, found = places[0]
    if len(places) > 1:
        names = " and ".join(clip(name) for name, _ in places[:2])
        raise InvalidWorkflow(f"The workflow holds several graphs, under {names}; one request runs one graph.")
    beside = {
        other: each
        for other, each in (value.items() if isinstance(value, dict) else ())
        if other != name and not (isinstance(each, dict) and is_of_editor(each))
    }
    return Wrapped(found.graph, {**beside, **found.beside})


def _items(value: object) -> Iterator[tuple[object, object]]:
    """What an object or a list holds, and where."""
    if isinstance(value, dict):
        yield from ((name, each) for name, each in value.items() if name not in NOTES)
    elif isinstance(value, list):
        yield from enumerate(value)


def _read(text: str) -> object:
    """The JSON in a text that may contain a graph; None if it contains none.

    Raises:
        InvalidWorkflow: it is not JSON although it must be meant as a graph.
    """
    if text.lstrip()[:1] not in ("{", "[", '"') or not any(mark in text for mark in _MARKS):
        return None
    if holds_too_much(text):
        raise InvalidWorkflow(f"The graph holds more than {MOST_VALUES} values, the most that a graph may have.")
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        reason = "it is nested too deeply"
    except json.JSONDecodeError as error:
        reason = f"{error.msg} at line {error.lineno}, column {error.colno}"
    except ValueError:  # Python refuses to read integers of thousands of digits
        reason = "it has a number that is too large"
    if _A_NODE.search(text):
        raise InvalidWorkflow(f"The graph was sent as a text, and the text is not JSON: {reason}.")
    return None


def _refuse_constant(name: str) -> float:
    raise InvalidWorkflow(f"The graph holds {name}, which JSON does not have; numbers must be finite.")

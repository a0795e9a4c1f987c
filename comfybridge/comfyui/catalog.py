"""Caches a ComfyUI server's descriptions of its node classes."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from comfybridge.comfyui.client import ComfyUIClient
from comfybridge.comfyui.dynamic_inputs import DYNAMIC, parts, spelled_out
from comfybridge.comfyui.retired import described
from comfybridge.comfyui.widgets import choices_of
from comfybridge.deadline import Deadline

# Node classes change when ComfyUI restarts, model lists when a file is copied.
FRESH_SECONDS = 30.0
# How long the inputs of a class count as known where the websocket does not tell of a restart.
KEPT_SECONDS = 300.0
# A ComfyUI of 893 classes on a busy machine took 10 ms to describe one of them, and 1.1 to 2.5 s for all.
MOST_SINGLY = 150
# For so long, a class that was not among all of them is not asked for again.
ALL_SECONDS = 5.0
LONGEST_WAIT = 5.0  # for another thread's answers
MOST_LACKING = 1000  # names of classes that are remembered as lacking


@dataclass(frozen=True)
class NodeClass:
    """A node class, as `/object_info` describes it.

    Attributes:
        name: its `class_type`.
        is_output: whether ComfyUI runs a graph for its sake.
        required, optional: the options of each input by name, as ComfyUI gives them: `[type, {...}]`. Inputs within
            others are not spelled out.
        output_names: the names of its outputs, by their slots.
        display_name, description: what people read of it.
        info: all that ComfyUI says of it, inputs in its own order.
    """

    name: str
    is_output: bool
    required: Mapping[str, Any]
    optional: Mapping[str, Any]
    output_names: tuple[str, ...] = ()
    display_name: str = ""
    description: str = ""
    info: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def has_dynamic_inputs(self) -> bool:
        """Whether the inputs of a node depend on the values of some of them."""
        return any(parts(config)[0] in DYNAMIC for config in (*self.required.values(), *self.optional.values()))

    def inputs(self, given: Mapping[str, Any], *, with_rows: bool = True) -> dict[str, Any]:
        """The options of all inputs that a node with these values takes, by their full names: `format.bit_depth`.

        Args:
            with_rows: whether to include the inputs of rows, such as `images.image0`.
        """
        return dict(spelled_out({"required": self.required, "optional": self.optional}, given, with_rows=with_rows))

    def declared(self, input_name: str) -> tuple[Any, Mapping[str, Any]]:
        """The type and the options of an input; the first ones if they depend on other inputs' values.

        None and no options for an input that the class does not have.
        """
        return parts(next(iter(self.declarations(input_name)), None))

    def declarations(self, input_name: str, given: Mapping[str, Any] | None = None) -> list[Any]:
        """The options of one input, as ComfyUI reports them; several if they depend on values not given.

        Args:
            given: the values that a node has; None: any.
        """
        if "." not in input_name:  # most have none
            return [group[input_name] for group in (self.required, self.optional) if input_name in group]
        declared = spelled_out({"required": self.required, "optional": self.optional}, given)
        return [config for name, config in declared if name == input_name]

    def choices(self, input_name: str, given: Mapping[str, Any] | None = None) -> list[Any] | None:
        """The choices of an input; None if it is not a choice, or the choices are unknown.

        Args:
            given: as for `declarations`.
        """
        found = [choices_of(config) for config in self.declarations(input_name, given)]
        if not found or None in found:
            return None
        together = [choice for choices in found for choice in choices or ()]
        return (
            found[0] if len(found) == 1 else [each for at, each in enumerate(together) if each not in together[:at]]
        )

    def limits(self, input_name: str) -> tuple[float | None, float | None]:
        """The minimum and maximum of an input; None if there is none, or if it does not take a number."""
        found = [parts(config)[1] for config in self.declarations(input_name)]
        lowest = _numbers(options.get("min") for options in found)
        highest = _numbers(options.get("max") for options in found)
        return min(lowest, default=None), max(highest, default=None)


@dataclass
class Catalog:
    """The node classes of one server. Safe to share between threads: at worst, two of them make the same call."""

    client: ComfyUIClient
    _known: dict[str, tuple[float, NodeClass]] = field(default_factory=dict)
    _instead: dict[str, tuple[float, NodeClass]] = field(default_factory=dict)  # of retired classes, by their names
    _lacking: dict[str, float] = field(default_factory=dict)  # when the server last said that it lacks a class
    _forgotten_at: float = float("-inf")
    # when it last described all classes, and their names
    _all: tuple[float, frozenset[str]] = (float("-inf"), frozenset())
    _asking: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def node_class(self, name: str, deadline: Deadline, *, fresh: bool = False) -> NodeClass | None:
        """A node class; None if the server does not have it. Raises what `ComfyUIClient.object_info` raises.

        Args:
            fresh: ask the server even if the answer is known.
        """
        known = self._known.get(name)
        if known is not None and not fresh and time.monotonic() - known[0] < FRESH_SECONDS:
            return known[1]
        return self._learn(name, self.client.object_info(name, deadline))

    def node_classes(
        self, names: Collection[str], deadline: Deadline, *, max_age: float = KEPT_SECONDS
    ) -> dict[str, NodeClass]:
        """The node classes that the server has, of those named; a retired one is described by its replacement.

        A class that was not fetched again is the same object as before. Raises what `node_class` raises.

        Args:
            max_age: seconds for which the server's description of a class counts, provided that it has not restarted.
        """
        oldest = max(time.monotonic() - max_age, self._forgotten_at)
        known = {name: last for name in names if (last := self._since(oldest, name)) is not None}
        if len(known) == len(names):
            return known
        # of requests that come together, the first asks; the others wait for that, but not for a server that hangs
        is_alone = self._asking.acquire(timeout=min(deadline.remaining(), LONGEST_WAIT))
        try:
            return known | self._asked([name for name in names if name not in known], oldest, deadline)
        finally:
            if is_alone:
                self._asking.release()

    def _asked(self, names: Sequence[str], oldest: float, deadline: Deadline) -> dict[str, NodeClass]:
        """Those of some classes that the server has, asked for unless another thread has done so meanwhile."""
        found = {name: last for name in names if (last := self._since(oldest, name)) is not None}
        all_names = self._all[1] if time.monotonic() - self._all[0] < ALL_SECONDS else None
        unknown = [name for name in names if name not in found]
        wanted = [name for name in unknown if all_names is None or name in all_names]
        if len(wanted) > MOST_SINGLY:
            infos: Mapping[str, Any] = self.client.all_object_info(deadline)
            self._all = (time.monotonic(), frozenset(infos))
            learned = ((name, self._learn(name, _mapping(infos.get(name)) or None)) for name in wanted)
        else:
            learned = ((name, self._learn(name, self.client.object_info(name, deadline))) for name in wanted)
        found.update((name, node_class) for name, node_class in learned if node_class is not None)
        retired = [name for name in unknown if name not in found]
        if retired:
            found.update(self._in_place_of(retired, deadline))
        return found

    @property
    def has_gaps(self) -> bool:
        """Whether the server lacks any class, as far as is known."""
        return bool(self._lacking)

    def lacks(self, names: Iterable[str]) -> bool:
        """Whether the server lately said that it lacks one of some node classes. Asks nothing."""
        oldest = max(time.monotonic() - FRESH_SECONDS, self._forgotten_at)
        return any(self._lacking.get(name, float("-inf")) >= oldest for name in names)

    def note_lacking(self, name: str) -> None:
        """Remember that the server lacks a class."""
        if len(self._lacking) >= MOST_LACKING:
            self._lacking.clear()
        self._lacking[name] = time.monotonic()

    def forget(self) -> None:
        """Have the server describe its classes anew: it may have restarted."""
        self._forgotten_at = time.monotonic()

    def _since(self, oldest: float, name: str) -> NodeClass | None:
        """A class, or the one in its place, as the server has described it since then."""
        for classes in (self._known, self._instead):
            found = classes.get(name)
            if found is not None and found[0] >= oldest:
                return found[1]
        return None

    def _learn(self, name: str, info: Mapping[str, Any] | None) -> NodeClass | None:
        if info is None:
            self._known.pop(name, None)
            self.note_lacking(name)
            return None
        node_class = _node_class(name, info)
        self._known[name] = (time.monotonic(), node_class)
        self._lacking.pop(name, None)
        return node_class

    def _in_place_of(self, retired: Iterable[str], deadline: Deadline) -> Iterator[tuple[str, NodeClass]]:
        """The classes that the server would put in the place of some that it lacks, by the names of these.

        Where the inputs are the same, it is the new class itself, which has another name.
        """
        replacements = self.client.node_replacements(deadline)
        for name in retired:
            listed = replacements.get(name)
            first = listed[0] if isinstance(listed, list) and listed else None
            new = self.node_class(str(first.get("new_node_id")), deadline) if isinstance(first, Mapping) else None
            if new is None or not isinstance(first, Mapping):
                self._instead.pop(name, None)
                continue
            instead = new if first.get("input_mapping") is None else _node_class(name, described(first, new.info))
            self._lacking.pop(name, None)
            self._instead[name] = (time.monotonic(), instead)
            yield name, instead

    def choices(self, node: Mapping[str, Any], input_name: str, deadline: Deadline) -> list[Any] | None:
        """The choices of a node's input; fetched again if its value is not among the known ones."""
        class_type, given = node["class_type"], node["inputs"]
        node_class = self.node_class(class_type, deadline)
        choices = node_class.choices(input_name, given) if node_class else None
        if choices is not None and given.get(input_name) not in choices:
            node_class = self.node_class(class_type, deadline, fresh=True)
            choices = node_class.choices(input_name, given) if node_class else None
        return choices

    def known(self, name: str) -> NodeClass | None:
        """A node class as the server last described it, however long ago; None if never fetched."""
        last = self._known.get(name)
        return None if last is None else last[1]


def _node_class(name: str, info: Mapping[str, Any]) -> NodeClass:
    inputs = _mapping(info.get("input"))
    required, optional = _mapping(inputs.get("required")), _mapping(inputs.get("optional"))
    names = info.get("output_name")
    outputs = tuple(str(each) for each in names) if isinstance(names, list) else ()
    display_name, description = (str(info.get(key) or "") for key in ("display_name", "description"))
    is_output = bool(info.get("output_node"))
    return NodeClass(name, is_output, required, optional, outputs, display_name, description, info)


def _numbers(values: Iterable[Any]) -> list[float]:
    return [each for each in values if isinstance(each, (int, float)) and math.isfinite(each)]


def _mapping(value: object) -> Mapping[str, Any]:
    """The value if it is a mapping; some nodes describe their inputs in other shapes."""
    return value if isinstance(value, Mapping) else {}

"""Reads the outcome of a prompt from its events or from its history entry. Both must agree."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from comfybridge.comfyui import events
from comfybridge.comfyui.node_clock import NodeClock, Spent
from comfybridge.comfyui.paths import without_paths
from comfybridge.comfyui.reasons import execution_sentence
from comfybridge.errors import ComfyUIError, ExecutionFailed, Interrupted, PromptLost

# ComfyUI's one node that sends its finished images only over the websocket.
WEBSOCKET_OUTPUT_CLASS = "SaveImageWebsocket"


# What reading a malformed event or entry may raise.
MALFORMED = (TypeError, ValueError, KeyError, IndexError, AttributeError, OverflowError, RecursionError)


# ComfyUI adds this to `extra_data` since 0.3.69; by then, the history lists only what the prompt announced.
STAMP = "create_time"


class ImagesLost(PromptLost):
    """The prompt ran, and images that only a websocket carried were lost with it."""


@dataclass(frozen=True)
class Prompt:
    """A graph that ComfyUI has queued, or is about to queue.

    Attributes:
        id: the id under which it is queued.
        graph: the graph, in API format.
    """

    id: str
    graph: Mapping[str, Mapping[str, Any]]

    def nodes_of_class(self, class_type: str) -> list[str]:
        """The ids of the nodes of a class, in the graph's order."""
        return [node for node, each in self.graph.items() if each.get("class_type") == class_type]

    def class_of(self, node: str) -> str:
        """The class of a node; empty if the graph has no such node."""
        return str(self.graph[node].get("class_type", "")) if node in self.graph else ""

    @property
    def websocket_outputs(self) -> list[str]:
        """The nodes whose images come over the websocket only."""
        return self.nodes_of_class(WEBSOCKET_OUTPUT_CLASS)

    @property
    def last_nodes(self) -> set[str]:
        """The nodes whose outputs no other node uses."""
        values = [value for node in self.graph.values() for value in (node.get("inputs") or {}).values()]
        return set(self.graph).difference(str(value[0]) for value in values if isinstance(value, list) and value)


@dataclass(frozen=True)
class NodeOutput:
    """The output of one node: `{kind: [...]}` as ComfyUI reports it."""

    node_id: str
    output: Mapping[str, Any]
    class_type: str = ""


@dataclass(frozen=True)
class Frame:
    """A finished image that came over the websocket."""

    node_id: str
    media_type: str
    data: bytes = field(repr=False)


@dataclass
class Outcome:
    """The result of a prompt that ran to its end.

    Attributes:
        shown: what the nodes show, in the order of the graph's nodes, and for each node in order of arrival.
        warnings: sentences on what was not done as requested.
        executing: seconds that it ran, by ComfyUI's own clock; None if unknown.
        is_complete: whether it is certain that nothing is missing; otherwise the history must be read.
        over_websocket: the nodes that ran, by the history, and whose images were only sent over a websocket.
        spent: the time of each node that ran, if the events reported it from the beginning.
        cached: the nodes that did not run because ComfyUI still had their outputs.
        silent: the output nodes without an output, by the history, with their classes.
    """

    shown: list[NodeOutput | Frame] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    executing: float | None = None
    is_complete: bool = True
    over_websocket: list[str] = field(default_factory=list)
    spent: Mapping[str, Spent] = field(default_factory=dict, repr=False, compare=False)
    cached: frozenset[str] = frozenset()
    silent: dict[str, str] = field(default_factory=dict)

    @property
    def outputs(self) -> list[NodeOutput]:
        """The outputs that the nodes announced, which the history has too."""
        return [each for each in self.shown if isinstance(each, NodeOutput)]

    @property
    def frames(self) -> list[Frame]:
        """The images of `SaveImageWebsocket` nodes."""
        return [each for each in self.shown if isinstance(each, Frame)]


@dataclass(frozen=True)
class SoFar:
    """What the events of a prompt have shown so far.

    Attributes:
        has_begun: whether its turn has come.
        clock: the nodes that have begun, as a copy.
        cached: the nodes that need not run.
        preview: the latest picture of what a node is making.
    """

    has_begun: bool
    clock: NodeClock
    cached: frozenset[str]
    preview: events.Image | None


class OutcomeReader:
    """Reads a prompt's events one by one until they show how it ended."""

    def __init__(self, prompt: Prompt) -> None:
        self.prompt = prompt
        self._outputs: dict[str, NodeOutput] = {}
        self._frames: list[Frame] = []
        self._warnings: list[str] = []
        self._started: int | None = None
        self._current_node: str | None = None
        self._clock = NodeClock()
        self._told: set[str] = set()
        self._announced_frames: dict[str, float] = {}
        self._cached: frozenset[str] = frozenset()
        self._has_begun = False
        self._preview: events.Image | None = None

    @property
    def so_far(self) -> SoFar:
        """What was read so far. May be asked for from any thread."""
        return SoFar(self._has_begun, self._clock.copy(), self._cached, self._preview)

    def is_about_this(self, event: events.Event) -> bool:
        """Whether an event concerns the prompt; images without metadata do if one of its nodes is running."""
        if isinstance(event, events.PromptEvent):
            return event.prompt_id == self.prompt.id
        if isinstance(event, events.Image):
            return event.prompt_id == self.prompt.id or (event.prompt_id is None and self._current_node is not None)
        return False

    def read(self, event: events.Event) -> Outcome | None:
        """Read one event of the prompt.

        Returns:
            The outcome, once the event says that the prompt ran to its end.

        Raises:
            ExecutionFailed: a node failed.
            Interrupted: the prompt was cancelled.
            ImagesLost: it ran to its end, and fewer images came than were announced.
        """
        if isinstance(event, events.ExecutionStart):
            self._has_begun, self._started = True, event.timestamp
        elif isinstance(event, events.ExecutionCached):
            self._cached = frozenset(event.nodes)
        elif isinstance(event, events.Executing):
            self._current_node = event.display_node or event.node
            if event.node is not None:
                self._clock.begin(event.node, event.display_node or event.node, time.monotonic())
        elif isinstance(event, events.Executed):
            self._told.add(event.display_node)
            if event.output:
                class_type = self.prompt.class_of(event.display_node)
                self._outputs[event.node] = NodeOutput(event.display_node, event.output, class_type)
        elif isinstance(event, events.Progress) and event.node is not None:
            self._clock.announce(event.node, event.value, event.max, time.monotonic())
            if event.node in self.prompt.websocket_outputs:
                self._announced_frames[event.node] = event.max
        elif isinstance(event, events.Image):
            self._read_image(event)
        elif isinstance(event, events.ExecutionError) and event.is_block:
            self._warnings.append(execution_sentence(event))
        elif isinstance(event, events.ExecutionSuccess):
            self._check_frames()
            self._clock.stop(time.monotonic())
            return Outcome(
                in_graph_order(self.prompt, [*self._outputs.values(), *self._frames]),
                self._warnings,
                _seconds_between(self._started, event.timestamp),
                self._is_complete,
                spent=self._clock.nodes if self._started is not None else {},
                cached=self._cached,
            )
        else:
            raise_if_failed(event)
        return None

    @property
    def _is_complete(self) -> bool:
        """Whether each node without successors has shown something, or reported that it has nothing.

        This does not depend on whether such a node began, because that event may be lost as well. One that never ran,
        because it is not an output node or not wanted, costs a look at the history.
        """
        if not self._outputs and not self._frames:
            return False
        nodes = {frame.node_id for frame in self._frames}
        if nodes - self._announced_frames.keys():  # their number was announced in an event that was lost
            return False
        return not self.prompt.last_nodes - self._told - nodes

    def _check_frames(self) -> None:
        came = Counter(frame.node_id for frame in self._frames)
        if any(came[node] > count for node, count in self._announced_frames.items()):
            self._frames = self._without_repeats()
            came = Counter(frame.node_id for frame in self._frames)
        if any(came[node] != count for node, count in self._announced_frames.items()):
            without_images_lost(self.prompt, Outcome())

    def _without_repeats(self) -> list[Frame]:
        """The images without repeated ones, if more arrived than were announced."""
        kept: list[Frame] = []
        surplus = Counter(frame.node_id for frame in self._frames)
        surplus.subtract({node: int(count) for node, count in self._announced_frames.items()})
        for frame in self._frames:
            before = next((each for each in reversed(kept) if each.node_id == frame.node_id), None)
            if before == frame and frame.node_id in self._announced_frames and surplus[frame.node_id] > 0:
                surplus[frame.node_id] -= 1
            else:
                kept.append(frame)
        return kept

    def _read_image(self, event: events.Image) -> None:
        node = event.node or self._current_node
        if node in self.prompt.websocket_outputs:
            self._frames.append(Frame(node, event.media_type, event.data))
        elif node is not None:
            self._preview = event if event.node is not None else replace(event, node=node)


def outcome_of_history(prompt: Prompt, entry: Mapping[str, Any]) -> Outcome:
    """The outcome in a history entry.

    It contains only what this prompt's own `executed` events announced. Until 0.3.67, ComfyUI's entries also list
    outputs of earlier prompts from its cache.

    Raises:
        ExecutionFailed: a node failed.
        Interrupted: the prompt was cancelled.
        ComfyUIError: the entry makes no sense.
    """
    try:
        return _outcome_of(prompt, entry)
    except MALFORMED:
        raise ComfyUIError("ComfyUI's history entry of the prompt makes no sense.", prompt_id=prompt.id) from None


def _outcome_of(prompt: Prompt, entry: Mapping[str, Any]) -> Outcome:
    started = finished = None
    cached: tuple[str, ...] = ()
    status = entry.get("status") or {}
    for event in _messages(status):
        raise_if_failed(event)
        if isinstance(event, events.ExecutionStart):
            started = event.timestamp
        elif isinstance(event, events.ExecutionCached):
            cached = event.nodes
        elif isinstance(event, events.ExecutionSuccess):
            finished = event.timestamp
    if status.get("status_str") == "error":
        raise ExecutionFailed("The prompt failed, and ComfyUI's history does not say why.", prompt_id=prompt.id)
    outputs = _announced_outputs(prompt, entry, cached)
    targets = [str(node) for node in entry["prompt"][4]]
    ran = set(targets).difference(cached)
    shown = {each.node_id for each in outputs}
    return Outcome(
        in_graph_order(prompt, outputs),
        executing=_seconds_between(started, finished),
        over_websocket=[node for node in prompt.websocket_outputs if node in ran],
        cached=frozenset(cached),
        silent={node: prompt.class_of(node) for node in targets if node not in shown},
    )


def raise_if_failed(event: events.Event) -> None:
    """Raise the error that an event reports, if any; `ExecutionBlocked` is not a failure.

    Raises:
        ExecutionFailed: a node failed.
        Interrupted: the prompt was cancelled.
    """
    if isinstance(event, events.ExecutionError) and not event.is_block:
        raise ExecutionFailed(
            execution_sentence(event),
            prompt_id=event.prompt_id,
            node={
                "id": event.node_id,
                "class_type": event.node_type,
                "exception_type": event.exception_type,
                "exception_message": without_paths(event.exception_message),
            },
        )
    if isinstance(event, events.ExecutionInterrupted):
        raise Interrupted(
            f"The prompt was interrupted at node {event.node_id} ({event.node_type}).",
            prompt_id=event.prompt_id,
        )


def without_images_lost(prompt: Prompt, outcome: Outcome) -> Outcome:
    """The outcome from the history, unless it lacks images that were only sent over the socket.

    Raises:
        ImagesLost: it lacks some.
    """
    nodes = prompt.websocket_outputs
    if nodes:
        raise ImagesLost(
            f"The connection to ComfyUI was lost, and with it the images of node {', '.join(nodes)} "
            "(SaveImageWebsocket), which are sent once and not kept.",
            prompt_id=prompt.id,
        )
    return outcome


def _messages(status: Mapping[str, Any]) -> list[events.Event]:
    found = []
    for message in status.get("messages") or []:
        try:
            kind, data = message
            found.append(events.event_of(kind, data))
        except MALFORMED:
            continue
    return found


def _announced_outputs(prompt: Prompt, entry: Mapping[str, Any], cached: tuple[str, ...]) -> list[NodeOutput]:
    _, _, _, extra_data, targets, *_ = entry["prompt"]
    lists_cache = STAMP not in (extra_data or {})
    executed_targets = {str(node) for node in targets}
    meta = entry.get("meta") or {}
    outputs = []
    for node, output in entry["outputs"].items():
        # of equal nodes one runs, and its meta data, with its own id, stand at all; only nodes that were added while
        # the prompt ran are displayed as others
        display_node = node if node in prompt.graph else str((meta.get(node) or {}).get("display_node") or node)
        # in newer versions, some nodes that are not output nodes announce their outputs even if cached
        announced = not lists_cache or node in executed_targets or display_node not in cached
        if announced and output and isinstance(output, Mapping):
            outputs.append(NodeOutput(display_node, output, prompt.class_of(display_node)))
    return outputs


def in_graph_order(prompt: Prompt, shown: Iterable[NodeOutput | Frame]) -> list[NodeOutput | Frame]:
    """What a prompt's nodes show, in the order of the graph's nodes."""
    position = {node: place for place, node in enumerate(prompt.graph)}
    return sorted(shown, key=lambda each: position.get(each.node_id, len(position)))


def _seconds_between(started: int | None, finished: int | None) -> float | None:
    if not isinstance(started, (int, float)) or not isinstance(finished, (int, float)):
        return None
    return max(0, finished - started) / 1000

"""Finds the inputs that determine the size of a sampler's latent."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from comfybridge.workflow.effective import Note
from comfybridge.workflow.links import EQUIPMENT, Source, Walked, bundles, follow, links, may_go_on
from comfybridge.workflow.names import plain, words
from comfybridge.workflow.parameters import Target
from comfybridge.workflow.samplers import is_sampler

SIZES = (("width", "height"), ("empty_latent_width", "empty_latent_height"))
PICTURES = ("samples", "latent", "latent_image", "pixels", "image", "images", "start_image")
# what nodes that make a video or a sound call how long it is
LENGTHS = ("length", "num_frames", "frames", "video_length", "seconds")
# what nodes that make several pictures or frames count
COUNTS = ("batch_size", *LENGTHS)
OTHER = (*EQUIPMENT, "positive", "negative", "mask", "control_net", "clip_vision_output", "noise", "sigmas")
# nodes that change a bundle's conditioning or model by a picture, which is not what the latent is made of
_HINTED = frozenset(("apply", "control", "controlnet", "adapter"))


@dataclass
class Latent:
    """Everything found on the way up, nearest first.

    Attributes:
        sizes: width and height of nodes that make a new latent or image of that size.
        rescales: width and height of nodes that scale another latent or image to that size.
        batches: how many are made.
        repeats: how often a batch is repeated.
        met: inputs left out on the way, by their nodes.
        open: a width or height that is linked to no single value, if there is one.
        length: how many frames, or how many seconds of sound, are made out of nothing; and what the node calls it.
    """

    sizes: list[tuple[Target, Target]] = field(default_factory=list)
    rescales: list[tuple[Target, Target]] = field(default_factory=list)
    batches: list[Target] = field(default_factory=list)
    repeats: list[Target] = field(default_factory=list)
    met: dict[str, Note] = field(default_factory=dict)
    open: Target | None = None
    length: tuple[str, Target] | None = None

    @property
    def size(self) -> tuple[Target, Target] | None:
        """The inputs for width and height; those of a rescaled image only if no new one is made."""
        return next(iter(self.sizes or self.rescales), None)

    @property
    def batch(self) -> Target | None:
        """The inputs for the number of images."""
        return next(iter(self.batches or self.repeats), None)


def find_latent(graph: Walked, start: Source | None) -> Latent:
    """The origins of a latent, up to the previous sampler."""
    found = Latent()
    graph.met = found.met
    seen: set[str] = set()
    pending = [start[0]] if start else []
    while pending and may_go_on(graph):
        node = pending.pop()
        if node in seen or is_sampler(graph, node):
            continue
        seen.add(node)
        graph.look_at(node)
        note_sizes(graph, node, found)
        pending.extend(reversed(_pictures_of(graph, node)))
    return found


def note_sizes(graph: Walked, node: str, found: Latent) -> None:
    """Record a node's own inputs for size and number."""
    inputs = graph[node]["inputs"]
    from_scratch = not any(name.startswith(PICTURES) for name in links(graph, node))
    written = {plain(name): name for name in inputs}
    for names in SIZES:
        width, height = (follow(graph, node, written.get(name, name), "integer") for name in names)
        if width and height:
            # nodes that animate a picture take one too, but count what they make; those that scale one don't
            from_scratch = from_scratch or any(name in inputs for name in COUNTS)
            (found.sizes if from_scratch else found.rescales).append((width, height))
        elif from_scratch and found.open is None and all(name in written for name in names):
            found.open = Target(node, written[names[1] if width else names[0]])
    if found.length is None and from_scratch:
        name = next((name for name in LENGTHS if name in inputs), None)
        length = follow(graph, node, name, "number") if name else None
        found.length = (name, length) if name and length else None
    batch = follow(graph, node, "batch_size", "integer") if from_scratch else None
    if batch:
        found.batches.append(batch)
    repeat = follow(graph, node, "amount", "integer") if "Batch" in graph[node]["class_type"] else None
    if repeat:
        found.repeats.append(repeat)


def final_size(graph: Walked, makers: Collection[str] = ()) -> Latent:
    """What decides the size of what a graph without a sampler ends in: the node that sets it last.

    Args:
        makers: nodes that make something new, so that what comes before them decides no size.
    """
    graph.met = {}
    feeding = {origin for node in graph for origin, _ in links(graph, node).values()}
    sized = {_nearest_sized(graph, node, makers) for node in graph if node not in feeding} - {None}
    found = Latent(met=graph.met)
    if len(sized) == 1:
        note_sizes(graph, sized.pop() or "", found)
    return found


def _nearest_sized(graph: Walked, node: str, makers: Collection[str]) -> str | None:
    """The nearest node above another, or that itself, that sets a size."""
    seen: set[str] = set()
    pending = [node]
    while pending and may_go_on(graph):
        node = pending.pop(0)
        if node not in seen:
            seen.add(node)
            graph.look_at(node)
            found = Latent()
            note_sizes(graph, node, found)
            if found.size or found.open:
                return node
            if node not in makers:
                pending.extend(_pictures_of(graph, node))
    return None


def _pictures_of(graph: Walked, node: str) -> list[str]:
    """The nodes that a node's latent or image may come from."""
    linked = links(graph, node)
    brought = [origin for origin, _ in bundles(graph, node)]
    if brought and _HINTED.intersection(words(graph[node]["class_type"])):
        return brought
    named = [origin for name, (origin, _) in linked.items() if name.startswith(PICTURES)]
    return named or [origin for name, (origin, _) in linked.items() if name not in OTHER]

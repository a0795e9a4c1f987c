"""From a sampler's latent up to what decides its size, and to the images it is made of."""

from __future__ import annotations

from dataclasses import dataclass, field

from comfybridge.workflow.graph import Graph
from comfybridge.workflow.links import EQUIPMENT, Source, follow, links, may_go_on
from comfybridge.workflow.parameters import Target
from comfybridge.workflow.samplers import is_sampler

SIZES = (("width", "height"), ("empty_latent_width", "empty_latent_height"))
PICTURES = ("samples", "latent", "latent_image", "pixels", "image", "images", "start_image")
OTHER = (*EQUIPMENT, "positive", "negative", "mask", "control_net", "clip_vision_output", "noise", "sigmas")


@dataclass
class Latent:
    """What was found on the way up, all of it nearest first.

    Attributes:
        sizes: width and height of nodes that make a latent or image of that size out of nothing.
        rescales: width and height of nodes that bring another latent or image to that size.
        batches: how many are made.
        repeats: how often what there is gets repeated.
        images: the files that are loaded.
    """

    sizes: list[tuple[Target, Target]] = field(default_factory=list)
    rescales: list[tuple[Target, Target]] = field(default_factory=list)
    batches: list[Target] = field(default_factory=list)
    repeats: list[Target] = field(default_factory=list)
    images: list[Target] = field(default_factory=list)

    @property
    def size(self) -> tuple[Target, Target] | None:
        """What a caller means by width and height; a rescaled image's only if nothing is made from scratch."""
        return next(iter(self.sizes or self.rescales), None)

    @property
    def batch(self) -> Target | None:
        """What a caller means by the number of images."""
        return next(iter(self.batches or self.repeats), None)


def find_latent(graph: Graph, start: Source | None) -> Latent:
    """What a latent is made of, as far up as the sampler before."""
    found = Latent()
    seen: set[str] = set()
    pending = [start[0]] if start else []
    while pending and may_go_on(graph):
        node = pending.pop()
        if node in seen or is_sampler(graph, node):
            continue
        seen.add(node)
        _note(graph, node, found)
        pending.extend(reversed(_pictures_of(graph, node)))
    return found


def _note(graph: Graph, node: str, found: Latent) -> None:
    inputs = graph[node]["inputs"]
    from_scratch = not any(name.startswith(PICTURES) for name in links(graph, node))
    for names in SIZES:
        width, height = (follow(graph, node, name, "integer") for name in names)
        if width and height:
            # nodes that animate a picture take one too, but count what they make; those that scale one don't
            from_scratch = from_scratch or "batch_size" in inputs or "length" in inputs
            (found.sizes if from_scratch else found.rescales).append((width, height))
    batch = follow(graph, node, "batch_size", "integer") if from_scratch else None
    if batch:
        found.batches.append(batch)
    repeat = follow(graph, node, "amount", "integer") if "Batch" in graph[node]["class_type"] else None
    if repeat:
        found.repeats.append(repeat)
    if "LoadImage" in graph[node]["class_type"] and "image" in inputs:
        image = follow(graph, node, "image", "string")
        if image:
            found.images.append(image)


def _pictures_of(graph: Graph, node: str) -> list[str]:
    """The nodes that a node's latent or image may come from."""
    linked = links(graph, node)
    named = [origin for name, (origin, _) in linked.items() if name.startswith(PICTURES)]
    return named or [origin for name, (origin, _) in linked.items() if name not in OTHER]

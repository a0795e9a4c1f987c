"""What a picture or a video is to be like, beside its width and height: proportions, length, frame rate."""

from __future__ import annotations

from collections import deque

from comfybridge.workflow.latents import PICTURES, Latent
from comfybridge.workflow.links import Walked, follow, links, literal_value
from comfybridge.workflow.names import plain, word_set, words
from comfybridge.workflow.parameters import Target

# what nodes call it, the usual name in front
ASPECTS = ("aspect_ratio", "ratio", "aspect")
FORMATS: dict[str, tuple[str, ...]] = {
    "aspect_ratio": ASPECTS,
    "resolution": ("resolution", "target_resolution", "max_resolution", "output_resolution", "video_resolution"),
    "size": ("size", "size_preset", "image_size"),
    "megapixels": ("megapixels",),
    "duration": ("duration", "duration_seconds", "seconds", "video_duration"),
    "length": ("length", "num_frames", "frames", "video_length", "frame_count"),
    "fps": ("fps", "frame_rate", "framerate", "frames_per_second"),
}
RATES = frozenset(FORMATS["fps"])
_ALL = frozenset(name for names in FORMATS.values() for name in names)
# what a node is called that puts frames together
_MAKES_VIDEO = word_set("video webm webp apng gif animated combine")
MOST_VISITS = 16  # of the nodes that a size is worked out by


def own_formats(graph: Walked, node: str) -> dict[str, Target]:
    """What a node itself says of it, by the names of parameters."""
    found: dict[str, Target] = {}
    inputs = {plain(name): name for name in reversed(graph[node]["inputs"])}
    if _ALL.isdisjoint(inputs):  # as in most nodes
        return found
    for name, called in FORMATS.items():
        own = next((inputs[each] for each in called if each in inputs), None)
        target = own and _followed(graph, node, own, is_text=name in ("aspect_ratio", "size"))
        if target:
            found[name] = target
    return found


def formats_of_latent(graph: Walked, latent: Latent) -> dict[str, Target]:
    """What the way up to a latent says of it, and what its size is worked out of."""
    found: dict[str, Target] = {}
    if latent.length is not None:
        called, target = latent.length
        found["duration" if called in FORMATS["duration"] else "length"] = target
    if latent.open is not None:
        found.update(_size_chosen(graph, latent.open))
    return found


def frame_rates(graph: Walked) -> list[Target]:
    """The inputs that hold the frame rate of the videos that a graph makes; none if there are several rates."""
    held: dict[Target, bool] = {}
    for node, each in graph.items():
        name = None if RATES.isdisjoint(each["inputs"]) else next(name for name in each["inputs"] if name in RATES)
        if name is not None and node not in graph.dead:
            target = follow(graph, node, name, "number")
            if target is not None:
                makes = not _MAKES_VIDEO.isdisjoint(words(each["class_type"]))
                held[target] = held.get(target, False) or makes
    values = {literal_value(graph, target) for target, makes in held.items() if makes}
    if len(values) != 1:
        return []
    (value,) = values
    return [target for target in held if literal_value(graph, target) == value]


def _followed(graph: Walked, node: str, name: str, *, is_text: bool) -> Target | None:
    value = graph[node]["inputs"][name]
    if isinstance(value, str) or (isinstance(value, (int, float)) and not isinstance(value, bool) and not is_text):
        return Target(node, name)
    return follow(graph, node, name, "string" if is_text else "number")


def _size_chosen(graph: Walked, size: Target) -> dict[str, Target]:
    """The proportions, and the number of pixels, that a width or a height is worked out of."""
    seen: set[str] = set()
    waiting = deque([size.node])
    while waiting and len(seen) < MOST_VISITS:
        node = waiting.popleft()
        if node in seen:
            continue
        seen.add(node)
        inputs = {plain(name): value for name, value in graph[node]["inputs"].items()}
        if node != size.node and any(isinstance(inputs.get(name), str) for name in ASPECTS):
            own = own_formats(graph, node)
            return {name: own[name] for name in ("aspect_ratio", "resolution", "megapixels") if name in own}
        ways = links(graph, node)
        names = [size.input] if node == size.node else [name for name in ways if not plain(name).startswith(PICTURES)]
        waiting.extend(ways[name][0] for name in names if name in ways)
    return {}

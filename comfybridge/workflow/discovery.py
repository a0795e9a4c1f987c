"""The parameters of a graph without a parameter file, found by its links.

From each sampler upwards: what feeds its positive input is the prompt, whatever it says. The names of inputs and
outputs are looked at; titles and labels only where links lead to several texts, or end in a calculation. Of several
samplers the first is the one that no other comes before; a parameter feeds the inputs of the others too, where they
hold the same value. Those that somebody set apart stay apart, but for the seeds of samplers that stand beside the
first (`Parameter.beside`). In a graph without a sampler, the nodes that take a prompt of their own stand for the
samplers.

If the way is unclear, there is no parameter, and `Discovery.unclear` says why.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from comfybridge.workflow.authored import Said
from comfybridge.workflow.authored_parameters import add_authored, with_others
from comfybridge.workflow.facts import Facts
from comfybridge.workflow.formats import formats_of_latent, frame_rates
from comfybridge.workflow.graph import Graph
from comfybridge.workflow.input_files import find_files, type_of
from comfybridge.workflow.latents import Latent, final_size
from comfybridge.workflow.links import Walked, links, literal_value
from comfybridge.workflow.loaders import only_model
from comfybridge.workflow.loras import Loras, find_loras
from comfybridge.workflow.names import is_encoded_text, is_text_of_row, plain
from comfybridge.workflow.parameters import SEED_INPUTS, Parameter, Target, Type
from comfybridge.workflow.samplers import PLACES, holder
from comfybridge.workflow.views import SEEDS, View, first_seed, look
from comfybridge.workflow.wording import clip

MEANINGS: dict[str, tuple[Type, str]] = {
    "prompt": ("string", "what to show"),
    "negative_prompt": ("string", "what to avoid"),
    "seed": ("integer", "the noise to start from: the same seed gives the same picture"),
    "steps": ("integer", "how many steps to sample"),
    "cfg": ("number", "how closely to follow the prompt"),
    "width": ("integer", "width in pixels"),
    "height": ("integer", "height in pixels"),
    "batch_size": ("integer", "how many pictures to make"),
    "model": ("string", "the file of the model"),
    "sampler_name": ("string", "the sampling method"),
    "scheduler": ("string", "how the noise is spread over the steps"),
    "denoise": ("number", "how much of the start to replace, from 0 to 1"),
    "image": ("image", "the image to start from"),
    "mask": ("image", "the mask: the part of the image to change"),
    "guidance": ("number", "how closely to follow the prompt, for models that take it as an input"),
    "lora_name": ("string", "the file of the LoRA"),
    "lora_strength": ("number", "how much of the LoRA to add"),
}
SHORT_NAMES = tuple(MEANINGS)
# others, whose type is that of the value in the graph
_FURTHER = {
    "aspect_ratio": "width to height, such as 16:9",
    "resolution": "how large the result is to be",
    "size": "the size of the result",
    "megapixels": "how many millions of pixels to make",
    "duration": "how many seconds to make",
    "length": "how many frames to make",
    "fps": "frames per second",
}
MOST_REPEATS = 64  # RepeatLatentBatch.amount, nodes.py


@dataclass(frozen=True)
class Discovery:
    """The parameters found in a graph.

    Attributes:
        parameters: by their short names.
        unclear: why some that one might expect are not there, as sentences by name.
        unknown: the classes of which a server could tell more that matters.
    """

    parameters: dict[str, Parameter] = field(default_factory=dict)
    unclear: dict[str, str] = field(default_factory=dict)
    unknown: frozenset[str] = frozenset()


def examine(graph: Graph, facts: Facts | None = None, authored: Said | None = None) -> Discovery:
    """The parameters of a checked graph, and those that are unclear.

    Args:
        facts: a server's description of node classes; without it, only built-in knowledge is used.
        authored: what the file says that the graph was made of; without it, titles are those in the graph's `_meta`.
    """
    walked = Walked(graph, facts, authored)
    views = look(walked)
    found, apart = _of_views(walked, views) if views else ({}, {})
    if not any(view.is_sampler for view in views):
        _add_without_samplers(walked, found, [view.node for view in views])
    found["fps"] = found.get("fps") or frame_rates(walked)
    files = find_files(walked, [view.node for view in views])
    found.update(files)
    loras = find_loras(walked)
    if len(loras.found) == 1 and not loras.unnamed:
        name, strengths = loras.found[0]
        found.update(lora_name=[name], lora_strength=strengths)
    _add_texts_of_row(walked, found)
    told = add_authored(walked, found, views[0].latent.open if views else None)
    beside = _seeds_beside(walked, views, found.get("seed", []))
    if walked.authored.together:
        found = {name: with_others(walked, targets) for name, targets in found.items()}
    parameters = {
        name: _parameter(graph, name, found[name], beside if name == "seed" else (), is_file=name in files)
        for name in dict.fromkeys((*SHORT_NAMES, *_FURTHER, *found))
        if found.get(name)
    }
    reasons = {**_unclear(walked, views, found, loras), **apart}
    unclear = {name: reason for name, reason in reasons.items() if name not in told}
    return Discovery(parameters, unclear, frozenset(walked.unknown))


def find_seed(graph: Graph) -> Target | None:
    """The input that holds a checked graph's seed: that of the parameter `seed`, for less work than to find all."""
    if not any(plain(name) in (*SEED_INPUTS, *SEEDS) for node in graph.values() for name in node["inputs"]):
        return None  # as in most graphs that only change a picture
    return first_seed(Walked(graph))


def _add_without_samplers(graph: Walked, found: dict[str, list[Target]], makers: list[str]) -> None:
    """Add what a graph without a sampler may have: one model, and the size that its pictures end up with."""
    if not found.get("model"):
        found["model"] = only_model(graph)
    final = Latent() if found.get("width") or found.get("size") else final_size(graph, makers)
    if final.size:
        found["width"], found["height"] = [final.size[0]], [final.size[1]]
        found["batch_size"] = found.get("batch_size") or ([final.batch] if final.batch else [])
    for name, target in formats_of_latent(graph, final).items():
        found[name] = found.get(name) or [target]


def _of_views(graph: Walked, views: list[View]) -> tuple[dict[str, list[Target]], dict[str, str]]:
    """What the views have, and why parameters are left out that nodes side by side have of their own."""
    found = {name: _agreeing(graph, [view.settings[name] for view in views]) for name in PLACES}
    found["model"] = _agreeing(graph, [view.model for view in views])
    found["guidance"] = _agreeing(graph, [view.positive.guidance for view in views])
    for name in dict.fromkeys(name for view in views for name in view.formats):
        found[name] = _agreeing(graph, [view.formats[name] for view in views if name in view.formats])
    latents = [view.latent for view in views]
    found["width"], found["height"] = _agreeing_sizes(graph, latents)
    found["batch_size"] = _agreeing(graph, [each.batch for each in latents])
    found["prompt"] = _agreeing_texts(graph, [texts for view in views for texts in view.positive.encoders])
    # what a prompt sets is never a negative prompt's, as where one encoder feeds both sides
    prompts = found["prompt"]
    negatives = [
        [target for target in texts if target not in prompts] for view in views for texts in view.negative.encoders
    ]
    found["negative_prompt"] = _agreeing_texts(graph, [texts for texts in negatives if texts])
    return found, _drop_what_differs(graph, views, found)


def _drop_what_differs(graph: Walked, views: list[View], found: dict[str, list[Target]]) -> dict[str, str]:
    """Leave out what nodes that stand side by side hold differently, and say so: which of them would be meant?

    Their seeds are another matter, see `Parameter.beside`.
    """
    first = [view for view in views if view.is_first]
    reasons: dict[str, str] = {}
    if len(first) < 2:
        return reasons
    for name in found:
        held = {} if name == "seed" else {view.node: _held(graph, view, name) for view in first}
        values = list(dict.fromkeys(value for value in held.values() if value is not None))
        if found[name] and len(values) > 1:
            found[name] = []
            nodes = " and ".join(clip(next(node for node in held if held[node] == value)) for value in values[:2])
            reasons[name] = f"{name} is not a parameter: nodes {nodes} stand side by side, and each has its own."
    return reasons


def _held(graph: Walked, view: View, name: str) -> Any:
    """A view's target for a parameter, as it is in the graph; None if there is none."""
    texts = {"prompt": view.positive, "negative_prompt": view.negative}.get(name)
    if texts is not None:
        return tuple(literal_value(graph, target) for target in texts.encoders[0]) if texts.encoders else None
    if name in ("width", "height"):
        return tuple(literal_value(graph, target) for target in view.latent.size) if view.latent.size else None
    others = {"model": view.model, "guidance": view.positive.guidance, "batch_size": view.latent.batch}
    target = view.settings.get(name) or view.formats.get(name) or others.get(name)
    return literal_value(graph, target) if target else None


def _agreeing(graph: Graph, targets: list[Target | None]) -> list[Target]:
    """The first sampler's input and those of the others with the same value; empty if the first has none."""
    if not targets or targets[0] is None:
        return []
    value = literal_value(graph, targets[0])
    return list(dict.fromkeys(each for each in targets if each and literal_value(graph, each) == value))


def _agreeing_texts(graph: Graph, encoders: list[list[Target]]) -> list[Target]:
    """All texts of the first encoder, and those of the others that say the same as one of them."""
    first = encoders[0] if encoders else []
    said = [literal_value(graph, target) for target in first]
    rest = [target for texts in encoders[1:] for target in texts if literal_value(graph, target) in said]
    return list(dict.fromkeys([*first, *rest]))


def _agreeing_sizes(graph: Graph, latents: list[Latent]) -> tuple[list[Target], list[Target]]:
    """Width and height of latents of one size, compared as pairs: 512x768 does not match 512x512."""

    def values(pair: Iterable[Target]) -> list[Any]:
        return [literal_value(graph, target) for target in pair]

    first = latents[0].size
    if first is None:
        return [], []
    pairs = [each.size for each in latents if each.size and values(each.size) == values(first)]
    return list(dict.fromkeys(pair[0] for pair in pairs)), list(dict.fromkeys(pair[1] for pair in pairs))


def _seeds_beside(graph: Graph, views: list[View], seeds: list[Target]) -> tuple[tuple[Target, ...], ...]:
    """The seeds that differ from the first one, of samplers that no other comes before: a group for each value."""
    groups: dict[Any, list[Target]] = {}
    for view in views:
        target = view.settings["seed"]
        if seeds and view.is_first and target is not None and target not in seeds:
            group = groups.setdefault(literal_value(graph, target), [])
            if target not in group:
                group.append(target)
    return tuple(tuple(group) for group in groups.values())


def _parameter(
    graph: Graph, name: str, targets: list[Target], beside: tuple[tuple[Target, ...], ...], *, is_file: bool
) -> Parameter:
    value = literal_value(graph, targets[0])
    kind, description = _meaning(name, value, targets[0].node, is_file=is_file)
    repeats = name == "batch_size" and targets[0].input == "amount"
    return Parameter(
        name=name,
        targets=tuple(targets),
        type=kind,
        default=value,
        max=MOST_REPEATS if repeats else None,
        description=description,
        beside=beside,
    )


def _meaning(name: str, value: Any, node: str, *, is_file: bool) -> tuple[Type | None, str]:
    """The type of a parameter's values, and what it is for."""
    if name in MEANINGS:
        return MEANINGS[name]
    said = f"{name.replace('_', ' ')}, by node {clip(node)}"
    if is_file:
        return type_of(name), said
    kind: Type | None = "number"  # an integer may be one by chance: the editor saves 1.0 as 1
    if isinstance(value, (bool, str)):
        kind = "boolean" if isinstance(value, bool) else "string"
    return ("integer" if name == "length" else kind), _FURTHER.get(name, said)


def _add_texts_of_row(graph: Graph, found: dict[str, list[Target]]) -> None:
    """Add the texts that follow a prompt which is the first of a row, as `prompt_2` and so on."""
    prompts = found.get("prompt", [])
    if len(prompts) == 1 and is_text_of_row(prompts[0].input):
        node, first = prompts[0].node, prompts[0].input
        row = [
            name for name, value in graph[node]["inputs"].items() if isinstance(value, str) and is_text_of_row(name)
        ]
        for number, name in enumerate((name for name in row if name != first), 2):
            found[f"prompt_{number}"] = [Target(node, name)]


def _unfollowed(graph: Walked, view: View) -> dict[str, Target]:
    """The inputs that hold settings and sizes, or get them over a link, by the names of parameters."""
    held = {name: holder(graph, view.node, name) for name in PLACES} if view.is_sampler else {}
    held.update(width=view.latent.open, height=view.latent.open)
    return {name: target for name, target in held.items() if target is not None}


def _linked(graph: Walked, name: str, target: Target) -> dict[str, str]:
    """The reason why a parameter is missing if its input is linked to a node without a single value for it."""
    origin = links(graph, target.node).get(target.input)
    if origin is None:
        return {}
    to, by = (f"node {clip(node)} ({clip(graph[node]['class_type'])})" for node in (target.node, origin[0]))
    said = f"{to} gets its {clip(target.input)} from {by}, where no single value stands for it"
    return {name: f"{name} is not a parameter: {said}."}


def _unclear(graph: Walked, views: list[View], found: dict[str, list[Target]], loras: Loras) -> dict[str, str]:
    """Why parameters that one might expect are not there."""
    reasons: dict[str, str] = {}
    if views:
        first = views[0]
        met = {"prompt": first.positive.met, "negative_prompt": first.negative.met, **first.met}
        met.update(width=first.latent.met, height=first.latent.met)
        for name, notes in met.items():
            is_size = name in ("width", "height")
            said = "; ".join(note.text for note in notes.values() if is_size or not note.of_size)
            if said and not found.get(name):
                reasons[name] = f"{name} is not a parameter: {said}."
        for name, target in _unfollowed(graph, first).items():
            if not found.get(name) and name not in reasons:
                reasons.update(_linked(graph, name, target))
        takes_text = first.is_sampler or any(is_encoded_text(name) for name in graph[first.node]["inputs"])
        if not found.get("prompt") and "prompt" not in reasons and takes_text:
            reasons["prompt"] = (
                f"prompt is not a parameter: the links of node {clip(first.node)} "
                f"({clip(graph[first.node]['class_type'])}) lead to no text that is certainly a prompt."
            )
    count = len(loras.found) + len(loras.unnamed)
    if count > 1:
        reasons["lora_name"] = f'lora_name is not a parameter: the graph has {count} LoRAs; name one as "NODE.INPUT".'
    elif loras.unnamed:
        reasons["lora_name"] = f"lora_name is not a parameter: node {clip(loras.unnamed[0])} has it in an object."
    return reasons

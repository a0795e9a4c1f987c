"""The parameters that a graph has without anybody naming them, found by its links.

From each sampler upwards: what feeds its positive input is the prompt, whatever it says. No node's title, id or
text is looked at. Of several samplers the first is the one that no other comes before; a parameter feeds the
inputs of the others too, where they hold the same value. Those that somebody set apart stay apart.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from comfybridge.workflow.conditionings import Texts, find_texts
from comfybridge.workflow.graph import Graph
from comfybridge.workflow.latents import Latent, find_latent
from comfybridge.workflow.links import Walked, literal_value
from comfybridge.workflow.loaders import find_model
from comfybridge.workflow.parameters import Parameter, Target, Type
from comfybridge.workflow.samplers import PLACES, conditioning, find_samplers, latent, model, setting

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
    "guidance": ("number", "how closely to follow the prompt, for models that are told so"),
}
SHORT_NAMES = tuple(MEANINGS)
MOST_REPEATS = 64  # RepeatLatentBatch.amount, nodes.py


def discover(graph: Graph) -> dict[str, Parameter]:
    """The parameters found in a checked graph, by their short names."""
    graph = Walked(graph)
    samplers = find_samplers(graph)
    if not samplers:
        return {}
    views = _look(graph, samplers)
    found: dict[str, list[Target]] = {
        name: _agreeing(graph, [view.settings[name] for view in views]) for name in PLACES
    }
    found["model"] = _agreeing(graph, [view.model for view in views])
    found["guidance"] = _agreeing(graph, [view.positive.guidance for view in views])
    latents = [view.latent for view in views]
    found["width"], found["height"] = _agreeing_sizes(graph, latents)
    found["batch_size"] = _agreeing(graph, [each.batch for each in latents])
    found["image"] = _agreeing(graph, [image for each in latents for image in each.images])
    found["prompt"] = _agreeing_texts(graph, [texts for view in views for texts in view.positive.encoders])
    # what a prompt sets is never a negative prompt's, as where one encoder feeds both sides
    prompts = {target for view in views for texts in view.positive.encoders for target in texts}
    negatives = [
        [target for target in texts if target not in prompts] for view in views for texts in view.negative.encoders
    ]
    found["negative_prompt"] = _agreeing_texts(graph, [texts for texts in negatives if texts])
    return {name: _parameter(graph, name, found[name]) for name in SHORT_NAMES if found[name]}


@dataclass
class _View:
    """What one sampler depends on."""

    settings: dict[str, Target | None]
    model: Target | None
    positive: Texts
    negative: Texts
    latent: Latent


def _look(graph: Graph, samplers: list[str]) -> list[_View]:
    # samplers usually share what is above them, so each way up is gone once
    texts = cache(partial(find_texts, graph))
    models = cache(partial(find_model, graph))
    latents = cache(partial(find_latent, graph))
    return [
        _View(
            settings={name: setting(graph, sampler, name) for name in PLACES},
            model=models(model(graph, sampler)),
            positive=texts(conditioning(graph, sampler, "positive"), "positive"),
            negative=texts(conditioning(graph, sampler, "negative"), "negative"),
            latent=latents(latent(graph, sampler)),
        )
        for sampler in samplers
    ]


def _agreeing(graph: Graph, targets: list[Target | None] | list[Target]) -> list[Target]:
    """The first sampler's input and the others' that hold the same; none if the first sampler has none."""
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
    """Width and height of latents of one size, taken as pairs: 512x768 has no part in 512x512."""

    def values(pair: Iterable[Target]) -> list[Any]:
        return [literal_value(graph, target) for target in pair]

    first = latents[0].size
    if first is None:
        return [], []
    pairs = [each.size for each in latents if each.size and values(each.size) == values(first)]
    return list(dict.fromkeys(pair[0] for pair in pairs)), list(dict.fromkeys(pair[1] for pair in pairs))


def _parameter(graph: Graph, name: str, targets: list[Target]) -> Parameter:
    kind, description = MEANINGS[name]
    repeats = name == "batch_size" and targets[0].input == "amount"
    return Parameter(
        name=name,
        targets=tuple(targets),
        type=kind,
        default=literal_value(graph, targets[0]),
        max=MOST_REPEATS if repeats else None,
        description=description,
    )

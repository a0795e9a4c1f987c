"""The samplers of a graph, and the nodes around them that hold their settings."""

from __future__ import annotations

import re

from comfybridge.workflow.links import Kind, Source, Walked, bundles, follow, follow_source, links, reach
from comfybridge.workflow.names import Side, is_bundle, is_encoded_text, side, word_set, words
from comfybridge.workflow.parameters import SEED_INPUTS, Target

KNOWN = ("KSampler", "KSamplerAdvanced", "SamplerCustom", "SamplerCustomAdvanced")
LATENT_LINKS = (
    "latent_image",
    "latent",
    "samples",
    "optional_latent",
    "latents",
    "init_latent",
    "image_embeds",
    "image",
    "pixels",
)
# every walk starts at each of them
MOST_SAMPLERS = 32
STEPS = ("steps", "num_inference_steps", "inference_steps", "num_steps", "sampling_steps", "sample_steps")
# the names of a setting, and the link to the node that has it if a sampler consists of several nodes
PLACES: dict[str, tuple[tuple[str, ...], str, Kind]] = {
    "seed": (SEED_INPUTS, "noise", "integer"),
    "steps": (STEPS, "sigmas", "integer"),
    "cfg": (("cfg", "cfg_conds", "cfg_scale", "guidance_scale", "true_gs", "video_cfg"), "guider", "number"),
    "sampler_name": (("sampler_name",), "sampler", "string"),
    "scheduler": (("scheduler",), "sigmas", "string"),
    "denoise": (("denoise", "denoise_strength", "denoising_strength"), "sigmas", "number"),
}
_LATENTS = frozenset(("latent_image", "latent", "samples", "optional_latent", "latents", "init_latent"))
_SETTINGS = frozenset(("seed", "noise_seed", "cfg", "denoise", "sampler_name", "scheduler", "steps"))
# the names of sampling nodes, including those with bundles
_MAKES = re.compile(r"sampl|detail|upscal|inpaint", re.IGNORECASE)
# names of links that bring conditioning to a sampler; packs have their own
_TOLD = word_set("conditioning conditionings cond conds cond1 guider embeds text")


def find_samplers(graph: Walked) -> list[str]:
    """The nodes that sample, in the graph's order."""
    return [node for node in graph if is_sampler(graph, node)][:MOST_SAMPLERS]


def is_sampler(graph: Walked, node: str) -> bool:
    """Whether a node samples: one of ComfyUI's own, or one of a pack that looks like them."""
    inputs = graph[node]["inputs"]
    if graph[node]["class_type"] in KNOWN:
        return True
    linked = links(graph, node)
    if {"guider", "sigmas"} <= linked.keys():
        return True
    sides = {side(name) for name in linked}
    if {"positive", "negative"} <= sides and _LATENTS & linked.keys() and _SETTINGS & inputs.keys():
        return not _only_bundles(graph[node]["class_type"])
    if not any(name in inputs for name in STEPS) or not any(name in inputs for name in SEED_INPUTS):
        return False
    if any(side(name) == "positive" or is_bundle(name) or _is_told(name) for name in linked):
        return True
    return any(is_encoded_text(name) for name in inputs)


def _only_bundles(class_type: str) -> bool:
    """Whether a node only makes a bundle for other nodes to sample with, such as rgthree's Context."""
    return is_bundle(class_type) and _MAKES.search(class_type) is None


def _is_told(name: str) -> bool:
    """Whether a link brings conditioning, such as text_embeds or hyvid_embeds, but not image_embeds."""
    found = words(name)
    return side(name) is None and bool(_TOLD.intersection(found)) and not {"image", "audio", "vision"} & set(found)


def setting(graph: Walked, sampler: str, name: str) -> Target | None:
    """The input that holds a sampler's seed, steps, cfg, sampler_name, scheduler or denoise."""
    names, _, kind = PLACES[name]
    if name == "seed" and graph[sampler]["inputs"].get("add_noise") in ("disable", False):
        return None  # it adds no noise
    held = holder(graph, sampler, name)
    if held is not None:
        return follow(graph, held.node, held.input, kind)
    found = (follow_source(graph, bundle, each, kind) for bundle in bundles(graph, sampler) for each in names)
    return next((target for target in found if target), None)


def holder(graph: Walked, sampler: str, name: str) -> Target | None:
    """The input that holds a setting or gets it over a link, in a sampler or in a node that configures it."""
    names, link, _ = PLACES[name]

    def has_it(node: str) -> bool:
        return any(each in graph[node]["inputs"] for each in names)

    node = sampler if has_it(sampler) else reach(graph, sampler, link, has_it)
    return Target(node, next(each for each in names if each in graph[node]["inputs"])) if node is not None else None


def conditionings(graph: Walked, sampler: str, role: Side) -> tuple[tuple[Source, bool], ...]:
    """The possible origins of a sampler's input on one side, each with whether it has no side there yet.

    A link named after the side is the only one. A link named after neither side brings the positive one, and the
    negative one too if the nodes behind it distinguish the two.
    """
    for node in (sampler, reach(graph, sampler, "guider", lambda each: _is_guider(graph, each))):
        linked = links(graph, node) if node else {}
        named = [origin for name, origin in linked.items() if side(name) == role]
        told = [origin for name, origin in linked.items() if _is_told(name) and name != "guider"]
        if named:
            # a guider of several may get the negative side as one of its conditionings
            others = told if role == "negative" else []
            return (*((origin, False) for origin in named), *((origin, True) for origin in others))
        brought = [origin for name, origin in linked.items() if is_bundle(name)]
        if told or brought:
            return (*((origin, role == "negative") for origin in told), *((origin, True) for origin in brought))
    return ()


def model(graph: Walked, sampler: str) -> Source | None:
    """The origin of a sampler's model."""
    for node in (sampler, reach(graph, sampler, "guider", lambda each: _is_guider(graph, each))):
        linked = links(graph, node) if node else {}
        found = linked.get("model") or linked.get("unet") or next(iter(bundles(graph, node) if node else ()), None)
        if found:
            return found
    return None


def latent(graph: Walked, sampler: str) -> Source | None:
    """The origin of a sampler's latent."""
    linked = links(graph, sampler)
    found = next((linked[name] for name in LATENT_LINKS if name in linked), None)
    return found or next(iter(bundles(graph, sampler)), None)


def _is_guider(graph: Walked, node: str) -> bool:
    return any(side(name) == "positive" or (_is_told(name) and name != "guider") for name in links(graph, node))


def downstream(graph: Walked, nodes: list[str]) -> set[str]:
    """All nodes that depend on one of these nodes, directly or indirectly."""
    feeds: dict[str, list[str]] = {node: [] for node in graph}
    for node in graph:
        for origin, _ in links(graph, node).values():
            feeds[origin].append(node)
    reached: set[str] = set()
    pending = [fed for node in nodes for fed in feeds[node]]
    while pending:
        node = pending.pop()
        if node not in reached:
            reached.add(node)
            pending.extend(feeds[node])
    return reached

"""The samplers of a graph, and the nodes around them that hold their settings."""

from __future__ import annotations

from comfybridge.workflow.graph import Graph
from comfybridge.workflow.links import Kind, Source, follow, links, reach
from comfybridge.workflow.parameters import SEED_INPUTS, Target

KNOWN = ("KSampler", "KSamplerAdvanced", "SamplerCustom", "SamplerCustomAdvanced")
LATENT_LINKS = ("latent_image", "latent", "samples", "optional_latent", "latents", "init_latent", "image", "pixels")
# every walk starts at each of them
MOST_SAMPLERS = 32
# what a setting is called, and the link behind which a sampler made of several nodes keeps it
PLACES: dict[str, tuple[tuple[str, ...], str, Kind]] = {
    "seed": (SEED_INPUTS, "noise", "integer"),
    "steps": (("steps",), "sigmas", "integer"),
    "cfg": (("cfg", "cfg_conds"), "guider", "number"),
    "sampler_name": (("sampler_name",), "sampler", "string"),
    "scheduler": (("scheduler",), "sigmas", "string"),
    "denoise": (("denoise",), "sigmas", "number"),
}
CONDITIONING = {"positive": ("positive", "conditioning", "cond1"), "negative": ("negative",)}


def find_samplers(graph: Graph) -> list[str]:
    """The nodes that sample, those in front that no other one comes before."""
    found = [node for node in graph if is_sampler(graph, node)][:MOST_SAMPLERS]
    later = _downstream(graph, found)
    return [node for node in found if node not in later] + [node for node in found if node in later]


def is_sampler(graph: Graph, node: str) -> bool:
    """Whether a node samples: one of ComfyUI's own, or one of a pack that looks like them."""
    inputs = graph[node]["inputs"]
    if graph[node]["class_type"] in KNOWN:
        return True
    linked = links(graph, node)
    if {"guider", "sigmas"} <= linked.keys():
        return True
    return "positive" in linked and "steps" in inputs and any(name in inputs for name in SEED_INPUTS)


def setting(graph: Graph, sampler: str, name: str) -> Target | None:
    """The input that holds a sampler's seed, steps, cfg, sampler_name, scheduler or denoise."""
    names, link, kind = PLACES[name]

    def has_it(node: str) -> bool:
        return any(each in graph[node]["inputs"] for each in names)

    holder = sampler if has_it(sampler) else reach(graph, sampler, link, has_it)
    if holder is None:
        return None
    held = next(each for each in names if each in graph[holder]["inputs"])
    return follow(graph, holder, held, kind)


def conditioning(graph: Graph, sampler: str, role: str) -> Source | None:
    """Where a sampler's positive or negative conditioning comes from."""
    return _linked(graph, sampler, CONDITIONING[role])


def model(graph: Graph, sampler: str) -> Source | None:
    """Where a sampler's model comes from."""
    return _linked(graph, sampler, ("model",))


def latent(graph: Graph, sampler: str) -> Source | None:
    """Where the latent that a sampler starts from comes from."""
    linked = links(graph, sampler)
    return next((linked[name] for name in LATENT_LINKS if name in linked), None)


def _linked(graph: Graph, sampler: str, names: tuple[str, ...]) -> Source | None:
    """A link of the sampler, or else of its guider."""
    linked = links(graph, sampler)
    if not any(name in linked for name in names):
        guider = reach(graph, sampler, "guider", lambda node: _is_guider(graph, node))
        linked = links(graph, guider) if guider else {}
    return next((linked[name] for name in names if name in linked), None)


def _is_guider(graph: Graph, node: str) -> bool:
    linked = links(graph, node)
    return any(name in linked for name in CONDITIONING["positive"])


def _downstream(graph: Graph, nodes: list[str]) -> set[str]:
    """Everything that gets something from one of the nodes, however indirectly."""
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

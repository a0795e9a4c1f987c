"""From a sampler's positive or negative input up to the texts, through whatever stands between."""

from __future__ import annotations

from dataclasses import dataclass, field

from comfybridge.workflow.graph import Graph
from comfybridge.workflow.links import EQUIPMENT, Source, follow, links, may_go_on
from comfybridge.workflow.parameters import Target
from comfybridge.workflow.samplers import is_sampler

# the text inputs of ComfyUI's own encoders (nodes.py and comfy_extras/nodes_*.py) and of the usual packs
TEXTS = (
    "text",
    "text_g",
    "text_l",
    "clip_g",
    "clip_l",
    "t5xxl",
    "llama",
    "bert",
    "mt5xl",
    "prompt",
    "user_prompt",
    "tags",
)
FIRST = ("conditioning", "conditioning_to", "conditioning_1")
# links that bring no conditioning to a node whose conditioning input has a name of its own
OTHER = (
    *EQUIPMENT,
    "control_net",
    "image",
    "images",
    "pixels",
    "mask",
    "latent",
    "latent_image",
    "samples",
    "style_model",
    "clip_vision",
    "clip_vision_output",
    "gligen_textbox_model",
    "audio",
    "audio_encoder_output",
)


@dataclass
class Texts:
    """What was found on the way up.

    Attributes:
        encoders: the text inputs of each encoder, the nearest to the first conditioning in front.
        nodes: the encoders.
        guidance: the first guidance that a node on the way sets, if one does.
    """

    encoders: list[list[Target]] = field(default_factory=list)
    nodes: set[str] = field(default_factory=set)
    guidance: Target | None = None


def find_texts(graph: Graph, start: Source | None, role: str) -> Texts:
    """The texts that a conditioning is made of; `role` is what it is to the sampler: positive or negative."""
    found = Texts()
    seen: set[Source] = set()
    pending = [start] if start else []
    while pending and may_go_on(graph):
        here = pending.pop()
        node = here[0]
        # a zeroed conditioning has nothing left of its text, which is usually the other prompt's
        if here in seen or graph[node]["class_type"] == "ConditioningZeroOut" or is_sampler(graph, node):
            continue
        seen.add(here)
        if found.guidance is None and "guidance" in graph[node]["inputs"]:
            found.guidance = follow(graph, node, "guidance", "number")
        texts = [] if node in found.nodes else _texts_of(graph, node, role)
        if texts:
            found.nodes.add(node)
            found.encoders.append(texts)
        elif node not in found.nodes:
            pending.extend(reversed(_conditionings_of(graph, here, role)))
    return found


def _texts_of(graph: Graph, node: str, role: str) -> list[Target]:
    """The text inputs of a node that makes a conditioning out of texts; none if it makes it out of others."""
    inputs = graph[node]["inputs"]
    if isinstance(inputs.get(role), str):  # a loader that encodes both prompts itself
        return [Target(node, role)]
    names = [name for name in (*TEXTS, f"{role}_prompt", f"text_{role}") if name in inputs]
    strings = [name for name, value in inputs.items() if isinstance(value, str)]
    if not names and "clip" in links(graph, node) and len(strings) == 1:
        names = strings
    found = (follow(graph, node, name, "string") for name in names)
    return list(dict.fromkeys(target for target in found if target))


def _conditionings_of(graph: Graph, here: Source, role: str) -> list[Source]:
    node, slot = here
    linked = links(graph, node)
    pair = ("positive", "negative")
    if all(name in linked for name in pair):  # such nodes give out both again, in this order
        return [linked[pair[slot] if slot < 2 else role]]
    named = [name for name in linked if name.startswith("cond") or name in pair]
    chosen = named or [name for name in linked if name not in OTHER]
    chosen.sort(key=lambda name: name not in FIRST)
    return [linked[name] for name in chosen]

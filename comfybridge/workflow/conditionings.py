"""Finds the texts of a sampler's positive or negative input, through all nodes in between."""

from __future__ import annotations

from dataclasses import dataclass, field

from comfybridge.workflow.effective import Note
from comfybridge.workflow.links import (
    EQUIPMENT,
    Source,
    Walked,
    bundles,
    follow,
    links,
    may_go_on,
    side_of,
    takes_picture,
    with_twins,
)
from comfybridge.workflow.names import Side, is_bundle, is_encoded_text, is_side, is_text_of_row, plain, side
from comfybridge.workflow.parameters import Target
from comfybridge.workflow.persons_text import persons_text
from comfybridge.workflow.samplers import is_sampler

FIRST = ("conditioning", "conditioning_to", "conditioning_1")
SAID = ("tags", "caption")
GUIDANCE = ("guidance", "embedded_guidance_scale")
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
    """The texts found on the way up.

    Attributes:
        encoders: the text inputs of each encoder, the nearest to the first conditioning in front.
        nodes: the encoders.
        guidance: the first guidance that a node on the way sets, if any.
        met: inputs left out on the way, by their nodes.
    """

    encoders: list[list[Target]] = field(default_factory=list)
    nodes: set[str] = field(default_factory=set)
    guidance: Target | None = None
    met: dict[str, Note] = field(default_factory=dict)


def find_texts(graph: Walked, starts: tuple[tuple[Source, bool], ...], role: Side) -> Texts:
    """The texts that a conditioning is made of.

    Args:
        starts: its possible origins, each with whether it is on no side yet, such as a bundle or texts for both
            sides.
        role: its role for the sampler.
    """
    found = Texts()
    graph.met = found.met
    seen: set[tuple[Source, Side, bool]] = set()
    added: list[list[Target]] = []
    pending = [(start, role, is_open) for start, is_open in reversed(starts)]
    while pending and may_go_on(graph):
        here, wanted, is_open = pending.pop()
        node = here[0]
        # a zeroed conditioning contains nothing of its text, which is usually the other prompt's
        is_end = graph[node]["class_type"] == "ConditioningZeroOut" or is_sampler(graph, node)
        if (here, wanted, is_open) in seen or is_end:
            continue
        seen.add((here, wanted, is_open))
        graph.look_at(node)
        if found.guidance is None:
            found.guidance = guidance_of(graph, node)
        if _has_sides(graph, node):
            wanted = side_of(graph, here, wanted) or wanted
        texts = [] if node in found.nodes else texts_of(graph, node, wanted, is_open=is_open)
        is_added = any(name.startswith("cond") for name in links(graph, node))
        if texts:
            (added if is_added else found.encoders).append(texts)
        if is_added or not (texts or node in found.nodes):
            pending.extend(
                (origin, wanted, still) for origin, still in reversed(_above(graph, node, wanted, is_open))
            )
        if texts:
            found.nodes.add(node)
    # a node's other inputs, such as the contents of a box, come after the conditioning that it takes
    found.encoders.extend(added)
    return found


def guidance_of(graph: Walked, node: str) -> Target | None:
    """The input of a node that sets how closely a model follows the prompt."""
    name = next((name for name in GUIDANCE if name in graph[node]["inputs"]), None)
    return follow(graph, node, name, "number") if name else None


def texts_of(graph: Walked, node: str, wanted: Side, *, is_open: bool = False) -> list[Target]:
    """The text inputs of a node that makes a conditioning, or a picture, out of texts; none if it has none.

    Args:
        is_open: whether only a text that is named after the side counts.
    """
    inputs = graph[node]["inputs"]
    names = [name for name in inputs if is_encoded_text(name) or _is_sided_text(inputs, name)]
    if takes_picture(graph, node) and "clip" not in links(graph, node):
        # the node's last text about the picture
        names = [name for name in names if plain(name).lower() not in SAID]
    sided = [name for name in names if side(plain(name)) == wanted]
    neutral = [name for name in names if side(plain(name)) is None]
    # a negative prompt must say so where both sides are together; else what says nothing is on the side it serves
    if is_open and wanted == "negative":
        names = sided
    elif wanted == "positive" or not any(side(plain(name)) for name in names):
        names = sided or neutral
    else:
        names = sided
    strings = [name for name, value in inputs.items() if isinstance(value, str)]
    if not names and not is_open and "clip" in links(graph, node) and len(strings) == 1:
        names = strings
    if not names:
        names = [name for name in inputs if is_text_of_row(name)][:1]
    found = [persons_text(graph, node, name, wanted) for name in names]
    return list(dict.fromkeys(twin for target in found if target for twin in with_twins(graph, target)))


def _is_sided_text(inputs: dict[str, object], name: str) -> bool:
    """Whether it is a text that is called after its side only, as of a loader that encodes both prompts itself."""
    return isinstance(inputs[name], str) and is_side(plain(name))


def _has_sides(graph: Walked, node: str) -> bool:
    """Whether a node has both sides, so that the chosen output matters."""
    return {"positive", "negative"} <= {side(name) for name in graph[node]["inputs"]}


def _above(graph: Walked, node: str, wanted: Side, is_open: bool) -> list[tuple[Source, bool]]:
    """The origins of a node's conditioning, each with whether it is on no side there yet."""
    linked = links(graph, node)
    named = [origin for name, origin in linked.items() if side(name) == wanted]
    if named:
        return [(origin, False) for origin in named]
    brought = [(origin, True) for origin in bundles(graph, node)]
    # an input named only after the other side has nothing for this one
    rest = [name for name in linked if side(name) is None and not is_bundle(name)]
    named_so = [name for name in rest if name.startswith("cond")]
    chosen = named_so or ([] if brought else [name for name in rest if name not in OTHER])
    chosen.sort(key=lambda name: name not in FIRST)
    return [*((linked[name], is_open) for name in chosen), *brought]

"""What of a graph takes effect: without the branches that a switch leaves out, and values that a node passes over.

switches    the branch that is selected, and no other
displays    what they are given, and not what they showed the last time
presets     no width and height where the node takes its size from a list
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from comfybridge.workflow.graph import Graph, is_link
from comfybridge.workflow.names import plain, word_set, words
from comfybridge.workflow.wording import clip, describe

Inputs = Mapping[str, Any]

_SWITCH = re.compile(r"switch|select|branch|if ?else|mux|multiplex|router|conditional|choose", re.IGNORECASE)
# the branches of a switch by their names, that for true in front
_BRANCHES = (
    ("on_true", "on_false"),
    ("tt_value", "ff_value"),
    ("if_true", "if_false"),
    ("when_true", "when_false"),
    ("true_value", "false_value"),
    ("value_true", "value_false"),
    ("ontrue", "onfalse"),
    ("true", "false"),
)
_ALL_BRANCHES = frozenset(name for pair in _BRANCHES for name in pair)
_MEMBER = re.compile(r"^(.*?)(?:[_ ]?(\d+)|[_ ]([A-Za-z])|(?<=[a-z])([A-Z]))$")
_SELECTORS = word_set("switch select selected selector index input boolean bool condition cond choice which")
_YES = frozenset(("true", "on", "yes", "enable", "enabled"))
_NO = frozenset(("false", "off", "no", "disable", "disabled"))

_DISPLAYS = word_set("show shows shown display displays preview debug inspect print console")

# ComfyUI's own classes that make nothing by themselves, of those that people leave behind without an end
_NO_OUTPUTS = word_set(
    "LoadImage LoadImageMask LoadImageOutput ImageScale ImageScaleBy ImageUpscaleWithModel UpscaleModelLoader "
    "ImageToMask MaskToImage ImageBatch ImageInvert ImageBlur ImageSharpen ImageCrop ImagePadForOutpaint "
    "CLIPTextEncode CLIPSetLastLayer CLIPTextEncodeSDXL CLIPTextEncodeFlux CLIPLoader DualCLIPLoader "
    "TripleCLIPLoader CLIPVisionLoader CLIPVisionEncode CheckpointLoaderSimple UNETLoader VAELoader "
    "LoraLoader LoraLoaderModelOnly ControlNetLoader ControlNetApply ControlNetApplyAdvanced StyleModelLoader "
    "StyleModelApply EmptyLatentImage EmptySD3LatentImage LatentUpscale LatentUpscaleBy VAEEncode "
    "VAEEncodeForInpaint VAEEncodeTiled VAEDecode VAEDecodeTiled KSampler KSamplerAdvanced SamplerCustom "
    "SamplerCustomAdvanced RandomNoise BasicGuider CFGGuider BasicScheduler KSamplerSelect FluxGuidance "
    "ConditioningCombine ConditioningConcat ConditioningAverage ConditioningZeroOut ModelSamplingFlux "
    "ModelSamplingSD3 PrimitiveString PrimitiveStringMultiline PrimitiveInt PrimitiveFloat PrimitiveBoolean "
    "LoadAudio LoadVideo"
)
_OUTPUTS = frozenset(("save", "preview", "output", "show", "display", "send"))
_EQUIPMENT = ("model", "clip", "vae", "image", "images")

_SIZES = (("width", "height"), ("empty_latent_width", "empty_latent_height"))
_PRESETS = word_set("preset presets ratio aspect resolution resolutions dimensions size sizes")
_NO_PRESETS = word_set("keep maintain preserve lock constrain swap method mode batch tile")
_PRESET = re.compile(r"\d+ *[:x×*/] *\d+|square|portrait|landscape|wide|\b\d{3,4}p\b", re.IGNORECASE)
_CUSTOM = re.compile(r"custom|manual|none|width x height|自定义", re.IGNORECASE)


_LONGEST_CLASS = 200  # characters of a class name that are looked at, and kept


class Unclear(Exception):
    """Why the effective inputs of a node are unknown; follows the node's title."""


@dataclass(frozen=True)
class Note:
    """The inputs that are left out of a node.

    Attributes:
        text: a sentence without its stop.
        of_size: whether it is the size alone.
    """

    text: str
    of_size: bool


def effective_graph(graph: Graph) -> tuple[Graph, dict[str, Note]]:
    """The nodes and inputs that take effect, and the inputs left out, by node id.

    The given graph is not changed; nodes that keep all inputs are the same objects.
    """
    notes: dict[str, Note] = {}
    sized: set[str] = set()
    effective: Graph = {}
    for node_id, node in graph.items():
        inputs, note = node["inputs"], ""
        try:
            chosen = _switched(graph, node)
            if chosen is not None:
                inputs = chosen
        except Unclear as unclear:
            inputs, note = {}, str(unclear)
        if _is_display(node):
            inputs = {name: value for name, value in inputs.items() if is_link(value)}
        preset = _preset(node["class_type"], inputs)
        if preset:
            inputs = {
                name: value for name, value in inputs.items() if not any(plain(name) in pair for pair in _SIZES)
            }
            note = f"takes its width and height from its {clip(preset)}, {describe(node['inputs'][preset])}"
            sized.add(node_id)
        effective[node_id] = node if inputs is node["inputs"] else {**node, "inputs": inputs}
        if note:
            text = f"node {clip(node_id)} ({clip(node['class_type'])}) {note}"
            notes[node_id] = Note(text, node_id in sized)
    return effective, notes


def dead_ends(graph: Graph) -> set[str]:
    """The nodes of an effective graph that nothing is made of: ComfyUI runs only what an output node needs."""
    needed = dict.fromkeys(graph, 0)
    for node in graph.values():
        for source in _sources(node, needed):
            needed[source] += 1
    ends = [node_id for node_id, count in needed.items() if not count]
    dead = [node_id for node_id in ends if graph[node_id]["class_type"] in _NO_OUTPUTS]
    left_out: set[str] = set()
    if len(dead) == len(ends):  # without an end of another kind, it is a part of a graph
        return left_out
    while dead:
        node_id = dead.pop()
        left_out.add(node_id)
        for source in _sources(graph[node_id], needed):
            needed[source] -= 1
            if not needed[source] and _OUTPUTS.isdisjoint(words(graph[source]["class_type"])):
                dead.append(source)
    return left_out


def _sources(node: dict[str, Any], known: Mapping[str, int]) -> list[str]:
    """The nodes that a node gets something from, once for each link."""
    return [str(value[0]) for value in node["inputs"].values() if is_link(value) and str(value[0]) in known]


# -- switches ------------------------------------------------------------------------------------------------------


def _switched(graph: Graph, node: dict[str, Any]) -> dict[str, Any] | None:
    """The inputs of a switch that take effect; None for a node that is not a switch."""
    inputs = node["inputs"]
    pair = _linked_pair(inputs) if any(name.lower() in _ALL_BRANCHES for name in inputs) else None
    if pair is not None:
        chosen = pair[0] if _truth(graph, inputs, pair) else pair[1]
        return {chosen: inputs[chosen]} if chosen in inputs else {}
    if not _is_switch(node["class_type"][:_LONGEST_CLASS]):
        return None
    members = _members(inputs)
    if len(members) < 2:
        return None
    selector = _selector(inputs, members)
    if selector is None and len(members) < len(inputs):
        return None  # it only sounds like a switch
    if selector is None:
        # such as Any Switch of rgthree: the first that is there
        first = next((name for name in members.values() if is_link(inputs[name])), None)
        return {first: inputs[first]} if first else None
    return _selected(inputs, members, selector, _literal(graph, inputs[selector]))


def _linked_pair(inputs: Inputs) -> tuple[str, str] | None:
    written = {name.lower(): name for name in inputs}
    pair = next(
        (pair for pair in _BRANCHES if any(is_link(inputs.get(written.get(name, ""))) for name in pair)), None
    )
    return (written.get(pair[0], ""), written.get(pair[1], "")) if pair else None


@lru_cache(maxsize=4096)
def _is_switch(class_type: str) -> bool:
    return _SWITCH.search(class_type) is not None


def _truth(graph: Graph, inputs: Inputs, pair: tuple[str, str]) -> bool:
    others = [name for name in inputs if name not in pair]
    values = [_literal(graph, inputs[name]) for name in others if _SELECTORS.intersection(words(plain(name)))]
    values = values or [_literal(graph, inputs[name]) for name in others]
    for value in values:
        truth = _as_truth(value)
        if truth is not None:
            return truth
    raise Unclear("chooses between two inputs by a value that is known only at run time")


def _as_truth(value: object) -> bool | None:
    if isinstance(value, (bool, int)):
        return bool(value)
    if isinstance(value, str) and value.lower() in _YES | _NO:
        return value.lower() in _YES
    return None


def _members(inputs: Inputs) -> dict[str, str]:
    """The inputs of a switch that one is chosen from, by number or letter, in their order: the longest such row."""
    rows: dict[str, dict[str, str]] = {}
    for name in inputs:
        found = _MEMBER.match(plain(name))
        if found:
            member = found[2] or found[3] or found[4]
            rows.setdefault(found[1].lower(), {})[member.lower()] = name
    linked = [row for row in rows.values() if any(is_link(inputs[name]) for name in row.values())]
    best = max(linked or rows.values(), key=len, default={})
    return dict(sorted(best.items(), key=lambda item: (len(item[0]), item[0])))


def _selector(inputs: Inputs, members: Mapping[str, str]) -> str | None:
    others = [name for name in inputs if name not in members.values() and isinstance(inputs[name], (int, str, list))]
    named = [name for name in others if _SELECTORS.intersection(words(plain(name)))]
    # "select" before "sel_mode" and the like; a number or a link before a text
    named.sort(key=lambda name: (isinstance(inputs[name], bool), isinstance(inputs[name], str)))
    return next(iter(named), None)


def _selected(inputs: Inputs, members: Mapping[str, str], selector: str, value: object) -> dict[str, Any]:
    chosen = None
    if isinstance(value, bool):
        # image_a and image_b, as WAS and easy-use have them; numbered ones differ from pack to pack
        if list(members) == ["a", "b"]:
            chosen = members["a" if value else "b"]
    elif value is None:
        pass
    elif isinstance(value, int):
        numbered = list(members)
        letters = not numbered[0].isdigit()
        if letters:
            chosen = members[numbered[value - 1]] if 0 < value <= len(numbered) else None
        else:
            chosen = members.get(str(value))
    elif isinstance(value, str):
        texts = {name.lower(): name for name in members.values()}
        chosen = texts.get(value.lower()) or members.get(value.lower())
    if chosen is None:
        raise Unclear(f"chooses one of several inputs by its {clip(selector)} in an unknown way")
    return {chosen: inputs[chosen]}


def _literal(graph: Graph, value: object) -> object:
    """A value, or that of the node behind a link, if that node holds just one."""
    for _ in range(8):
        if not is_link(value):
            return value
        node = graph.get(str(value[0]))  # type: ignore[index]
        inputs = node["inputs"] if node else {}
        if len(inputs) != 1:
            return None
        value = next(iter(inputs.values()))
    return None


# -- displays and presets ------------------------------------------------------------------------------------------


def _is_display(node: dict[str, Any]) -> bool:
    """Whether a node displays its linked input and passes it on."""
    if _DISPLAYS.isdisjoint(words(node["class_type"])):
        return False
    return any(is_link(value) for name, value in node["inputs"].items() if name not in _EQUIPMENT)


def _preset(class_type: str, inputs: Inputs) -> str | None:
    """The input that a node takes its size from although it has a width and a height, or makes latents."""
    has_size = any(width in inputs and height in inputs for width, height in _SIZES)
    within = {plain(name) for name in inputs if "." in name}
    has_size = has_size or any(width in within and height in within for width, height in _SIZES)
    if not has_size and not {"empty", "latent"} <= set(words(class_type)):
        return None
    for name, value in inputs.items():
        found = set(words(plain(name)))
        if "swap" in found and _as_truth(value):
            return name
        if not isinstance(value, str) or not _PRESETS & found or _NO_PRESETS & found:
            continue
        if _PRESET.search(value) and not _CUSTOM.search(value):
            return name
    return None

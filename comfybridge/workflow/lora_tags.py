"""LoRAs named in a prompt, as AUTOMATIC1111 writes them: `a cat <lora:ink:0.8>`.

Each tag is taken out of the text, and a loader for its LoRA is put behind the graph's model loaders, in the order of
the tags: before all that the graph does with the models, its own LoRAs included.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from comfybridge.errors import InvalidRequest
from comfybridge.workflow.filling import Filled, report
from comfybridge.workflow.graph import Graph, is_link
from comfybridge.workflow.loaders import ENDINGS
from comfybridge.workflow.parameters import Target
from comfybridge.workflow.wording import clip, listed

# The types of a class's outputs, by their slots; empty for a class that the server does not have.
TypesOf = Callable[[str], Sequence[str]]
# The LoRAs that the server has, asked for anew if the argument is true; None if it cannot load any.
Installed = Callable[[bool], "Sequence[str] | None"]

LOADER, MODEL_LOADER, NAME_INPUT = "LoraLoader", "LoraLoaderModelOnly", "lora_name"  # nodes.py
MODEL, CLIP = "MODEL", "CLIP"
# The types of outputs that hand on what the node gets: of reroutes and switches.
PASSED_ON = ("*", "COMFY_MATCHTYPE_V3")
MOST_PASSED = 20
STRONGEST = 100.0  # in both directions
MOST_TAGS = 50
HOW = "<lora:NAME:WEIGHT>"
_TAG = re.compile(r"<(?:lora|lyco):([^<>]*)>", re.IGNORECASE)
Source = tuple[str, int]


@dataclass(frozen=True)
class LoraTag:
    """A LoRA that a prompt names.

    Attributes:
        name: as the prompt has it.
        model, clip: the strengths for the model and for the text encoder.
    """

    name: str
    model: float = 1.0
    clip: float = 1.0


def without_tags(text: str) -> tuple[str, list[LoraTag]]:
    """A prompt without its tags, and the tags in their order.

    Raises:
        InvalidRequest: a tag is wrong; the message says how one is written.
    """
    tags = [_tag(match[0], match[1]) for match in _TAG.finditer(text)]
    return (_TAG.sub("", text).strip() if tags else text), tags


def load_tagged(filled: Filled, targets: Iterable[Target], installed: Installed, types_of: TypesOf) -> None:
    """Take the tags out of prompts, and load what they name.

    Args:
        targets: the inputs that hold the prompt. Those that hold the same text name each LoRA once.
        installed: returns the LoRAs that the server has.
        types_of: the types of the outputs of a node class.

    Raises:
        InvalidRequest: a tag is wrong, names no installed LoRA, or the graph has no model loader.
    """
    held = {target: filled.graph[target.node]["inputs"].get(target.input) for target in targets}
    texts = {text: without_tags(text) for text in dict.fromkeys(held.values()) if isinstance(text, str)}
    tags = [tag for _, found in texts.values() for tag in found]
    if not tags:
        return
    if len(tags) > MOST_TAGS:
        raise _refused(f"The prompt names {len(tags)} LoRAs; at most {MOST_TAGS} can be loaded.")
    chains = _chains(filled.graph, types_of)
    if not chains:
        raise _refused(
            f"The prompt has a LoRA ({clip(tags[0].name)}), but the graph has no loader of a model that one could be "
            "put behind."
        )
    _insert(filled.graph, chains, [(_installed(tag.name, installed), tag) for tag in tags])
    plain = {target: texts[text][0] for target, text in held.items() if isinstance(text, str) and texts[text][1]}
    for target, text in plain.items():
        filled.graph[target.node]["inputs"][target.input] = text
    report(filled, plain)


def _refused(message: str) -> InvalidRequest:
    return InvalidRequest(message, field="prompt")


# -- reading ---------------------------------------------------------------------------------------------------------


def _tag(whole: str, content: str) -> LoraTag:
    """A tag: `NAME`, `NAME:WEIGHT`, or `NAME:CLIP:MODEL`, the strengths also as `te=` and `unet=`."""
    name, *rest = (part.strip() for part in content.split(":"))
    named = dict(part.split("=", 1) for part in rest if "=" in part)
    numbers = [part for part in rest if "=" not in part]
    if not name or len(numbers) > 2 or not named.keys() <= {"te", "unet"}:
        raise _refused(f"{clip(whole)} in the prompt can't be read; a LoRA is named as {HOW}.")
    clip_strength = _strength(whole, named.get("te") or (numbers[0] if numbers else "1"))
    model_strength = named.get("unet") or (numbers[1] if len(numbers) > 1 else "")
    return LoraTag(name, _strength(whole, model_strength) if model_strength else clip_strength, clip_strength)


def _strength(whole: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not abs(number) <= STRONGEST:
        raise _refused(
            f"{clip(whole)} in the prompt has the weight {clip(text)!r}; a LoRA is named as {HOW}, with a number "
            f"from -{STRONGEST:g} to {STRONGEST:g}."
        )
    return number


# -- names -----------------------------------------------------------------------------------------------------------


def _installed(name: str, installed: Installed) -> str:
    """The installed LoRA that a name means: its file's, with or without folder and ending."""
    choices: Sequence[str] = ()
    for is_asked_anew in (False, True):
        known = installed(is_asked_anew)
        if known is None:
            raise _refused(f"The prompt names the LoRA {clip(name)}, but ComfyUI has no {LOADER} to load it.")
        choices = known
        fitting = next(filter(None, _fitting(name, choices)), [])
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            raise _refused(
                f"The LoRA {clip(name)} in the prompt may be any of {listed(fitting)}; name its folder too."
            )
    if not choices:
        raise _refused(f"The LoRA {clip(name)} in the prompt is not installed in ComfyUI, nor is any other.")
    near = listed([plain_name(each) for each in choices], plain_name(name))
    raise _refused(f"The LoRA {clip(name)} in the prompt is not installed in ComfyUI; installed are {near}.")


def plain_name(name: str) -> str:
    """The name by which a prompt calls a LoRA: that of its file, without folder and ending."""
    return _without_ending(name.replace("\\", "/").rpartition("/")[2])


def _fitting(name: str, choices: Sequence[str]) -> Iterator[list[str]]:
    """The LoRAs that fit a name, from the strictest reading of it to the laxest."""
    whole = _without_ending(name.replace("\\", "/"))
    paths = {each: _without_ending(each.replace("\\", "/")) for each in choices}
    yield [each for each in choices if each == name]
    yield [each for each in choices if paths[each] == whole]
    yield [each for each in choices if plain_name(each) == whole]
    yield [each for each in choices if paths[each].casefold() == whole.casefold()]
    yield [each for each in choices if plain_name(each).casefold() == whole.casefold()]


def _without_ending(name: str) -> str:
    ending = next((each for each in ENDINGS if name.lower().endswith(each)), "")
    return name[: len(name) - len(ending)]


# -- the graph -------------------------------------------------------------------------------------------------------


@dataclass
class _Chain:
    """Where loaders are put: behind an output with a model, and one with its text encoder, if there is one.

    Attributes:
        is_model_elsewhere: whether the model's users get it from another chain.
    """

    model: Source
    clip: Source | None
    is_model_elsewhere: bool = False


def _chains(graph: Graph, types_of: TypesOf) -> list[_Chain]:
    """A chain for each loaded model that is used, and for each text encoder beyond those.

    A model and a text encoder go together if they are of one node, and else by their order.
    """
    models, clips = (_loaded(graph, kind, types_of) for kind in (MODEL, CLIP))
    chains = [_Chain(model, next((clip for clip in clips if clip[0] == model[0]), None)) for model in models]
    left = [clip for clip in clips if all(chain.clip != clip for chain in chains)]
    for chain in chains:
        if chain.clip is None and left:
            chain.clip = left.pop(0)
    if models:
        chains += [_Chain(models[0], clip, is_model_elsewhere=True) for clip in left]
    return chains


def _loaded(graph: Graph, kind: str, types_of: TypesOf) -> list[Source]:
    """The outputs of a type that other nodes use, of nodes that get nothing of that type themselves."""
    used = dict.fromkeys(link for node in graph for link in _links(graph, node))
    return [
        source
        for source in used
        if _type(graph, source, types_of) == kind
        if all(_type(graph, link, types_of) != kind for link in _links(graph, source[0]))
    ]


def _links(graph: Graph, node: str) -> list[Source]:
    return [(str(value[0]), value[1]) for value in graph[node]["inputs"].values() if is_link(value)]


def _type(graph: Graph, source: Source, types_of: TypesOf, steps_left: int = MOST_PASSED) -> str:
    """The type of an output; empty if it is not known."""
    node, slot = source
    types = types_of(graph[node]["class_type"]) if node in graph else ()
    found = types[slot] if 0 <= slot < len(types) else ""
    if found in PASSED_ON and steps_left:
        behind = [_type(graph, link, types_of, steps_left - 1) for link in _links(graph, node)[:1]]
        return behind[0] if behind else ""
    return found


def _insert(graph: Graph, chains: Sequence[_Chain], loras: Sequence[tuple[str, LoraTag]]) -> None:
    instead: dict[Source, Source] = {}
    added: Graph = {}
    for chain in chains:
        model, clip_source = chain.model, chain.clip
        for name, tag in loras:
            node = _free(graph, added)
            inputs = {NAME_INPUT: name, "strength_model": tag.model, "model": list(model)}
            if clip_source is None:
                added[node] = {"class_type": MODEL_LOADER, "inputs": inputs}
            else:
                inputs.update(strength_clip=tag.clip, clip=list(clip_source))
                added[node] = {"class_type": LOADER, "inputs": inputs}
                clip_source = (node, 1)
            model = (node, 0)
        if not chain.is_model_elsewhere:
            instead[chain.model] = model
        if chain.clip is not None and clip_source is not None:
            instead[chain.clip] = clip_source
    for each in graph.values():
        for name, value in each["inputs"].items():
            if is_link(value) and (str(value[0]), value[1]) in instead:
                each["inputs"][name] = list(instead[str(value[0]), value[1]])
    graph.update(added)


def _free(graph: Graph, added: Graph) -> str:
    number = len(added) + 1
    while f"lora_{number}" in graph or f"lora_{number}" in added:
        number += 1
    return f"lora_{number}"

"""The role of a node's input or output, by its name."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal

Side = Literal["positive", "negative"]


def word_set(text: str) -> frozenset[str]:
    """The words of a text, as a set."""
    return frozenset(text.split())


_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_A-Za-z]+")
_SIDES: dict[str, Side] = {
    "positive": "positive",
    "positives": "positive",
    "pos": "positive",
    "negative": "negative",
    "negatives": "negative",
    "neg": "negative",
    "uncond": "negative",
    "unconditional": "negative",
}
_SHORT_SIDES: dict[str, Side] = {"a_prompt": "positive", "n_prompt": "negative"}  # of SUPIR
# words beside the side in the name of a text or a link
_BESIDE_SIDES = frozenset(("optional", "base", "text", "prompt"))
# the text inputs of ComfyUI's own encoders (nodes.py and comfy_extras/nodes_*.py) and of the usual packs
_ENCODED = word_set(
    "text text_g text_l clip_g clip_l t5xxl llama bert mt5xl qwen25_7b prompt user_prompt text_prompt "
    "wildcard_text populated_text prompt_text tags caption texts prompts positive_prompt "
    "text_positive question instruction"
)
_TEXT_WORDS = word_set("text texts string str value prompt prompts positive negative pos neg caption description")
# words that show that a text is not prose, or is an instruction to a language model
_NO_PROSE = word_set(
    "log print show debug save prefix file filename path name format type mode style system instructions "
    "delimiter separator select add seed strength weight scale language input styles template preset csv lora "
    "voice font model"
)
_BUNDLES = frozenset(["tuple", "pipe", "pipeline", "ctx", "context", "bundle", "bus"])
_MOST_WORDS = 12
_LONGEST = 200  # characters of a name


def words(name: str) -> tuple[str, ...]:
    """The words of a name, in lower case: `textPositive_2` has `text`, `positive` and `2`."""
    return _words(name[:_LONGEST])  # cut before it is kept: names come from callers, and may have megabytes


@lru_cache(maxsize=4096)
def _words(name: str) -> tuple[str, ...]:
    return tuple(word.lower() for word in _WORD.findall(name)[:_MOST_WORDS])


def plain(name: str) -> str:
    """The name of an input without the choice that it belongs to: `prompt` of `model.prompt`."""
    return name.rpartition(".")[2] or name


def side(name: str) -> Side | None:
    """The side of the sampler that a name speaks of, if it speaks of just one."""
    if name in _SHORT_SIDES:
        return _SHORT_SIDES[name]
    sides = {_SIDES[word] for word in words(name) if word in _SIDES}
    return sides.pop() if len(sides) == 1 else None


def is_encoded_text(name: str) -> bool:
    """Whether an encoder, or a node that makes pictures of words, calls its text so."""
    last = plain(name)
    if last.lower() in _ENCODED:
        return True
    found = words(last)
    return side(last) is not None and len(found) <= 3 and bool({"prompt", "text"} & set(found))


def is_text_of_row(name: str) -> bool:
    """Whether it is one of several texts that are shown or said one after another: `storyboard_1_prompt`, `text1`."""
    found = words(plain(name))
    is_one = any(word.isdecimal() for word in found) and is_prose(name)
    return is_one and not {"prompt", "text"}.isdisjoint(found) and side(plain(name)) is None


def is_side(name: str) -> bool:
    """Whether an input is called after its side and nothing else: `positive`, `optional_negative`."""
    return side(name) is not None and all(word in _SIDES or word in _BESIDE_SIDES for word in words(name))


def is_text(name: str) -> bool:
    """Whether a node that only hands texts on may call one so."""
    found = words(plain(name))
    return bool(_TEXT_WORDS.intersection(found)) and is_prose(name)


def is_prose(name: str) -> bool:
    """Whether an input is not called after a choice, a file or a setting."""
    return _NO_PROSE.isdisjoint(words(plain(name)))


def is_bundle(name: str) -> bool:
    """Whether a link of this name brings a bundle: a model, conditionings, a latent and settings in one."""
    found = words(name)
    return bool(_BUNDLES.intersection(found)) and "options" not in found

"""Replaces choices in prompts and patterns in the prefixes of file names, as ComfyUI's editor does before it queues a
graph. ComfyUI itself does not, but callers of an API expect the same.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Mapping
from datetime import datetime

from comfybridge.workflow.choices_in_text import choose, may_hold_choices
from comfybridge.workflow.file_name_patterns import fill_patterns
from comfybridge.workflow.filling import SYSTEM_RANDOM, Filled, report
from comfybridge.workflow.folders import PREFIX_INPUT
from comfybridge.workflow.graph import set_input
from comfybridge.workflow.parameters import Target

# returns whether the editor draws choices in an input, from the node's class and the input's name
TakesChoices = Callable[[str, str], bool]


def replace_as_editor(
    filled: Filled,
    takes_choices: TakesChoices,
    now: datetime,
    plain: Collection[Target] = (),
    names: Mapping[str, str] | None = None,
) -> None:
    """Replace what the editor would, and report each text that is used.

    The choice depends only on the text and the seed, so that the same request makes the same picture; without a seed
    it is random.

    Args:
        takes_choices: called only for inputs whose texts have something to replace.
        now: the time that file names tell.
        plain: the inputs whose texts the editor sends as they are.
        names: as `fill_patterns` takes them.
    """
    replaced = _choices(filled, takes_choices)
    for target in plain:
        replaced.pop(target, None)
    for target, text in replaced.items():
        set_input(filled.graph, target.node, target.input, text)
    for target, text in _prefixes(filled, now, names).items():
        if target in plain:
            continue
        set_input(filled.graph, target.node, target.input, text)
        replaced[target] = text
    report(filled, replaced)


def _choices(filled: Filled, takes_choices: TakesChoices) -> dict[Target, str]:
    replaced = {}
    for node_id, node in filled.graph.items():
        for name, value in node["inputs"].items():
            if isinstance(value, str) and may_hold_choices(value) and takes_choices(node["class_type"], name):
                # the same text in two nodes, such as one prompt for two encoders, gets the same choices
                draws = SYSTEM_RANDOM if filled.seed is None else random.Random(f"{filled.seed} {value}")
                text = choose(value, draws.random)
                if text != value:
                    replaced[Target(node_id, name)] = text
    return replaced


def _prefixes(filled: Filled, now: datetime, names: Mapping[str, str] | None) -> dict[Target, str]:
    replaced = {}
    for node_id, node in filled.graph.items():
        prefix = node["inputs"].get(PREFIX_INPUT)
        if isinstance(prefix, str) and "%" in prefix:
            text = fill_patterns(prefix, filled.graph, now, names)
            if text != prefix:
                replaced[Target(node_id, PREFIX_INPUT)] = text
    return replaced

"""What a template makes of the fields of other APIs: some have no meaning for it, others have another name.

    dialects:
      automatic1111: {ignore: [sampler_name, scheduler, negative_prompt], rename: {cfg_scale: guidance}}

The names of the fields are the dialect's own.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from comfybridge.errors import InvalidWorkflow
from comfybridge.settings import FIELD_DIALECTS
from comfybridge.workflow.wording import clip, describe, listed

KEY = "dialects"
SPELLINGS = {"a1111": "automatic1111"}


@dataclass(frozen=True)
class DialectRules:
    """How a template reads the requests of a dialect.

    Attributes:
        ignore: fields that have no effect.
        rename: the parameter that a field sets, by the field.
    """

    ignore: frozenset[str] = frozenset()
    rename: Mapping[str, str] = field(default_factory=dict)


def declared_rules(
    content: Mapping[Any, Any], where: str, parameters: Collection[str] | None
) -> dict[str, DialectRules]:
    """The rules that a parameter file declares, by dialect.

    Args:
        where: the file's name, for the message.
        parameters: the names of the template's parameters; None if they are not all known yet.

    Raises:
        InvalidWorkflow: one is wrong; the message says which and why.
    """
    entries = content.get(KEY)
    if entries is None:
        return {}
    if not isinstance(entries, dict):
        raise InvalidWorkflow(f"{where}: {KEY} is {describe(entries)}; it must be an object by dialect.")
    rules = {}
    for name, entry in entries.items():
        dialect = SPELLINGS.get(name, name) if isinstance(name, str) else None
        if dialect not in FIELD_DIALECTS:
            raise InvalidWorkflow(f"{where}: {KEY} has {describe(name)}; there is {listed(FIELD_DIALECTS, name)}.")
        if dialect in rules:
            raise InvalidWorkflow(f"{where}: {KEY} has {dialect} twice, as {', '.join(map(str, entries))}.")
        rules[dialect] = _rules(entry, f"{where}: {KEY}, {clip(name)}", parameters)
    return rules


def _rules(entry: Any, where: str, parameters: Collection[str] | None) -> DialectRules:
    if not isinstance(entry, dict):
        raise InvalidWorkflow(f"{where} is {describe(entry)}; it must be an object with ignore and rename.")
    unknown = next((key for key in entry if key not in ("ignore", "rename")), None)
    if unknown is not None:
        raise InvalidWorkflow(f"{where} has the key '{clip(unknown)}'; use ignore or rename.")
    ignore, rename = entry.get("ignore") or [], entry.get("rename") or {}
    if not isinstance(ignore, list) or not all(isinstance(each, str) for each in ignore):
        raise InvalidWorkflow(f"{where}: ignore must be a list of names of fields.")
    if not isinstance(rename, dict) or not all(isinstance(each, str) for pair in rename.items() for each in pair):
        raise InvalidWorkflow(f"{where}: rename must be an object of parameters by names of fields.")
    for name, parameter in rename.items():
        if parameters is not None and parameter not in parameters:
            raise InvalidWorkflow(
                f"{where}: rename leads {clip(name)} to {clip(parameter)}, which is not a parameter; "
                f"there is {listed(parameters, parameter)}."
            )
        if name in ignore:
            raise InvalidWorkflow(f"{where}: {clip(name)} is both renamed and ignored.")
    return DialectRules(frozenset(ignore), rename)

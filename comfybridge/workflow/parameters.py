"""The parameters of a workflow: their accepted values, and the inputs that they feed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from comfybridge.errors import InvalidRequest
from comfybridge.workflow.wording import clip, describe, describe_number, listed

# the lowest and the highest number; None if there is no limit
Limits = tuple["float | None", "float | None"]
Type = Literal["string", "integer", "number", "boolean", "image", "video", "audio"]
TYPES: tuple[Type, ...] = ("string", "integer", "number", "boolean", "image", "video", "audio")
FILES: tuple[Type, ...] = ("image", "video", "audio")
NUMERIC: tuple[Type, ...] = ("integer", "number")
SERVER_TYPES: dict[str, Type] = {"INT": "integer", "FLOAT": "number"}

# ComfyUI's own limits (nodes.py: KSampler, EmptyLatentImage; nodes_flux.py), for parameters that state none
LIMITS: dict[str, tuple[float, float]] = {
    "seed": (0, 2**64 - 1),
    "steps": (1, 10_000),
    "cfg": (0, 100),
    "guidance": (0, 100),
    "width": (16, 16_384),
    "height": (16, 16_384),
    "batch_size": (1, 4096),
    "denoise": (0, 1),
}
SEED_INPUTS = ("seed", "noise_seed")
ARTICLES = {"integer": "an integer", "number": "a number", "boolean": "true or false", "string": "a text"}


@dataclass(frozen=True)
class Target:
    """An input of a node that a parameter feeds."""

    node: str
    input: str


@dataclass(frozen=True)
class Parameter:
    """A value of a workflow that callers may choose.

    Attributes:
        name: what callers name it.
        targets: the inputs that it feeds, all with the same value.
        type: the type of its values; None if the bridge knows of no restriction.
        default: the value used if the caller gives none; None if unknown.
        min, max: the range of a number, both inclusive; ComfyUI's own limits if None.
        choices: the only values accepted, if it is one of a list.
        description: for people.
        beside: inputs that a seed feeds with the numbers that follow it: the seeds of further samplers if they differ
            from the first, one group for each value.
        required: whether callers must give it.
        bypass: an input of its node. While no value is given, the node is left out, and what it gets through this
            input goes to the nodes that use it. Empty for a node that always stays.
        is_type_guessed: whether the type is only presumed, so that the server knows better.
    """

    name: str
    targets: tuple[Target, ...]
    type: Type | None = None
    default: Any = None
    min: float | None = None
    max: float | None = None
    choices: tuple[Any, ...] | None = None
    description: str = ""
    beside: tuple[tuple[Target, ...], ...] = ()
    required: bool = False
    bypass: str = ""
    is_type_guessed: bool = False

    @property
    def all_targets(self) -> tuple[Target, ...]:
        """All inputs that it feeds, including those in `beside`."""
        return (*self.targets, *(target for group in self.beside for target in group))

    @property
    def wanted(self) -> str:
        """Its name and the value to give, for use in a sentence."""
        meaning = f" ({clip(self.description).rstrip('.')})" if self.description else ""
        if self.is_file:
            return f"{clip(self.name)}{meaning}: give the file in images, or its name in params"
        return f"{clip(self.name)}{meaning}: give {self._accepted()}"

    @property
    def is_file(self) -> bool:
        """Whether its values name files, which may come with a request."""
        return self.type in FILES

    @property
    def is_seed(self) -> bool:
        """Whether -1 or null draws a random value."""
        if self.type not in ("integer", None):
            return False
        return self.name == "seed" or all(target.input in SEED_INPUTS for target in self.targets)

    @property
    def range(self) -> tuple[float | None, float | None]:
        """The accepted minimum and maximum; None if there is no limit."""
        if self.type not in NUMERIC:
            return None, None
        low, high = LIMITS.get("seed" if self.is_seed else self.name, (None, None))
        low = low if self.min is None else self.min
        if self.is_seed:  # a file may have -1, which draws a random one and is never sent to ComfyUI
            low = max(0, low or 0)
        return low, high if self.max is None else self.max

    def within(self, low: float | None, high: float | None) -> Parameter:
        """The parameter with its range limited to that of the inputs that it feeds."""
        if (low is None and high is None) or self.type not in NUMERIC:
            return self
        own_low, own_high = self.range
        lowest = [each for each in (low, own_low) if each is not None]
        highest = [each for each in (high, own_high) if each is not None]
        return replace(self, min=max(lowest, default=None), max=min(highest, default=None))

    def of_kind(self, kind: object) -> Parameter:
        """The parameter with the type that the server gives its input, `INT` or `FLOAT`, if its own is a guess."""
        known = SERVER_TYPES.get(kind) if isinstance(kind, str) else None
        is_wrong = self.is_type_guessed and self.type in NUMERIC and not self.is_seed
        return replace(self, type=known) if is_wrong and known is not None else self

    def check(self, value: Any) -> Any:
        """Return the value in the form for ComfyUI.

        Raises:
            InvalidRequest: the value is not accepted; the message says what is.
        """
        checked = self._of_type(value)
        if self.choices is not None:
            chosen = offered(checked, self.choices)
            if chosen is None:
                near = value if isinstance(value, str) else ""
                raise self._refuse(value, f"one of {listed(self.choices, near)}")
            return chosen
        low, high = self.range
        if (low is not None and checked < low) or (high is not None and checked > high):
            raise self._refuse(value, self._accepted())
        return checked

    def schema(self, choices: Sequence[Any] | None = None) -> dict[str, Any]:
        """A JSON Schema of the value.

        Args:
            choices: the server's choices, if the parameter itself has no list.
        """
        accepted = self.choices if self.choices is not None else choices
        schema: dict[str, Any] = {}
        if self.type is not None:
            schema["type"] = "string" if self.is_file else self.type
        if self.is_file:
            schema["format"] = self.type
        if self.description:
            schema["description"] = self.description
        if self.is_seed:
            return self._seed_schema(schema)
        if accepted is not None:
            schema["enum"] = list(accepted)
        for key, limit in zip(("minimum", "maximum"), self.range, strict=True):
            if limit is not None and accepted is None:
                schema[key] = limit
        default = self.default if accepted is None else offered(self.default, accepted)
        if default is not None and not self.required:
            schema["default"] = default
        return schema

    def _seed_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        high = self.range[1]
        schema.update({"type": ["integer", "null"], "minimum": -1, "default": -1})
        return schema if high is None else {**schema, "maximum": high}

    def _of_type(self, value: Any) -> Any:
        if isinstance(value, float) and not math.isfinite(value):
            raise self._refuse(value, self._accepted())
        huge = isinstance(value, int) and value.bit_length() > 1024
        if huge or (self.type is None and not isinstance(value, (str, int, float))):
            raise self._refuse(value, self._accepted())
        if self.type is None:
            return value
        if self.type == "integer" and isinstance(value, float) and value.is_integer():
            return int(value)
        numbers_or_so = {"integer": int, "number": (int, float), "boolean": bool}
        kinds = numbers_or_so.get(self.type, str)
        wrong_bool = isinstance(value, bool) and self.type != "boolean"
        if not isinstance(value, kinds) or wrong_bool or (self.is_file and not value):  # type: ignore[arg-type]
            raise self._refuse(value, self._accepted())
        return value

    def _accepted(self) -> str:
        if self.is_file:
            return "the name of a file in ComfyUI's input folder"
        what = ARTICLES.get(self.type or "", "a text, a number, or true or false")
        low, high = self.range
        if low is not None and high is not None:
            what += f" from {describe_number(low)} to {describe_number(high)}"
        elif low is not None:
            what += f" of at least {describe_number(low)}"
        elif high is not None:
            what += f" of at most {describe_number(high)}"
        return f"{what} (or -1 or null for a random one)" if self.is_seed else what

    def _refuse(self, value: Any, accepted: str) -> InvalidRequest:
        return InvalidRequest(f"{self.name} is {describe(value)}; it must be {accepted}.", field=self.name)


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal, without Python's equality of true and 1."""
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def offered(wanted: Any, choices: Sequence[Any]) -> Any:
    """The wanted one of the choices, in their spelling: Windows writes `sub\\model` where others write `sub/model`.

    None if no choice matches.
    """
    if any(same(wanted, choice) for choice in choices):
        return wanted
    if not isinstance(wanted, str):
        return None
    plain = wanted.replace("\\", "/")
    return next((each for each in choices if isinstance(each, str) and each.replace("\\", "/") == plain), None)

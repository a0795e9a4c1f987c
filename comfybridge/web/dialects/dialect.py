"""What the application must know about a dialect, an API that the bridge speaks."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Blueprint

from comfybridge.web.access.key_places import USUAL, KeyPlace
from comfybridge.web.errors import ErrorShape, answer_errors

EXTENSION = "comfybridge.dialects"


@dataclass(frozen=True)
class Dialect:
    """An API, with the form of its errors.

    Attributes:
        blueprint: its routes; its name is the dialect's name.
        errors: how it writes an error.
        key_places: where its callers put their API keys.
    """

    blueprint: Blueprint
    errors: ErrorShape
    key_places: tuple[KeyPlace, ...] = USUAL

    def __post_init__(self) -> None:
        answer_errors(self.blueprint, self.errors)


@dataclass(frozen=True)
class Dialects:
    """All dialects of an application. The bridge's own is the first, and the default."""

    all: tuple[Dialect, ...]

    @property
    def own(self) -> Dialect:
        """The bridge's own."""
        return self.all[0]

    def of(self, blueprint: str) -> Dialect:
        """The dialect of a blueprint's routes."""
        return next((each for each in self.all if each.blueprint.name == blueprint), self.own)

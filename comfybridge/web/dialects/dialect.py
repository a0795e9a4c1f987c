"""What the application must know about a dialect, an API that the bridge speaks."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Blueprint, Request

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
        paths: the beginnings of its addresses, such as `/v1/`. Errors below them have its form even if no route
            matches.
    """

    blueprint: Blueprint
    errors: ErrorShape
    key_places: tuple[KeyPlace, ...] = USUAL
    paths: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        answer_errors(self.blueprint, lambda: self.errors)

    @property
    def name(self) -> str:
        """Its name."""
        return self.blueprint.name


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
        return next((each for each in self.all if each.name == blueprint), self.own)

    def at(self, path: str) -> Dialect:
        """The dialect of an address, whether or not there is anything."""
        inside = f"{path}/"
        return next((each for each in self.all if inside.startswith(each.paths)), self.own)

    def of_request(self, request: Request) -> Dialect:
        """The dialect that a request speaks: that of its route, or of its address if no route matched."""
        return self.at(request.path) if request.url_rule is None else self.of(request.blueprint or "")

"""The file beside a template's graph."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class ParameterFile:
    """What a template's owner says of its parameters.

    Attributes:
        name: with its ending, which says how it is written.
        content: as JSON or YAML gives it.
    """

    name: str
    content: Any = field(repr=False)

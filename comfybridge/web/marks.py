"""What the door and the log have to know of a view, said beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

_ATTRIBUTE = "comfybridge_marks"

View = TypeVar("View", bound=Callable[..., Any])


@dataclass(frozen=True)
class Marks:
    """How requests for a view are treated.

    Attributes:
        is_open: whether every caller is admitted, whatever host or page the request names.
        needs_key: whether it takes an API key, where keys are set.
        is_quiet: whether the log has only those that fail.
    """

    is_open: bool = False
    needs_key: bool = True
    is_quiet: bool = False


UNMARKED = Marks()


def marked(*, is_open: bool = False, needs_key: bool = True, is_quiet: bool = False) -> Callable[[View], View]:
    """Mark a view; one without marks is treated as `Marks()` says. Arguments as there."""
    marks = Marks(is_open, needs_key and not is_open, is_quiet)

    def decorate(view: View) -> View:
        setattr(view, _ATTRIBUTE, marks)
        return view

    return decorate


def marks_of(view: Callable[..., Any] | None) -> Marks:
    """The marks of a view; those of one without any for None, which stands for an unknown address."""
    marks = getattr(view, _ATTRIBUTE, UNMARKED)
    assert isinstance(marks, Marks)
    return marks

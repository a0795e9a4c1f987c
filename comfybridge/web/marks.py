"""Marks views for the door and the log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

_ATTRIBUTE = "comfybridge_marks"
UPLOAD = "comfybridge.upload"  # in the environment of an admitted request that may have as many bytes as an asset

View = TypeVar("View", bound=Callable[..., Any])


@dataclass(frozen=True)
class Marks:
    """How requests for a view are treated.

    Attributes:
        is_open: whether every caller is admitted, whatever host or page the request names.
        needs_key: whether it requires an API key, if keys are set.
        is_quiet: whether only failed requests are logged.
        takes_upload: whether its body may have as many bytes as an asset.
    """

    is_open: bool = False
    needs_key: bool = True
    is_quiet: bool = False
    takes_upload: bool = False


UNMARKED = Marks()


def marked(
    *, is_open: bool = False, needs_key: bool = True, is_quiet: bool = False, takes_upload: bool = False
) -> Callable[[View], View]:
    """Mark a view; the arguments are those of `Marks`, whose defaults apply to views without marks."""
    marks = Marks(is_open, needs_key and not is_open, is_quiet, takes_upload)

    def decorate(view: View) -> View:
        setattr(view, _ATTRIBUTE, marks)
        return view

    return decorate


def marks_of(view: Callable[..., Any] | None) -> Marks:
    """The marks of a view; the defaults for None, which stands for an unknown address."""
    marks = getattr(view, _ATTRIBUTE, UNMARKED)
    assert isinstance(marks, Marks)
    return marks

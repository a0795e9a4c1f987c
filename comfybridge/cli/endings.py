"""The check, before a workflow runs, that it can make a file with the ending that `-o` names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from comfybridge.cli.exit_codes import USAGE
from comfybridge.cli.placing import CommandFailed
from comfybridge.errors import BridgeError
from comfybridge.media import is_known_ending, is_same_ending, named_ending

# The formats that pictures can be converted to, by ending.
FORMATS = {"png": "png", "jpg": "jpeg", "jpeg": "jpeg", "jpe": "jpeg", "jfif": "jpeg", "webp": "webp"}
USUAL_FORMATS = {"png", "jpg", "jpeg", "webp"}  # the endings that messages mention


def check_ending(
    output: str, graph: Mapping[str, Any] | None, workflow: str | None, endings: Callable[[], list[str] | None]
) -> None:
    """Refuse an ending of `-o` that the workflow cannot make; other faults are reported later.

    Args:
        workflow: the template's name, where it is known.
        endings: gives the endings of what the workflow makes.

    Raises:
        CommandFailed
    """
    try:
        made = endings()
    except (BridgeError, CommandFailed):
        return
    _check(output, made, "the graph" if graph is not None else f"the workflow {workflow or ''}".rstrip())


def _check(name: str, made: Sequence[str] | None, maker: str) -> None:
    """Refuse an ending that a workflow cannot make, or that is unknown.

    A name without an ending passes, and so does one such as `cat.v2`.

    Args:
        made: the endings, without a dot, of what the workflow can make; None if that is not known.
        maker: the workflow, in words.

    Raises:
        CommandFailed
    """
    wanted = named_ending(Path(name).name)
    if not wanted:
        return
    suffix = name[-len(wanted) - 1 :]  # as it is written
    if made is None:
        if not is_known_ending(wanted):
            raise CommandFailed(
                f"-o {name}: {suffix} is not a known ending; pictures can be saved as {_listed(USUAL_FORMATS)}, and "
                f"other outputs of {maker} under their own endings, such as .mp4, .flac, .glb or .txt.",
                USAGE,
            )
        return
    converted = not FORMATS.keys().isdisjoint(made)
    if any(is_same_ending(wanted, each) for each in made) or (converted and wanted in FORMATS):
        return
    endings = _listed({*made, *(USUAL_FORMATS if converted else ())})
    raise CommandFailed(f"-o {name}: {maker} makes no {suffix} file; it can be saved as {endings}.", USAGE)


def _listed(endings: Iterable[str]) -> str:
    return ", ".join(f".{each}" for each in sorted(endings))

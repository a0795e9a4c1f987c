"""Pages of jobs, the newest first."""

from __future__ import annotations

import base64
import binascii
import heapq
import json
import math
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass

from comfybridge.errors import InvalidRequest
from comfybridge.jobs.board import Board
from comfybridge.jobs.states import State

Place = tuple[float, str]  # of a job in the list: when it was created, and its id


@dataclass(frozen=True)
class Page:
    """Some jobs.

    Attributes:
        next_cursor: stands for the jobs after these; None if there are none.
    """

    states: list[State]
    next_cursor: str | None


@dataclass(frozen=True)
class _Listed:
    place: Place
    status: str
    labels: Mapping[str, str]


def page_of(
    board: Board,
    find: Callable[[str], State | None],
    owner: str | None,
    *,
    status: Collection[str],
    labels: Collection[tuple[str, str]],
    cursor: str | None,
    limit: int,
) -> Page:
    """A page of an owner's kept jobs.

    Args:
        find: returns a job by its id.
        owner: None: everybody's.
        status: only jobs of one of these; none given: of any.
        labels: names and values, all of which a job must have.
        cursor: `next_cursor` of the page before.

    Raises:
        InvalidRequest: the cursor is none.
        EngineUnreachable
    """
    wanted = set(labels)
    after = None if cursor is None else place_in(cursor)
    states: list[State] = []
    last: Place | None = None
    for each in heapq.merge(_open(board, owner), _past(board, owner), key=lambda each: _newest_first(each.place)):
        if after is not None and _newest_first(each.place) <= _newest_first(after):
            continue
        if (status and each.status not in status) or not wanted <= each.labels.items():
            continue
        if len(states) == limit and last is not None:
            return Page(states, _cursor_of(last))
        state = find(each.place[1])
        if state is not None:  # otherwise its time was up just now
            states.append(state)
            last = each.place
    return Page(states, None)


def _open(board: Board, owner: str | None) -> Iterator[_Listed]:
    entries = [each for each in board.open() if each.job.kind == "kept" and owner in (None, each.job.owner)]
    for each in sorted(entries, key=lambda each: _newest_first((each.job.created, each.job.id))):
        job = each.job
        status = "cancelling" if each.is_cancelled else "running" if each.is_running else "queued"
        yield _Listed((job.created, job.id), status, job.labels)


def _past(board: Board, owner: str | None) -> Iterator[_Listed]:
    for each in board.past(owner):
        yield _Listed((each.created, each.id), each.status, each.labels)


def _newest_first(place: Place) -> tuple[float, str]:
    return -place[0], place[1]


def _cursor_of(place: Place) -> str:
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode("ascii").rstrip("=")


def place_in(cursor: str) -> Place:
    """The place that a cursor says.

    Raises:
        InvalidRequest: it is none.
    """
    try:
        told = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
        created, job_id = told if isinstance(told, list) else (math.nan, "")
        place = float(created), str(job_id)
    except (binascii.Error, ValueError, TypeError, OverflowError, RecursionError):
        place = math.nan, ""
    if not math.isfinite(place[0]):
        raise InvalidRequest("cursor is not one; next_cursor of the page before is.", field="cursor")
    return place

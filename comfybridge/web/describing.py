"""Describes, beside a view, what the operation takes and answers; `openapi.py` makes the document from it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar

from comfybridge.errors import BridgeError, Forbidden, InternalError, InvalidRequest, Unauthorized
from comfybridge.web.marks import Marks

# The content of an answer that is a file.
BYTES: Final = "bytes"

# The errors of the door (`access/door.py`): a malformed host, no key, a foreign page.
REFUSALS = (InvalidRequest, Unauthorized, Forbidden)

_VARIABLE = re.compile(r"<(?:[^:<>]+:)?([^<>]+)>")
_ATTRIBUTE = "comfybridge_operation"

View = TypeVar("View", bound=Callable[..., Any])


@dataclass(frozen=True)
class EventTypes:
    """The content of an answer that is a stream of server-sent events.

    Attributes:
        types: of the JSON in their data, by event name, in order of arrival.
        says: a description.
    """

    types: Mapping[str, Any]
    says: str


@dataclass(frozen=True)
class Answer:
    """One way in which an operation answers.

    Attributes:
        says: its meaning.
        content: by media type, the type of its JSON, or BYTES, or EventTypes.
        headers: what each notable header holds.
        needs_jobs: whether only a bridge that has jobs answers so.
    """

    says: str
    content: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)
    needs_jobs: bool = False


@dataclass(frozen=True)
class Variable:
    """A parameter outside the body: a part of the path or of the query, or a header.

    Attributes:
        means: its purpose.
        type: of its value.
        default: None if it is required, or has none.
        is_optional: whether it need not be given although it has no default.
        needs_jobs: whether only a bridge that has jobs reads it.
    """

    means: str
    type: Any = str
    default: Any = None
    is_optional: bool = False
    needs_jobs: bool = False


@dataclass(frozen=True)
class Operation:
    """What one view takes and answers.

    Attributes:
        tag: the group that it belongs to.
        answers: by HTTP status, the answers that are not errors.
        raises: the errors that it may answer with.
        path: the variables of its path.
        query: those of its query.
        headers: the headers that it reads, except those that all operations read.
        body: by media type, the type of the body.
        examples: bodies, by media type and by description.
        hooks: by name, the types of what it later sends to a URL that the caller has given.
    """

    tag: str
    answers: Mapping[int, Answer]
    raises: tuple[type[BridgeError], ...] = ()
    path: Mapping[str, Variable] = field(default_factory=dict)
    query: Mapping[str, Variable] = field(default_factory=dict)
    headers: Mapping[str, Variable] = field(default_factory=dict)
    body: Mapping[str, Any] = field(default_factory=dict)
    examples: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    hooks: Mapping[str, Any] = field(default_factory=dict)

    def without_jobs(self) -> Operation:
        """The same of a bridge that has no jobs."""
        return replace(
            self,
            answers={status: each for status, each in self.answers.items() if not each.needs_jobs},
            headers={name: each for name, each in self.headers.items() if not each.needs_jobs},
        )

    def errors(self, marks: Marks) -> tuple[type[BridgeError], ...]:
        """The errors that it may return, including those of bugs and of refused access.

        Args:
            marks: those of its view.
        """
        return (*self.raises, *(() if marks.is_open else REFUSALS), InternalError)


def describes(
    *,
    tag: str,
    answers: Mapping[int, Answer] | Answer,
    raises: tuple[type[BridgeError], ...] = (),
    path: Mapping[str, Variable] | None = None,
    query: Mapping[str, Variable] | None = None,
    headers: Mapping[str, Variable] | None = None,
    body: Mapping[str, Any] | None = None,
    examples: Mapping[str, Mapping[str, Any]] | None = None,
    hooks: Mapping[str, Any] | None = None,
) -> Callable[[View], View]:
    """Describe a view; its docstring says what it does. A single answer is one of status 200."""
    by_status = {200: answers} if isinstance(answers, Answer) else answers
    operation = Operation(
        tag, by_status, raises, path or {}, query or {}, headers or {}, body or {}, examples or {}, hooks or {}
    )

    def decorate(view: View) -> View:
        setattr(view, _ATTRIBUTE, operation)
        return view

    return decorate


def operation_of(view: Callable[..., Any]) -> Operation | None:
    """What a view takes and answers, if it is described."""
    operation = getattr(view, _ATTRIBUTE, None)
    assert operation is None or isinstance(operation, Operation)
    return operation


def readable_path(rule: str, mark: Callable[[str], str]) -> str:
    """A Flask rule with its variables in braces, as in `/results/{prompt_id}`."""
    return _VARIABLE.sub(lambda match: mark(match[1]), rule)


def json_answer(says: str, body: Any) -> Answer:
    """An answer that is always JSON."""
    return Answer(says, {"application/json": body})

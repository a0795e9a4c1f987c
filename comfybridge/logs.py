"""The format of the log: one line for each message, as JSON for programs or as text for people.

No message can break a line or imitate another one. Unless prompts may be logged, tracebacks omit the messages of
exceptions, which may quote a request.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from datetime import datetime, timezone
from typing import Any, Literal

Format = Literal["json", "text"]

MOST_EXCEPTIONS = 5  # exceptions in a chain

_encode = json.JSONEncoder(separators=(",", ":"), default=str).encode


class Facts(dict[str, Any]):
    """A message that consists of named values: the fields of a JSON line, or a list of them in a line of text."""

    def __str__(self) -> str:
        return ", ".join(f"{name} {value}" for name, value in self.items() if value is not None)


def configure(format: Format | None, *, quotes: bool) -> logging.Formatter:
    """Log to standard error, unless logging has been configured already.

    Args:
        format: None: text on a terminal, JSON elsewhere.
        quotes: whether words from requests may be logged.

    Returns:
        The formatter, for loggers that have a handler of their own.
    """
    if format is None:
        format = "text" if sys.stderr.isatty() else "json"
    formatter = JsonFormatter(quotes=quotes) if format == "json" else TextFormatter(quotes=quotes)
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    return formatter


class _Formatter(logging.Formatter):
    """The base of both formats.

    Args:
        quotes: whether words from requests may be logged.
    """

    def __init__(self, format: str | None = None, *, quotes: bool) -> None:
        super().__init__(format)
        self._quotes = quotes

    def formatException(self, ei: Any) -> str:  # noqa: N802
        return super().formatException(ei) if self._quotes else _without_words(ei[1])


class JsonFormatter(_Formatter):
    """`{"time", "level", "logger", "message", "traceback"?}`, or the facts instead of logger and message."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
        }
        if isinstance(record.msg, Facts):
            line.update(record.msg)
        else:
            line["logger"] = record.name
            line["message"] = record.getMessage()
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return _encode(line)


class TextFormatter(_Formatter):
    """`TIME LEVEL MESSAGE`, with a traceback on separate lines."""

    def __init__(self, *, quotes: bool) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s", quotes=quotes)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        if not record.message.isprintable():
            record.message = printable(record.message)
        return super().formatMessage(record)


def printable(text: str) -> str:
    """The text on one line, with control characters escaped."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode("ascii") for each in text)


def _without_words(error: BaseException | None) -> str:
    """The tracebacks of an exception and its causes, with their types only."""
    parts: list[str] = []
    while error is not None and len(parts) < MOST_EXCEPTIONS:
        frames = "".join(traceback.format_tb(error.__traceback__))
        parts.append(f"Traceback (most recent call last):\n{frames}{type(error).__qualname__}")
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\n\n".join(reversed(parts))

"""The asynchronous client, used as the synchronous one is, so that one test runs with both."""

from __future__ import annotations

import asyncio
import copy
import inspect
from collections.abc import AsyncIterator, Iterator
from typing import Any


class Blocking:
    """An object of the client; what it gives is awaited."""

    def __init__(self, inner: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._inner = inner
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        return self._blocking(getattr(self._inner, name))

    def __enter__(self) -> Blocking:
        self._loop.run_until_complete(self._inner.__aenter__())
        return self

    def __exit__(self, *error: object) -> None:
        self._loop.run_until_complete(self._inner.__aexit__(*error))

    def __repr__(self) -> str:
        return repr(self._inner)

    def _blocking(self, value: Any) -> Any:
        if inspect.ismethod(value):
            return lambda *given, **named: self._blocking(
                value(*map(_plain, given), **{name: _plain(each) for name, each in named.items()})
            )
        if inspect.iscoroutine(value):
            return self._blocking(self._loop.run_until_complete(value))
        if hasattr(value, "__aiter__"):
            return self._iterate(value)
        if isinstance(value, list):
            return [self._blocking(each) for each in value]
        if hasattr(value, "output"):  # an event that brings an output
            value.output = self._blocking(value.output)
        return Blocking(value, self._loop) if type(value).__name__.startswith("Async") else value

    def _iterate(self, values: AsyncIterator[Any]) -> Iterator[Any]:
        try:
            while True:
                yield self._blocking(self._loop.run_until_complete(values.__anext__()))
        except StopAsyncIteration:
            return
        finally:
            self._loop.run_until_complete(values.aclose())  # type: ignore[attr-defined]


def _plain(value: Any) -> Any:
    """What the asynchronous client itself would be given."""
    if isinstance(value, Blocking):
        return value._inner
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(getattr(value, "json", None), dict):  # a workflow
        value = copy.copy(value)
        value.json = _plain(value.json)
    return value

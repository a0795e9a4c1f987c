"""Stored files are read through interruptions of the engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest

from comfybridge.comfyui.servers import Servers
from comfybridge.deadline import Deadline
from comfybridge.engine.engine import Engine
from comfybridge.errors import EngineUnreachable
from comfybridge.files.stored import InEngine
from comfybridge.jobs.stored_files import opener

CHUNKS = [b"abc", b"def", b"gh"]


class Interrupted:
    """An engine that is away after each chunk."""

    def read_blob(self, job_id: str, name: str, begin: int = 0) -> Iterator[bytes]:
        assert (job_id, name) == ("asset", "in-0")
        rest = b"".join(CHUNKS)[begin:]
        if rest:
            yield rest[:3]
            raise EngineUnreachable("It is away.")


def persist(call: Callable[[], bytes | None]) -> bytes | None:
    while True:
        try:
            return call()
        except EngineUnreachable:
            pass


def open_with(persist: Any) -> bytes:
    no_servers, place = cast(Servers, None), InEngine("asset", "in-0")
    open_place = opener(cast(Engine, Interrupted()), no_servers, Deadline(9), persist, lambda _: None)
    return b"".join(open_place(place))


def test_no_byte_is_lost_or_comes_twice() -> None:
    assert open_with(persist) == b"abcdefgh"


def test_an_engine_that_stays_away_is_said_so() -> None:
    with pytest.raises(EngineUnreachable):
        open_with(lambda call: call())

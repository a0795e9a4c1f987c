"""A JSON answer that takes long to make, and keeps its caller awake: the SDKs give up after 30 s of silence.

It begins once it has become likely that it will be a good one. If it then is not, the connection is cut.
"""

from __future__ import annotations

import errno
import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from typing import TypeVar

from flask import Response, g

from comfybridge.errors import BridgeError

log = logging.getLogger(__name__)

QUIET_SECONDS = 5.0
LEAST_SECONDS = 1.0  # for errors to be told in their own words, where most of the time went before

T = TypeVar("T")


def awake(
    make: Callable[[], T], render: Callable[[T], Response], write: Callable[[T], bytes], status: int
) -> Response:
    """An answer; if it takes long, with a space before its JSON every few seconds.

    Args:
        make: makes what it tells, in a thread of its own. It goes on if the caller hangs up.
        render: the whole answer, if it did not take long; called in the context of the request.
        write: its JSON otherwise.
        status: its status otherwise.

    Raises:
        Exception: what `make` raises before the answer has begun.
    """
    made: Future[T] = Future()

    def run() -> None:
        try:
            made.set_result(make())
        except BaseException as error:
            made.set_exception(error)

    threading.Thread(target=run, name="long answer", daemon=True).start()
    try:
        return render(made.result(max(LEAST_SECONDS, QUIET_SECONDS - (time.monotonic() - g.started))))
    except FutureTimeout:
        if made.done():  # it is what `make` has raised
            raise
    return Response(_pieces(made, write), status=status, content_type="application/json")


def _pieces(made: Future[T], write: Callable[[T], bytes]) -> Iterator[bytes]:
    while True:
        yield b" "
        try:
            yield write(made.result(QUIET_SECONDS))
            return
        except FutureTimeout:
            continue
        except BridgeError as error:
            log.warning("An answer that had begun cannot be completed: %s", error.message)
            raise ConnectionResetError(errno.ECONNRESET, "the answer cannot be completed") from error

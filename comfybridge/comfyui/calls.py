"""Calls ComfyUI over HTTP, and turns its failures into the bridge's errors.

Every call has a connect and a read timeout, and ends by its deadline. Failures are the bridge's own errors:
`ComfyUIUnreachable` if nothing answers, its subclass `ComfyUISilent` if the server accepts the call but does not
answer, `ComfyUIError` if the answer makes no sense, and `TimedOut` if the deadline passed.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from comfybridge.address import ServerAddress
from comfybridge.comfyui.failures import (
    CallFailed,
    CutOff,
    MakesNoSense,
    NoAnswerInTime,
    NoConnectionInTime,
    NotConnected,
    TooLong,
)
from comfybridge.comfyui.strangers import ITSELF, NotComfyUI, check_is_comfyui, check_status
from comfybridge.comfyui.transport import Answer, Transport
from comfybridge.deadline import Deadline
from comfybridge.errors import ComfyUIError, ComfyUIUnreachable, TimedOut
from comfybridge.json_size import MOST_VALUES_OF_COMFYUI, holds_too_much

RETRY_AFTER = 5


class Size(NamedTuple):
    """The limits of a JSON answer, which is held in memory as a whole; a value takes some 100 bytes."""

    bytes: int
    values: int


# Histories can contain images as text; the queue contains every waiting graph with its workflow: thousands of some
# 100 KB each.
LARGEST_ANSWER = Size(128 * 1024 * 1024, MOST_VALUES_OF_COMFYUI)
LARGEST_QUEUE = Size(512 * 1024 * 1024, 20 * MOST_VALUES_OF_COMFYUI)


class ComfyUISilent(ComfyUIUnreachable):
    """ComfyUI accepted the call but did not answer in time: it may be busy, suspended, or disconnected."""


class ComfyUINotReached(ComfyUIUnreachable):
    """No connection was made, so nothing was sent."""


class Calls:
    """HTTP calls to one server, over one pool of kept-alive connections. Safe to share between threads.

    Args:
        address: its URL, and the headers of every call.
        connect_timeout: seconds to make a connection.
        read_timeout: seconds that the server may be silent within a call.
        pool_size: connections that are kept alive.
        transport: how calls get there; over HTTP if not given.

    Attributes:
        route: how connections are made.
    """

    def __init__(
        self,
        address: ServerAddress,
        *,
        connect_timeout: float = 5,
        read_timeout: float = 30,
        pool_size: int = 256,
        transport: Transport | None = None,
    ) -> None:
        self.address = address
        self.connect_timeout = connect_timeout
        self.read_timeout = read_timeout
        self._transport = Transport(address, pool_size) if transport is None else transport
        self.route = self._transport.route

    def close(self) -> None:
        """Close the pooled connections."""
        self._transport.close()

    def get_json(self, path: str, deadline: Deadline | None, largest: Size | None = None) -> Mapping[str, Any]:
        """The JSON object that a GET returns."""
        with self.call("GET", path, deadline) as answer:
            self.check_status(answer)
            return json_object(answer, largest)

    def post(self, path: str, body: Mapping[str, Any], deadline: Deadline | None) -> None:
        """Make a POST request, and check nothing but its status."""
        with self.call("POST", path, deadline, body=body) as answer:
            self.check_status(answer)

    @contextlib.contextmanager
    def call(self, method: str, path: str, deadline: Deadline | None, **options: Any) -> Iterator[Answer]:
        """The answer to a call, for use in a `with` that turns transport failures into errors.

        Args:
            options: as `Transport.send` takes them.
        """
        what = f"{method} /{path.split('/')[1]}"
        if deadline is not None and deadline.passed:
            raise TimedOut(f"The time was up before ComfyUI could be asked ({what}).")
        timeout = (self.connect_timeout, self.read_timeout)
        try:
            with self._transport.send(method, path, timeout, deadline=deadline, **options) as answer:
                yield answer
        except NotComfyUI as error:
            raise ComfyUIError(
                f"What answers at COMFYUI_URL ({self.address.url}) is not ComfyUI but {error}."
            ) from None
        except NoConnectionInTime as error:
            raise self._too_late(deadline, what, ComfyUINotReached, str(error)) from None
        except NotConnected as error:
            raise self._unreachable(ComfyUINotReached, str(error)) from None
        except NoAnswerInTime as error:
            raise self._too_late(deadline, what, ComfyUISilent, f"{error} {what}") from None
        except TooLong as error:
            raise ComfyUIError(f"ComfyUI {error} to {what}, more than the bridge accepts.") from None
        except MakesNoSense as error:
            raise ComfyUIError(f"ComfyUI, or a proxy in front of it, {error} to {what}.") from None
        except CutOff:
            raise ComfyUIError(f"ComfyUI's answer to {what} was cut off in the middle.") from None
        except CallFailed as error:
            raise self._unreachable(ComfyUIUnreachable, str(error)) from None

    def check_status(self, answer: Answer) -> None:
        """Refuse an answer that is not HTTP 200, within the `with` of its call."""
        proxy = self.route.proxy if self.route.is_proxied_plainly else None
        check_status(answer, has_credentials=bool(self.address.headers), proxy=str(proxy) if proxy else None)

    def _too_late(
        self, deadline: Deadline | None, what: str, kind: type[ComfyUIUnreachable], why: str
    ) -> TimedOut | ComfyUIUnreachable:
        if deadline is not None and deadline.passed:
            return TimedOut(f"The time was up while ComfyUI was being asked ({what}).")
        return self._unreachable(kind, why)

    def _unreachable(self, kind: type[ComfyUIUnreachable], why: str) -> ComfyUIUnreachable:
        return kind(f"ComfyUI at {self.address.url} {why}.", retry_after=RETRY_AFTER)


def json_object(answer: Answer, largest: Size | None = None) -> dict[str, Any]:
    """The JSON object in an answer; call it within the `with` of the call.

    Raises:
        ComfyUIError: it is not one.
        CallFailed: it does not arrive, is larger than `largest` (None: the usual limit), or is not ComfyUI's.
    """
    said = _json(answer, largest)
    if not isinstance(said, dict):
        raise _nonsense(answer, "a JSON object")
    return said


def json_texts(answer: Answer) -> list[str]:
    """The JSON list of texts in an answer; raises what `json_object` raises."""
    said = _json(answer, None)
    if not isinstance(said, list) or not all(isinstance(each, str) for each in said):
        raise _nonsense(answer, "a JSON list of texts")
    return said


def read_json(answer: Answer, largest: Size) -> bytes:
    """The body of an answer, which may be parsed as JSON.

    Raises:
        CallFailed: it does not arrive, or is larger than `largest`.
    """
    data = answer.read(largest.bytes)
    if holds_too_much(data, largest.values):
        raise TooLong(f"answers with more than {largest.values} values")
    return data


def _json(answer: Answer, largest: Size | None) -> object:
    data = read_json(answer, largest or LARGEST_ANSWER)
    with contextlib.suppress(ValueError, RecursionError):
        return json.loads(data.decode())  # of bytes, it would guess the encoding
    check_is_comfyui(answer, data)
    return None


def _nonsense(answer: Answer, wanted: str) -> ComfyUIError:
    return ComfyUIError(f"ComfyUI's answer to {answer.method} {answer.path} is not {wanted}; {ITSELF}.")

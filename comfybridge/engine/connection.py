"""One connection to the engine, until it is lost. The only file that knows nats-py."""

from __future__ import annotations

import abc
import asyncio
import contextlib
import json
import logging
import re
import ssl
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import nats.aio.client
import nats.errors
from nats.aio.msg import Msg

from comfybridge.engine_address import WEBSOCKETS, EngineAddress
from comfybridge.errors import TooLarge

OLDEST = (2, 11)  # it brought lifetimes of single messages
CONNECT_SECONDS = 2.0
PING_SECONDS = 3.0
CLOSE_SECONDS = 1.0
MOST_PENDING = 8 * 1024 * 1024  # bytes that wait to be sent, beyond which messages that may be lost are
NOT_FOUND = "404"
NOBODY = "503"
NO_TLS = "no TLS"
ANOTHER = "another server"
# nats-py passes on in lower case: 'Permissions Violation for Publish to "$JS.API.STREAM.PURGE.X"'
_REFUSED = re.compile(r"permissions violation for (?:publish|subscription) to \"?([^\s\"']+)", re.IGNORECASE)

Hear = Callable[[Msg], Awaitable[None]]

# Its messages have tracebacks and name what is told here in sentences.
logging.getLogger("nats").addHandler(logging.NullHandler())
logging.getLogger("nats").propagate = False
# asyncio's about the library's way to upgrade to TLS, each time such a connection ends
logging.getLogger("asyncio").addFilter(lambda record: "eof_received" not in record.getMessage())


class Unusable(Exception):
    """There is no engine to be had; the message is a sentence.

    Attributes:
        is_lasting: whether it will stay so until somebody does something.
    """

    def __init__(self, sentence: str, *, is_lasting: bool = False) -> None:
        super().__init__(sentence)
        self.is_lasting = is_lasting


class Lost(Exception):
    """The connection is gone; whether what was sent has arrived is not known."""


class NobodyAnswers(Exception):
    """Nobody listens to the subject."""


class NotAllowed(Exception):
    """The user of this connection has no right to the subject."""


class ApiError(Exception):
    """JetStream refused something, with a code of its own."""

    def __init__(self, error: Mapping[str, Any]) -> None:
        super().__init__(str(error.get("description", "")))
        self.code = int(error.get("err_code") or error.get("code") or 0)
        self.status = int(error.get("code") or 0)


class _Client(nats.aio.client.Client):  # type: ignore[misc, unused-ignore]
    """nats-py's client, which says at once that its connection is lost, and does not go on without TLS."""

    def __init__(self, address: EngineAddress) -> None:
        super().__init__()
        self.lost = asyncio.Event()
        self._address = address

    async def _process_op_err(self, e: Exception) -> None:
        self.lost.set()
        await super()._process_op_err(e)

    async def _close(self, status: int, do_cbs: bool = True) -> None:
        self.lost.set()
        with contextlib.suppress(OSError):  # it sends what is left, to whoever is not there any longer
            await super()._close(status, do_cbs)

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        # called before credentials are sent
        if self._address.scheme == "tls" and initial_connection and not info.get("tls_required"):
            raise nats.errors.Error(NO_TLS)
        if self._address.server not in (None, info.get("server_name")):
            raise nats.errors.Error(ANOTHER)
        await super()._process_info({**info, "connect_urls": None}, initial_connection)


class Requests(abc.ABC):
    """A connection, as far as one can be asked by it."""

    @abc.abstractmethod
    async def request(self, subject: str, data: bytes, headers: Mapping[str, str] | None = None) -> Any:
        """Send a message, and wait for its answer, which has `data` and `headers`. The caller limits the time.

        Raises:
            Lost, NobodyAnswers, NotAllowed
        """

    async def api(self, subject: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """A call of JetStream's API.

        Raises:
            ApiError: it was refused.
            Lost, NobodyAnswers, NotAllowed
        """
        message = await self.request(f"$JS.API.{subject}", b"" if body is None else json.dumps(body).encode())
        found: dict[str, Any] = json.loads(message.data)
        if "error" in found:
            raise ApiError(found["error"])
        return found


class Connection(Requests):
    """A connection, made with `opened`.

    Attributes:
        lost: set when it is gone.
        info: what the server told of itself.
    """

    def __init__(self, client: _Client, inbox: str, refused: dict[str, Callable[[], None]]) -> None:
        self._client = client
        self._inbox = inbox
        self._refused = refused
        self._answers: dict[str, asyncio.Future[Msg]] = {}
        self.lost = client.lost
        self.info: dict[str, Any] = client._server_info
        self._failing = asyncio.ensure_future(self._fail_when_lost())

    @classmethod
    async def opened(cls, address: EngineAddress) -> Connection:
        """Connect.

        Raises:
            Unusable: it is not possible.
        """
        if address.scheme in WEBSOCKETS:
            _need_aiohttp(address)
        last: list[Exception] = []
        refused: dict[str, Callable[[], None]] = {}

        async def heard(error: Exception) -> None:
            last.append(error)
            match = _REFUSED.search(str(error))
            if match is not None and (refuse := refused.get(match[1].lower())):
                refuse()

        client = _Client(address)
        try:
            await asyncio.wait_for(
                client.connect(
                    address.url,
                    error_cb=heard,
                    name="comfybridge",
                    allow_reconnect=False,
                    connect_timeout=CONNECT_SECONDS,  # type: ignore[arg-type]
                    max_reconnect_attempts=1,
                    reconnect_time_wait=0.02,  # type: ignore[arg-type]
                    ping_interval=PING_SECONDS,  # type: ignore[arg-type]
                    max_outstanding_pings=2,
                    pending_size=MOST_PENDING,
                    user=address.user,
                    password=address.password,
                    token=address.token,
                    skip_subject_validation=True,
                ),
                2 * CONNECT_SECONDS,
            )
        except Exception as error:
            with contextlib.suppress(Exception):
                await asyncio.wait_for(client.close(), CLOSE_SECONDS)
            raise _unusable(address, last[0] if isinstance(error, nats.errors.NoServersError) else error) from None
        connection = cls(client, f"{address.inbox}.{uuid.uuid4().hex}", refused)
        try:
            _check(connection.info, address)
            await connection.subscribe(f"{connection._inbox}.answer.*", connection._answered)
        except Unusable:
            await connection.close()
            raise
        last.clear()
        return connection

    async def request(self, subject: str, data: bytes, headers: Mapping[str, str] | None = None) -> Msg:
        """As `Requests.request`."""
        token = uuid.uuid4().hex
        answer: asyncio.Future[Msg] = asyncio.get_running_loop().create_future()
        self._answers[token] = answer
        self._refused[subject.lower()] = lambda: _refuse(answer, subject)
        try:
            await self.publish(subject, data, headers, reply=f"{self._inbox}.answer.{token}")
            message = await answer
        finally:
            answer.cancel()
            self._answers.pop(token, None)
            self._refused.pop(subject.lower(), None)
        if status_of(message) == NOBODY:
            raise NobodyAnswers(subject)
        return message

    async def publish(
        self, subject: str, data: bytes, headers: Mapping[str, str] | None = None, reply: str = ""
    ) -> None:
        """Send a message and wait for nothing.

        Raises:
            Lost: the connection is gone.
            TooLarge: the server does not take as much at once.
        """
        if self.lost.is_set():
            raise Lost
        try:
            await self._client.publish(subject, data, reply, dict(headers) if headers else None)
        except nats.errors.MaxPayloadError:
            raise too_large(self._client.max_payload, len(data)) from None
        except (nats.errors.Error, OSError, AttributeError):
            raise Lost from None

    @property
    def is_in_cluster(self) -> bool:
        """Whether the server is one of several."""
        return bool(self.info.get("cluster"))

    @property
    def is_stuffed(self) -> bool:
        """Whether so much waits to be sent that what may be lost should be."""
        return self._client.pending_data_size > MOST_PENDING // 2

    async def subscribe(self, subject: str, hear: Hear) -> Callable[[], None]:
        """Have `hear` called with each message, one after the other. Returns what ends it.

        Raises:
            Lost: the connection is gone.
        """
        if self.lost.is_set():
            raise Lost
        try:
            subscription = await self._client.subscribe(subject, cb=hear, pending_msgs_limit=0, pending_bytes_limit=0)
        except nats.errors.Error:
            raise Lost from None

        async def ended() -> None:
            with contextlib.suppress(Exception):
                await subscription.unsubscribe()

        tasks = set()

        def end() -> None:
            task = asyncio.ensure_future(ended())
            tasks.add(task)

        return end

    async def settle(self) -> None:
        """Wait until the server has read what was sent before.

        Raises:
            Lost: the connection is gone.
        """
        try:
            await self._client.flush()
        except (nats.errors.Error, OSError):
            raise Lost from None

    def new_inbox(self) -> str:
        """A subject of this connection's own, to be answered to."""
        return f"{self._inbox}.{uuid.uuid4().hex}"

    def drop(self) -> None:
        """Have it be lost, as it is of no use."""
        self.lost.set()

    async def close(self) -> None:
        """Close it. Never raises, and takes a second at most."""
        self.lost.set()
        with contextlib.suppress(Exception):
            await asyncio.wait_for(self._client.close(), CLOSE_SECONDS)

    async def _fail_when_lost(self) -> None:
        """Have all that wait for an answer learn that the connection is lost."""
        await self.lost.wait()
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(Lost())

    async def _answered(self, message: Msg) -> None:
        answer = self._answers.get(message.subject.rpartition(".")[2])
        if answer is not None and not answer.done():
            answer.set_result(message)


def _refuse(answer: asyncio.Future[Msg], subject: str) -> None:
    if not answer.done():
        answer.set_exception(NotAllowed(subject))


def too_large(most: int, size: int) -> TooLarge:
    """The error of a message that the server would not take."""
    return TooLarge(f"The engine takes at most {most:,} bytes at once, and these are {size:,}.")


def status_of(message: Any) -> str | None:
    """The status of a message that has one instead of content: `100`, `404`."""
    return (message.headers or {}).get("Status") if not message.data else None


def _check(info: Mapping[str, Any], address: EngineAddress) -> None:
    version = str(info.get("version", ""))
    match = re.match(r"(\d+)\.(\d+)", version)
    if match is None or (int(match[1]), int(match[2])) < OLDEST:
        raise Unusable(
            f"The engine at {address.url} is nats-server {version}; ComfyBridge needs 2.11 or newer.", is_lasting=True
        )
    if not info.get("headers"):
        raise Unusable(f"The engine at {address.url} does not support headers.", is_lasting=True)


def _need_aiohttp(address: EngineAddress) -> None:
    try:
        import aiohttp  # noqa: F401
    except ImportError:
        raise Unusable(
            f"An engine at {address.scheme}:// needs the package aiohttp: pip install aiohttp", is_lasting=True
        ) from None


def _unusable(address: EngineAddress, error: BaseException) -> Unusable:
    """Why it could not be connected to, without the words of the library."""
    place = f"The engine at {address.url}"
    text = str(error).lower()
    if isinstance(error, ssl.SSLCertVerificationError) or "certificate" in text:
        return Unusable(
            f"{place} has a certificate that is not trusted ({getattr(error, 'verify_message', '') or 'TLS'}); "
            "SSL_CERT_FILE names the file of another authority.",
            is_lasting=True,
        )
    if "authorization" in text or "authentication" in text:
        return Unusable(f"{place} does not accept the user and password, or the token.", is_lasting=True)
    if str(error) == ANOTHER:
        return Unusable(f"{place} is another program by now.")
    if str(error) == NO_TLS:
        return Unusable(f"{place} does not offer TLS.", is_lasting=True)
    if isinstance(error, ssl.SSLError):
        return Unusable(f"{place} does not speak TLS as expected.", is_lasting=True)
    if isinstance(error, (nats.errors.Error, asyncio.TimeoutError)) and not isinstance(error, OSError):
        return Unusable(f"{place} does not answer as a nats-server does.")
    return Unusable(f"{place} does not answer.")

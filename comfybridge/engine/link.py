"""The connection of this process to the engine: in a thread of its own, and made again for ever."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any, TypeVar

from comfybridge.engine.connection import ApiError, Connection, Lost, NobodyAnswers, NotAllowed, Requests, Unusable
from comfybridge.engine.direct import Direct
from comfybridge.engine.following import Follower
from comfybridge.engine.server import EmbeddedServer
from comfybridge.engine.streams import bring_up, streams
from comfybridge.engine_address import EngineAddress
from comfybridge.errors import EngineUnreachable
from comfybridge.settings import Settings

log = logging.getLogger(__name__)

PREPARE_SECONDS = 5.0
FIRST_SECONDS = 10.0  # the first connection may include the start of a server
LEAST_PAUSE = 0.05
MOST_PAUSE = 1.0
CLOSE_SECONDS = 5.0
SPARE_SECONDS = 10.0  # after them, even a loop that hangs is not waited for
NO_ANSWER = "The engine does not answer."

T = TypeVar("T")
Hear = Callable[[str, bytes, str], None]  # subject, data, reply


class Listener:
    """A subscription that is made again with each connection."""

    def __init__(self, subject: str, hear: Callable[[Any], None]) -> None:
        self.subject = subject
        self._hear = hear
        self._end: Callable[[], None] | None = None
        self.connection: Connection | None = None  # on which it listens

    async def begin(self, connection: Connection) -> None:
        self.connection = connection
        self._end = await connection.subscribe(self.subject, self._heard)

    def end(self) -> None:
        if self._end is not None:
            self._end()
            self._end = None

    async def _heard(self, message: Any) -> None:
        try:
            self._hear(message)
        except Exception:
            log.exception("A message of the engine on %s could not be taken.", self.subject.partition(".")[0])


class Link:
    """The connection. Its coroutines run in its own loop; all else may be called from any thread.

    Args:
        server: the bridge's own server; None: the settings name addresses.
        makes_streams: whether it makes the streams, or waits until they are there.
        changed: called in the loop with whether there is a connection, at each change.
    """

    def __init__(
        self,
        settings: Settings,
        server: EmbeddedServer | None,
        *,
        makes_streams: bool,
        changed: Callable[[bool], None],
    ) -> None:
        self._settings = settings
        self._server = server
        self._makes_streams = makes_streams
        self._changed = changed
        self._addresses = settings.engine_addresses
        self._turn = 0
        self._connection: Connection | None = None
        self._direct: Direct | None = None
        self._ready = asyncio.Event()
        self._reason: Unusable | None = None
        self._said: set[str] = set()  # what has been logged since there was a connection
        self._has_been_ready = False
        self._is_closing = False
        self._listeners: set[Listener] = set()
        self._followers: dict[Follower, asyncio.Task[None] | None] = {}
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="comfybridge-engine", daemon=True)
        self._thread.start()

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection that can be used."""
        return self._connection is not None

    @property
    def hindrance(self) -> str | None:
        """Why there is no connection, as far as is known; None if there is one."""
        return None if self.is_connected else str(self._reason or NO_ANSWER)

    @property
    def is_own_thread(self) -> bool:
        """Whether the calling thread is the loop's, which nothing may block."""
        return threading.get_ident() == self._thread.ident

    def submit(
        self, work: Callable[[Connection], Awaitable[T]], seconds: float, *, repeats: bool = True
    ) -> Future[T]:
        """Begin some work on the connection.

        Args:
            seconds: the time that it may take, including that until there is a connection.
            repeats: whether to do it anew if the connection is lost meanwhile.

        Returns:
            What it returns, or raises; EngineUnreachable if the engine does not answer in time.
        """
        return self.run(self._within(work, seconds, repeats))

    def call(self, work: Callable[[Requests], Awaitable[T]], seconds: float, *, repeats: bool = True) -> T:
        """As `submit`, and wait for the result. Of work that only makes requests.

        Raises:
            EngineUnreachable
        """
        began, direct = time.monotonic(), self._direct
        if direct is not None and not self.is_own_thread:
            try:
                return direct.run(work, seconds)
            except (Lost, NobodyAnswers):  # the loop's connection learns why
                if not repeats:
                    raise EngineUnreachable(NO_ANSWER) from None
            except (asyncio.TimeoutError, ApiError) as error:
                raise self._unreachable(error) from None
        left = max(0.001, began + seconds - time.monotonic())
        return self.result(self.submit(work, left, repeats=repeats), left)

    def result(self, future: Future[T], seconds: float) -> T:
        """Wait for what `submit` has begun.

        Raises:
            EngineUnreachable, or what the work raises.
        """
        if self.is_own_thread:
            raise RuntimeError("a callback of the engine must not wait for it")
        try:
            return future.result(seconds + SPARE_SECONDS)
        except FutureTimeout:
            future.cancel()
            raise EngineUnreachable(NO_ANSWER) from None
        except CancelledError:
            raise EngineUnreachable("The connection to the engine is closed.") from None

    def run(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Begin a coroutine in the loop."""
        if self._is_closing:
            work.close()
            raise EngineUnreachable("The connection to the engine is closed.")
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    def has_room(self) -> bool:
        """Whether the disk has room for more jobs, as far as it is this machine's."""
        return self._server is None or self._server.has_room()

    def soon(self, call: Callable[[], object]) -> None:
        """Call something in the loop, without waiting for it."""
        with contextlib.suppress(RuntimeError):  # it is closed
            self.loop.call_soon_threadsafe(call)

    def tell(self, subject: str, data: bytes, headers: dict[str, str] | None, reply: str) -> None:
        """Send a message that may be lost. In the loop only."""
        connection = self._connection
        if connection is not None and not connection.is_stuffed:
            self.loop.create_task(_told(connection, subject, data, headers, reply))

    async def listen(self, listener: Listener) -> None:
        """Begin to listen, now and with each later connection."""
        self._listeners.add(listener)
        if self._connection is not None:
            with contextlib.suppress(Lost):
                await listener.begin(self._connection)
                await self._connection.settle()

    def unlisten(self, listener: Listener) -> None:
        """End a listener."""
        self._listeners.discard(listener)
        listener.end()

    async def follow(self, follower: Follower) -> None:
        """Begin to follow, now and with each later connection."""
        connection = self._connection
        self._followers[follower] = None if connection is None else self.loop.create_task(follower.follow(connection))

    def unfollow(self, follower: Follower) -> None:
        """End a follower."""
        follower.end()
        task = self._followers.pop(follower, None)
        if task is not None:
            task.cancel()

    async def repeat(self, seconds: float, call: Callable[[], object]) -> None:
        """Call something each so many seconds, until it is cancelled."""
        while True:
            await asyncio.sleep(seconds)
            call()

    def close(self) -> None:
        """End the connection, the thread, and the server if it was started here."""
        if self._is_closing:
            return
        self._is_closing = True
        ends = time.monotonic() + CLOSE_SECONDS
        while self._thread.is_alive() and time.monotonic() < ends:
            self.soon(self._cancel)  # more than once: before Python 3.12, wait_for may swallow it
            self._thread.join(0.2)

    def _cancel(self) -> None:
        self._supervisor.cancel()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        # tasks of the library that end with a connection
        self.loop.set_exception_handler(lambda _, context: log.debug("%s", context.get("message")))
        self._supervisor = self.loop.create_task(self._stay_connected())
        try:
            with contextlib.suppress(asyncio.CancelledError):
                self.loop.run_until_complete(self._supervisor)
            left = asyncio.all_tasks(self.loop)
            for task in left:
                task.cancel()
            if left:
                self.loop.run_until_complete(asyncio.wait(left, timeout=1.0))
        finally:
            if self._server is not None:
                self._server.stop()
            self.loop.close()

    async def _stay_connected(self) -> None:
        failed: EngineAddress | None = None
        pause = LEAST_PAUSE
        while not self._is_closing:
            try:
                address = await self._address(failed)
                failed = address
                connection = await self._connected(address)
            except Exception as error:
                if not isinstance(error, Unusable):
                    log.exception("The engine could not be connected to.")
                    error = Unusable("The engine cannot be connected to.")
                self._fail(error)
                await asyncio.sleep(pause * random.uniform(0.7, 1.3))
                pause = min(2 * pause, MOST_PAUSE)
                continue
            pause = LEAST_PAUSE
            try:
                await self._use(connection, address)
                await connection.lost.wait()
            except Lost:
                pass
            except Exception:  # a bug must not end the connection for ever
                log.exception("The connection to the engine failed.")
                await asyncio.sleep(MOST_PAUSE)
            finally:
                self._leave(connection)
                await connection.close()

    async def _address(self, failed: EngineAddress | None) -> EngineAddress:
        if self._server is not None:
            return await self._server.address(failed)
        self._turn += 1
        return self._addresses[self._turn % len(self._addresses)]

    async def _connected(self, address: EngineAddress) -> Connection:
        connection = await Connection.opened(address)
        try:
            limit = self._settings.job_disk_bytes if self._server is None else self._server.disk_bytes()
            preparing = bring_up(
                connection,
                streams(limit, len(self._addresses) if connection.is_in_cluster else 1),
                makes=self._makes_streams,
            )
            await asyncio.wait_for(preparing, PREPARE_SECONDS)
        except BaseException as error:
            await connection.close()
            if isinstance(error, (Lost, asyncio.TimeoutError, OSError, ValueError)):
                raise Unusable("The engine does not answer.") from None
            raise
        return connection

    async def _use(self, connection: Connection, address: EngineAddress) -> None:
        while missing := [each for each in self._listeners if each.connection is not connection]:
            for listener in missing:
                await listener.begin(connection)
        self._connection = connection
        self._direct = None if self._server is None else Direct(address)
        self._reason = None
        if self._said:
            log.info("The engine answers.")
        self._said.clear()
        self._has_been_ready = True
        for follower in self._followers:
            self._followers[follower] = self.loop.create_task(follower.follow(connection))
        self._ready.set()
        self._tell_change(True)

    def _leave(self, connection: Connection) -> None:
        if self._connection is connection:
            self._connection = None
            if self._direct is not None:
                self._direct.close()
                self._direct = None
            self._ready.clear()
            self._tell_change(False)

    def _fail(self, error: Unusable) -> None:
        if str(error) not in self._said:  # of several servers, each may say something else
            self._said.add(str(error))
            log.warning("%s", error)
        self._reason = error
        self._ready.set()  # wake those who need not wait any longer
        self._ready.clear()

    def _tell_change(self, is_connected: bool) -> None:
        try:
            self._changed(is_connected)
        except Exception:
            log.exception("A change of the connection to the engine could not be taken.")

    async def _within(self, work: Callable[[Connection], Awaitable[T]], seconds: float, repeats: bool) -> T:
        ends = self.loop.time() + seconds
        while True:
            connection = await self._current(ends)
            try:
                return await asyncio.wait_for(work(connection), max(0.001, ends - self.loop.time()))
            except Lost:
                if not repeats:
                    raise EngineUnreachable(NO_ANSWER) from None
            except (asyncio.TimeoutError, NotAllowed, ApiError) as error:
                raise self._unreachable(error) from None
            except NobodyAnswers as error:
                if str(error).startswith("comfybridge.ask."):
                    raise EngineUnreachable("Nobody answers.") from None
                connection.drop()  # its streams are gone: they are made again with the next connection
                if not repeats:
                    raise EngineUnreachable(NO_ANSWER) from None

    def _unreachable(self, error: Exception) -> EngineUnreachable:
        if isinstance(error, NotAllowed):
            return EngineUnreachable("The engine's user lacks a right that this needs.")
        if isinstance(error, ApiError):  # its disk is full, for example
            log.warning("The engine refuses what it is asked: %s", error)
            return EngineUnreachable("The engine can't do what it is asked now.")
        if self._server is not None:
            self._server.mend()
        return EngineUnreachable(NO_ANSWER)

    async def _current(self, ends: float) -> Connection:
        first_ends = self.loop.time() + FIRST_SECONDS
        while self._connection is None or self._connection.lost.is_set():
            reason = self._reason
            if reason is not None and reason.is_lasting:
                raise EngineUnreachable(str(reason))
            is_starting = reason is None and not self._has_been_ready
            remaining = (max(ends, first_ends) if is_starting else ends) - self.loop.time()
            if remaining <= 0:
                raise EngineUnreachable(str(reason or NO_ANSWER))
            if self._connection is not None:  # it is being left
                await asyncio.sleep(0.001)
                continue
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._ready.wait(), remaining)
        return self._connection


async def _told(
    connection: Connection, subject: str, data: bytes, headers: dict[str, str] | None, reply: str
) -> None:
    with contextlib.suppress(Exception):
        await connection.publish(subject, data, headers, reply)

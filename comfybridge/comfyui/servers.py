"""The ComfyUI servers behind the bridge: which of them are up, and which one a request goes to."""

from __future__ import annotations

import itertools
import logging
import random
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from comfybridge.comfyui.cancelling import Canceller
from comfybridge.comfyui.catalog import Catalog
from comfybridge.comfyui.client import ComfyUIClient
from comfybridge.comfyui.lookup import PromptLookup
from comfybridge.comfyui.node_times import NodeTimes
from comfybridge.comfyui.previews import Previews
from comfybridge.comfyui.waiting.hub import HubWaiter
from comfybridge.comfyui.waiting.poll import PollingWaiter
from comfybridge.comfyui.waiting.waiter import Waiter
from comfybridge.comfyui.waiting.websocket import SocketWaiter
from comfybridge.deadline import Deadline
from comfybridge.durations import MeanSeconds, whole_seconds
from comfybridge.errors import BridgeError, Busy, ComfyUIUnreachable, InvalidRequest, TimedOut

log = logging.getLogger(__name__)

T = TypeVar("T")

# A report on a server's queue is valid for this long; after that it is fetched again.
FRESH_SECONDS = 1.0
# If nothing arrives on a socket for this long, its server may hang.
HEARD_SECONDS = 3.0
# The time limit for fetching it: the choice between servers must not wait for one that hangs.
PROBE_SECONDS = 2.0
# The time limit for one server in a call to all of them.
ASK_SECONDS = 5.0
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 10.0
# The assumed time of a prompt before one was measured.
UNMEASURED_SECONDS = 1.0
# Differences between shorter prompts are chance.
SHORTEST_SECONDS = 0.1
# A server counts at most this many times slower than the fastest.
SLOWEST = 3.0
# Servers that would finish at about the same time take turns.
ALIKE = 1.25


@dataclass(frozen=True)
class Figures:
    """The state of one server.

    Attributes:
        is_up: whether it answered the last call.
        in_flight: requests of this process that are under way there.
        queue_remaining: prompts that wait or run there, from any client; None if unknown.
        mean_seconds: how long a prompt runs there; None if none was measured.
    """

    is_up: bool
    in_flight: int
    queue_remaining: int | None
    mean_seconds: float | None


class Server:
    """One ComfyUI, with everything that the bridge keeps for it. Safe to share between threads.

    Attributes:
        client, catalog, lookup: for calls to it.
        canceller: cancels its prompts.
        waiters: the ways to wait for its prompts, by name.
        node_times: how long nodes ran there.
        previews: the previews to request from it.
        is_up: whether it answered the last call.
    """

    def __init__(self, client: ComfyUIClient) -> None:
        self.client = client
        self.catalog = Catalog(self.client)
        self.lookup = PromptLookup(self.client)
        self.canceller = Canceller(self.client, self.lookup)
        self._hub = HubWaiter(self.client, self.lookup, self.catalog.forget)
        waiters: list[Waiter] = [
            self._hub,
            SocketWaiter(self.client, self.lookup),
            PollingWaiter(self.client, self.lookup),
        ]
        self.waiters = {waiter.name: waiter for waiter in waiters}
        self.node_times = NodeTimes()
        self.previews = Previews(self.client)
        self.is_up = True
        self._lock = threading.Lock()
        self._in_flight = 0
        self._asked: tuple[float, int] | None = None  # when the queue's length was reported, and the length
        self._ran = MeanSeconds()

    @property
    def url(self) -> str:
        """Its URL, without credentials."""
        return self.client.address.url

    @property
    def in_flight(self) -> int:
        """Requests of this process that are under way there."""
        return self._in_flight

    @property
    def queue_remaining(self) -> int | None:
        """Prompts that wait or run there, by its latest report; None if there is no recent one."""
        now = time.monotonic()
        if self._hub.queue_remaining is not None and now - self._hub.last_heard < HEARD_SECONDS:
            return self._hub.queue_remaining
        if self._asked is not None and now - self._asked[0] < FRESH_SECONDS:
            return self._asked[1]
        return None

    @property
    def figures(self) -> Figures:
        """Its state."""
        mean = self._ran.value(-1.0)
        return Figures(self.is_up, self._in_flight, self.queue_remaining, None if mean < 0 else mean)

    @property
    def load(self) -> int:
        """How many prompts a new one would wait for; this process's own may be in its queue already or not."""
        return max(self._in_flight, self.queue_remaining or 0)

    def seconds_per_prompt(self, unmeasured: float = UNMEASURED_SECONDS) -> float:
        """How long a prompt runs there, from recent ones."""
        return max(self._ran.value(unmeasured), SHORTEST_SECONDS)

    def ask(self) -> None:
        """Fetch the length of its queue, if it is unknown.

        Raises:
            ComfyUIUnreachable, ComfyUIError, TimedOut
        """
        if self.queue_remaining is None:
            self._asked = (time.monotonic(), self.client.queue_length(Deadline(PROBE_SECONDS)))

    def begin(self) -> None:
        """Count one more request."""
        with self._lock:
            self._in_flight += 1

    def end(self, ran_seconds: float | None = None) -> None:
        """Count one request less; `ran_seconds` is how long its prompt ran, if known."""
        with self._lock:
            self._in_flight -= 1
        if ran_seconds is not None:
            self._ran.add(ran_seconds)

    def close(self) -> None:
        """Close all connections to it."""
        for waiter in self.waiters.values():
            waiter.close()
        self.canceller.close()
        self.client.close()


class Servers:
    """All servers, and the choice among them. Safe to share between threads.

    Args:
        servers: at least one, unless a subclass finds them.
        most_queued: how many prompts may wait or run on one of them before it gets no more; None: any number.
    """

    def __init__(self, servers: Sequence[Server], most_queued: int | None = None) -> None:
        self._servers = tuple(servers)
        self._most_queued = most_queued
        self._turn = itertools.count()
        self._lock = threading.Lock()
        self._prober: threading.Thread | None = None
        self._stop = threading.Event()

    @property
    def all(self) -> tuple[Server, ...]:
        """All of them, in the order of the settings."""
        return self._servers

    def nobody(self) -> BridgeError:
        """The error where there is no server at all."""
        return ComfyUIUnreachable("There is no ComfyUI: COMFYUI_URL must name one.", retry_after=5)

    def close(self) -> None:
        """Close all connections and end the threads."""
        self._stop.set()
        for server in self.all:
            server.close()

    # -- for one request -----------------------------------------------------------------------------------------

    def begin(self, tried: Collection[Server] = ()) -> Server:
        """The server that will be done with one more prompt soonest. `Server.end` must be called.

        Args:
            tried: the servers that turned out unreachable for this request.

        Raises:
            Busy: the queues are at their limit.
            ComfyUIUnreachable: all have been tried.
        """
        left = [server for server in self.all if server not in tried]
        if not left:
            if not self.all:
                raise self.nobody()
            raise ComfyUIUnreachable("None of the ComfyUI servers can be reached.", retry_after=5)
        if len(self.all) == 1 and self._most_queued is None:  # no choice
            left[0].begin()
            return left[0]
        # servers that are down are probed in the background; if there is no other, they are tried at once
        candidates = self._asked([server for server in left if server.is_up]) or left
        with self._lock:  # so that requests that choose at the same time do not all choose the same server
            return self._chosen(candidates)

    def check_room(self, count: int) -> None:
        """Refuse a request for more prompts than the queues have room for.

        Raises:
            InvalidRequest: even empty queues would not have it.
            Busy: they are too full now.
        """
        most = self._most_queued
        if most is None:
            return
        if count > most * len(self.all):
            raise InvalidRequest(
                f"n is {count}; COMFYBRIDGE_MAX_QUEUE allows {most * len(self.all)} prompts to be queued."
            )
        asked = self._asked([server for server in self.all if server.is_up])
        if asked and sum(max(0, most - each.load) for each in asked) < count:
            raise self._full(asked, count)

    def _full(self, servers: Sequence[Server], count: int = 1) -> Busy:
        """The error for queues without room for a number of prompts."""
        assert self._most_queued is not None
        most = self._most_queued
        wait = min((each.load - most + count) * each.seconds_per_prompt() for each in servers)
        return Busy(
            f"ComfyUI has {most} prompts queued, the most that COMFYBRIDGE_MAX_QUEUE allows."
            if count == 1
            else f"ComfyUI's queue has no room for {count} prompts: COMFYBRIDGE_MAX_QUEUE allows {most}.",
            retry_after=whole_seconds(wait),
        )

    def mark_down(self, server: Server) -> None:
        """Leave a server out until it answers again."""
        if len(self.all) == 1:
            return
        with self._lock:
            server.is_up = False
            if self._prober is None and not self._stop.is_set():
                log.warning("ComfyUI at %s cannot be reached, and gets no requests until it can.", server.url)
                self._prober = threading.Thread(target=self._probe, name="comfybridge prober", daemon=True)
                self._prober.start()

    def _asked(self, servers: list[Server]) -> list[Server]:
        """The servers that report the length of their queue."""
        answering = []
        for server in servers:
            try:
                server.ask()
            except BridgeError:
                self.mark_down(server)
            else:
                answering.append(server)
        return answering

    def _chosen(self, candidates: list[Server]) -> Server:
        open_ones = [each for each in candidates if self._most_queued is None or each.load < self._most_queued]
        if not open_ones:
            raise self._full(candidates)
        # a server that has run nothing yet is rated like the fastest
        best = min(each.seconds_per_prompt() for each in open_ones)
        # a slow prompt (a loaded model, another workflow) says little about the next, so no server is avoided for it
        seconds = {each: (each.load + 1) * min(each.seconds_per_prompt(best), SLOWEST * best) for each in open_ones}
        soonest = min(seconds.values())
        alike = [each for each in open_ones if seconds[each] <= ALIKE * soonest]
        chosen = alike[next(self._turn) % len(alike)]
        chosen.begin()
        return chosen

    def _probe(self) -> None:
        """Ask the servers that are down whether they are back, until all are."""
        pause = FIRST_PAUSE
        while not self._stop.wait(pause * random.uniform(0.5, 1.0)):
            for server in self.all:
                if not server.is_up and _answers(server):
                    log.warning("ComfyUI at %s is back.", server.url)
                    server.is_up = True
            with self._lock:
                if all(server.is_up for server in self.all):
                    self._prober = None
                    return
            pause = min(2 * pause, LONGEST_PAUSE)

    # -- for questions to all of them ----------------------------------------------------------------------------

    def each(
        self, ask: Callable[[Server, Deadline], T], deadline: Deadline
    ) -> Iterator[tuple[Server, T | BridgeError]]:
        """The answer or the error of each server. A server that is down is skipped if another is up."""
        servers = self.all
        some_are_up = any(server.is_up for server in servers)
        for server in sorted(servers, key=lambda each: not each.is_up):
            if some_are_up and not server.is_up:
                yield server, _no_answer(server)
                continue
            try:
                yield server, ask(server, self._patience(deadline))
            except TimedOut as error:
                if deadline.passed:
                    yield server, error
                else:
                    self.mark_down(server)
                    yield server, _no_answer(server)
            except BridgeError as error:
                if isinstance(error, ComfyUIUnreachable):
                    self.mark_down(server)
                yield server, error

    def _patience(self, deadline: Deadline) -> Deadline:
        return deadline if len(self.all) == 1 else Deadline(min(ASK_SECONDS, deadline.remaining()))

    def answers(self, ask: Callable[[Server, Deadline], T], deadline: Deadline) -> list[tuple[Server, T]]:
        """The results of the servers that answer.

        Raises:
            BridgeError: the first error, if no server answers.
        """
        said = list(self.each(ask, deadline))
        found = [(server, each) for server, each in said if not isinstance(each, BridgeError)]
        if not found:
            raise next((each for _, each in said if isinstance(each, BridgeError)), self.nobody())
        return found

    def first(self, ask: Callable[[Server, Deadline], T], deadline: Deadline) -> T:
        """The result of the first server that answers.

        Raises:
            BridgeError: the error of the first server, if none answers.
        """
        first_error: BridgeError | None = None
        for _, said in self.each(ask, deadline):
            if not isinstance(said, BridgeError):
                return said
            first_error = first_error or said
        raise first_error or self.nobody()


def _no_answer(server: Server) -> ComfyUIUnreachable:
    return ComfyUIUnreachable(f"ComfyUI at {server.url} does not answer.", retry_after=5)


def _answers(server: Server) -> bool:
    try:
        server.client.queue_length(Deadline(PROBE_SECONDS))
    except BridgeError:
        return False
    return True

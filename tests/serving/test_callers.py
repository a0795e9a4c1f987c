"""Callers who hang up, who only connect, who neither send nor read, and a stop while all of them are there.

Against servers that run as a user starts them, over real sockets.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
import requests

from comfybridge.simulator import Simulator
from comfybridge.web.answers.hangups import LOOK_SECONDS
from tests import graphs
from tests.serving.raw_callers import connect, read_answer
from tests.serving.servers import EVERY_SERVER, Server, Start, free_port
from tests.waiting import SECONDS, until_true
from tests.web.slow_site import SlowSite, loading

CALLERS = 20
PATIENCE = 1.0
BOTH = pytest.mark.parametrize("arguments", [EVERY_SERVER[0], EVERY_SERVER[2]])
ACCEPTS = ("application/json", "text/event-stream", "image/*")


def request(body: dict[str, Any] | None = None, *, length: int | None = None, **headers: str) -> bytes:
    """The bytes of a request: a body to /generate, or a look at /health."""
    data = b"" if body is None else json.dumps(body).encode()
    headers = {"Host": "localhost", "Content-Length": str(len(data) if length is None else length), **headers}
    lines = ["GET /health HTTP/1.1" if body is None else "POST /generate HTTP/1.1"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + data


def slots_taken(server: Server) -> int:
    """How many requests hold a slot."""
    metrics = requests.get(f"{server.url}/metrics", timeout=SECONDS).text
    (line,) = [line for line in metrics.splitlines() if line.startswith("comfybridge_slots_taken ")]
    return int(float(line.split()[1]))


def is_served(server: Server, seconds: float = SECONDS) -> bool:
    """Whether a new caller gets its picture."""
    body = {"workflow": graphs.picture()}
    return requests.post(f"{server.url}/generate", json=body, timeout=seconds).status_code == 200


@pytest.fixture(scope="module")
def common_sim() -> Iterator[Simulator]:
    with Simulator(step_seconds=0) as simulator:
        yield simulator


@pytest.fixture(scope="module", params=[EVERY_SERVER[0], EVERY_SERVER[2]])
def common_server(common_sim: Simulator, request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server for the tests that leave it as it was."""
    server = Server(
        request.param,
        COMFYUI_URL=common_sim.url,
        COMFYBRIDGE_PORT=free_port(),
        COMFYBRIDGE_MAX_CONCURRENT="8",
        COMFYBRIDGE_CALLER_TIMEOUT=str(PATIENCE),
        COMFYBRIDGE_FETCH_ALLOW_HOSTS="127.0.0.1",
    )
    yield server
    server.end()


@pytest.fixture
def server(common_server: Server, common_sim: Simulator) -> Iterator[Server]:
    yield common_server
    common_sim.release()
    until_true(lambda: slots_taken(common_server) == 0)
    common_sim.wait_until_idle()


@contextlib.contextmanager
def asking(server: Server, count: int, **fields: Any) -> Iterator[list[int]]:
    """So many callers who block on a picture; the statuses of their answers, which have come at the end."""
    statuses: list[int] = []

    def ask() -> None:
        body = {"workflow": graphs.picture(), **fields}
        statuses.append(requests.post(f"{server.url}/generate", json=body, timeout=SECONDS).status_code)

    callers = [threading.Thread(target=ask) for _ in range(count)]
    for caller in callers:
        caller.start()
    yield statuses
    for caller in callers:
        caller.join(SECONDS)


# -- hanging up


@pytest.mark.parametrize("is_first", ["application/json", "text/event-stream"])
def test_the_prompts_of_callers_who_hang_up_are_cancelled(
    server: Server, common_sim: Simulator, is_first: str
) -> None:
    sim = common_sim
    sim.hold_steps(after=1)
    accepts = sorted(ACCEPTS, key=lambda accept: accept != is_first)
    bodies = [request(slow_picture(sim), Accept=accept) for accept in accepts]
    bodies.append(request({**slow_picture(sim), "keepalive": 0.2}))
    with contextlib.ExitStack() as held:
        for count, body in enumerate(bodies, 1):
            held.enter_context(connect(server, body))
            sim.wait_until_queued(count)  # the first one runs, the others wait
        assert slots_taken(server) == len(bodies)
    until_true(lambda: not sim.running and not sim.pending)
    until_true(lambda: slots_taken(server) == 0)


def slow_picture(sim: Simulator) -> dict[str, Any]:
    """A request for a picture that is not there at once."""
    return {"workflow": graphs.txt2img(sim.checkpoints[0], steps=5)}


def test_nothing_is_queued_for_a_caller_that_hung_up_before(
    server: Server, common_sim: Simulator, site: SlowSite
) -> None:
    common_sim.hold()
    common_sim.forget_requests()
    with connect(server, request(loading(site))):
        assert site.asked.wait(SECONDS)
    slots_taken(server)  # who answers a later connection has seen the end of this one
    site.go_on.set()
    until_true(lambda: slots_taken(server) == 0)
    until_true(lambda: not common_sim.running and not common_sim.pending)
    assert [each.path for each in common_sim.requests if each.method == "POST"].count("/prompt") == 0


def test_prompts_that_are_to_be_kept_run_on_without_their_callers(server: Server, common_sim: Simulator) -> None:
    sim = common_sim
    sim.hold()
    known = set(sim.history)
    keep = request({"workflow": graphs.picture(), "on_timeout": "keep"})
    again = request({"workflow": graphs.picture()}, Idempotency_Key=f"again {server.url}")
    with connect(server, keep), connect(server, again):
        sim.wait_until_queued(2)
        assert slots_taken(server) == 2
    until_true(lambda: slots_taken(server) == 0)
    assert len(sim.running) + len(sim.pending) == 2
    sim.release()
    sim.wait_until_idle()
    ended = [entry["status"]["status_str"] for key, entry in sim.history.items() if key not in known]
    assert ended == ["success", "success"]


@BOTH
def test_hanging_up_cancels_nothing_where_that_is_switched_off(
    start: Start, sim: Simulator, arguments: list[str]
) -> None:
    server = start(arguments, COMFYBRIDGE_CANCEL_ON_HANGUP="false")
    sim.hold()
    for count, accept in enumerate(ACCEPTS, 1):
        with connect(server, request({"workflow": graphs.picture()}, Accept=accept)):
            sim.wait_until_queued(count)
    with pytest.raises(AssertionError):
        until_true(lambda: slots_taken(server) < len(ACCEPTS), 2.5 * LOOK_SECONDS)
    sim.release()
    until_true(lambda: slots_taken(server) == 0)
    assert [entry["status"]["status_str"] for entry in sim.history.values()] == ["success"] * len(ACCEPTS)


# -- stopping


@pytest.mark.skipif(os.name == "nt", reason="Windows ends processes without a word")
@BOTH
def test_a_stop_under_load_loses_nobody_and_takes_nobody(start: Start, sim: Simulator, arguments: list[str]) -> None:
    server = start(arguments)
    sim.hold()
    body = request({"workflow": graphs.picture()})
    with contextlib.ExitStack() as held:
        held.enter_context(connect(server))
        held.enter_context(connect(server, request()[:20]))
        kept_alive = held.enter_context(connect(server, request()))
        assert read_answer(kept_alive).startswith(b"HTTP/1.1 200 ")
        coming = held.enter_context(connect(server, body[:-5]))
        with asking(server, CALLERS) as statuses:
            sim.wait_until_queued(CALLERS)
            server.process.terminate()
            until_true(lambda: is_refused(server))
            assert kept_alive.recv(4096) == b""  # the shutdown does not wait for a request that may never arrive
            coming.sendall(body[-5:])
            sim.wait_until_queued(CALLERS + 1)
            sim.release()
        assert statuses == [200] * CALLERS
        assert read_answer(coming).startswith(b"HTTP/1.1 200 ")
    assert server.process.wait(SECONDS) == 0


def is_refused(server: Server) -> bool:
    """Whether a new caller is turned away, and does not hang."""
    try:
        with connect(server):
            return False
    except ConnectionRefusedError:
        return True


# -- only connecting


@BOTH
def test_connections_left_idle_keep_nobody_out(start: Start, arguments: list[str]) -> None:
    allow_files(3000)
    server = start(arguments)
    with contextlib.ExitStack() as held:
        for number in range(2000):
            # every second one begins a request
            held.enter_context(connect(server, request()[:20] if number % 2 else b""))
        assert all(is_served(server) for _ in range(3))


@BOTH
def test_more_connections_than_the_system_allows_keep_nobody_out(start: Start, arguments: list[str]) -> None:
    limited = ["-c", f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (400, 400)); {runs(arguments)}"]
    server = start(limited, COMFYBRIDGE_MAX_CONCURRENT="8")
    with contextlib.ExitStack() as held:
        for _ in range(500):
            held.enter_context(connect(server))
        assert all(is_served(server) for _ in range(3))


def runs(arguments: list[str]) -> str:
    """A server's command as Python's code."""
    if arguments[0] == "-c":
        return arguments[1]
    return "import runpy, sys; sys.argv = ['app.py']; runpy.run_path('app.py', run_name='__main__')"


def allow_files(count: int) -> None:
    """Have this process open so many files, where that is allowed."""
    resource = pytest.importorskip("resource")
    limit, highest = resource.getrlimit(resource.RLIMIT_NOFILE)
    if highest != resource.RLIM_INFINITY and highest < count:
        pytest.skip(f"this system allows {highest} open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(limit, count), highest))


def test_who_does_not_hang_up_in_turn_holds_up_nobody(server: Server) -> None:
    with contextlib.ExitStack() as held:
        callers = [held.enter_context(connect(server, request(Connection="close"))) for _ in range(20)]
        assert is_served(server)
        assert all(read_answer(caller).startswith(b"HTTP/1.1 200 ") for caller in callers)


# -- neither sending nor reading


def test_bodies_that_do_not_come_hold_no_thread(server: Server) -> None:
    head = request({}, length=100_000)
    with contextlib.ExitStack() as held:
        callers = [held.enter_context(connect(server, head)) for _ in range(60)]  # more than there are threads
        assert is_served(server, SECONDS)
        for caller in callers:
            assert not caller.recv(4096).startswith(b"HTTP/1.1 200 ")


def test_a_body_that_trickles_is_given_up(server: Server) -> None:
    with connect(server, request({}, length=100_000)) as caller:
        caller.settimeout(0.05)
        until = time.monotonic() + SECONDS
        with contextlib.suppress(ConnectionError):
            while not is_ended(caller):
                caller.sendall(b" ")
                assert time.monotonic() < until


@pytest.mark.parametrize("content_type", ["application/json", "multipart/form-data; boundary=x"])
def test_a_body_in_malformed_chunks_is_no_fault_of_the_bridge(server: Server, content_type: str) -> None:
    head = f"POST /generate HTTP/1.1\r\nHost: localhost\r\nContent-Type: {content_type}\r\n"
    with connect(server, f"{head}Transfer-Encoding: chunked\r\n\r\nno number\r\n".encode()) as caller:
        assert caller.recv(4096).startswith(b"HTTP/1.1 400 ")


def is_ended(caller: socket.socket) -> bool:
    """Whether an answer, or the end of the connection, has come; waits a little for it."""
    with contextlib.suppress(TimeoutError):
        caller.recv(4096)
        return True
    return False


def large_output(sim: Simulator, size: int) -> dict[str, Any]:
    """A request for a file of that size."""
    large = sim.output_directory / f"{size}.glb"
    large.touch()
    os.truncate(large, size)
    return {"workflow": {"1": graphs.node("Preview3D", model_file=large.name)}}


def test_callers_who_do_not_read_their_answers_lose_them(server: Server, common_sim: Simulator) -> None:
    size = 50_000_000
    with contextlib.ExitStack() as held:
        callers = []
        for accept in ("application/json", "text/event-stream", "application/zip"):
            caller = held.enter_context(connect(server, request(large_output(common_sim, size), Accept=accept)))
            assert caller.recv(12) == b"HTTP/1.1 200"
            callers.append(caller)
        until_true(lambda: slots_taken(server) == 0, SECONDS)
        for caller in callers:
            with contextlib.suppress(ConnectionError):
                assert sum(map(len, iter(partial(caller.recv, 2**20), b""))) < size


def test_who_reads_slowly_is_served_to_the_end(server: Server, common_sim: Simulator) -> None:
    size, came = 12_000_000, 0
    body = large_output(common_sim, size)
    with connect(server, request(body, Accept="application/zip", Connection="close")) as caller:
        began = time.monotonic()
        while data := caller.recv(12_000):
            came += len(data)
            if time.monotonic() - began < 2.5 * PATIENCE:
                time.sleep(0.05)  # reads slowly
    assert came > size

"""The simulator as tests and the demo hold it: start, stop, faults, and a look inside."""

import asyncio
import contextlib
import shutil
import ssl
import tempfile
import threading
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from comfybridge.simulator.faults import Faults, NodeFault, RouteFault
from comfybridge.simulator.gate import Gate
from comfybridge.simulator.instance import Instance
from comfybridge.simulator.recorder import RecordedRequest, Recorder
from comfybridge.simulator.sockets import Distort
from comfybridge.simulator.version import NEWEST, Version
from comfybridge.simulator.world import Folders, World, model_lists

_T = TypeVar("_T")
_HISTORY_SECONDS = 5.0


class Simulator:
    """A ComfyUI stand-in on a thread of its own; a context manager.

    `port` 0 lets the system choose. `step_seconds` is the time of one sampling step. `checkpoints` replaces the one
    demo checkpoint. `version` is the ComfyUI to pose as (`version.py` shows the differences). `prefix` ("/comfy")
    precedes every path. `authorization` ("Bearer x") is the header value that every request must have; others get a
    401. With an `ssl_context` it speaks TLS. Files are kept in `directory`, or in a temporary folder without it.
    `previews` False keeps samplers from sending pictures, unless a prompt asks for them (0.13 and later).
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        step_seconds: float = 0.02,
        checkpoints: list[str] | None = None,
        version: str = NEWEST,
        prefix: str = "",
        authorization: str | None = None,
        ssl_context: ssl.SSLContext | None = None,
        directory: str | Path | None = None,
        previews: bool = True,
    ) -> None:
        self._host = host
        self._port = port
        self._prefix = prefix.rstrip("/")
        self._authorization = authorization
        self._ssl_context = ssl_context
        self._directory = directory
        self._previews = previews
        self._version = Version(version)
        self._models = model_lists(checkpoints)
        self._replacements: dict[str, list[dict[str, Any]]] = {}
        self._gate = Gate(step_seconds)
        self._faults = Faults()
        self._recorder = Recorder()
        self._sockets_changed = threading.Condition()
        self._folders: Folders | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._instance: Instance | None = None
        self._awake = threading.Event()
        self._awake.set()

    # Life

    def start(self) -> "Simulator":
        """Starts to serve; returns itself once requests are answered. Raises OSError when the port is taken."""
        root = Path(tempfile.mkdtemp(prefix="comfyui-simulator-") if self._directory is None else self._directory)
        self._folders = Folders(root.resolve())
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="simulator loop", daemon=True)
        self._thread.start()
        try:
            self.revive()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stops, and deletes the temporary directory. Stopping twice does no harm."""
        self.kill()
        if self._loop is not None and self._thread is not None:
            self._call(_end_tasks())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(5)
            self._loop.close()
            self._loop = self._thread = None
        if self._directory is None and self._folders is not None:
            shutil.rmtree(self._folders.root, ignore_errors=True)

    def kill(self) -> None:
        """Ends the server like a killed process: connections are cut, and queue, history and cache are lost."""
        self.resume()
        instance, self._instance = self._instance, None
        if instance is not None:
            self._call(instance.stop())

    def revive(self) -> None:
        """Starts a new server on the same port, after `kill`. Output and input files are still there."""
        assert self._folders is not None, "not started"
        shutil.rmtree(self._folders.temp, ignore_errors=True)  # ComfyUI empties it whenever it starts
        self._folders.create()
        world = World(self._folders, self._version, self._models, self._replacements)
        self._instance = self._call(self._boot(world))

    def restart(self, downtime: float = 0.0) -> None:
        """Kills the server and restarts it `downtime` seconds later; blocks until it answers again."""
        self.kill()
        time.sleep(downtime)
        self.revive()

    def __enter__(self) -> "Simulator":
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    # Observation

    @property
    def url(self) -> str:
        """Where clients find it, with the prefix and without a slash at the end."""
        scheme = "http" if self._ssl_context is None else "https"
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{scheme}://{host}:{self._port}{self._prefix}"

    @property
    def requests(self) -> list[RecordedRequest]:
        """All requests so far, websocket ones too, the oldest first."""
        return self._recorder.requests

    def forget_requests(self) -> None:
        """Empties `requests`."""
        self._recorder.clear()

    @property
    def pending(self) -> list[str]:
        """Ids of the prompts that wait, the next one first."""
        return [item[1] for item in sorted(self._alive.queue.pending, key=lambda item: item[:2])]

    @property
    def running(self) -> list[str]:
        """The id of the prompt that runs, or nothing."""
        return [item[1] for item in self._alive.queue.running]

    @property
    def history(self) -> dict[str, Any]:
        """The whole history, with each prompt that has told its end; GET /history may answer it a moment earlier."""
        queue, executor = self._alive.queue, self._alive.executor
        queue.wait_until(lambda: not (queue.running and executor.has_told_end), _HISTORY_SECONDS)
        return queue.history()

    def finished_at(self, prompt_id: str) -> float:
        """When a prompt entered the history, on `time.monotonic()`'s clock."""
        return self._alive.queue.finished_at[prompt_id]

    @property
    def sockets(self) -> int:
        """Open websockets as the server sees them."""
        return 0 if self._instance is None else self._instance.sockets.count

    @property
    def models(self) -> dict[str, list[str]]:
        """The file names of its models by folder; the lists may be changed at any time."""
        return self._models

    @property
    def replacements(self) -> dict[str, list[dict[str, Any]]]:
        """What takes the place of retired node classes, in ComfyUI's shape; may be changed at any time."""
        return self._replacements

    @property
    def checkpoints(self) -> list[str]:
        """The file names of the checkpoints that it offers; may be changed at any time."""
        return list(self._models["checkpoints"])

    @checkpoints.setter
    def checkpoints(self, names: list[str]) -> None:
        self._models["checkpoints"][:] = names

    @property
    def input_directory(self) -> Path:
        return self._paths.input

    @property
    def output_directory(self) -> Path:
        return self._paths.output

    @property
    def temp_directory(self) -> Path:
        return self._paths.temp

    @property
    def version(self) -> str:
        """The ComfyUI that it poses as; a change takes effect at the next start, as an upgrade does."""
        return self._version.text

    @version.setter
    def version(self, version: str) -> None:
        self._version = Version(version)

    # Pace

    @property
    def step_seconds(self) -> float:
        """How long a sampling step takes, in seconds; may be changed at any time."""
        return self._gate.step_seconds

    @step_seconds.setter
    def step_seconds(self, seconds: float) -> None:
        self._gate.step_seconds = seconds

    def hold(self, *, deaf: bool = False) -> None:
        """Lets no node finish until `release`. A held node obeys an interrupt, unless `deaf`."""
        self._gate.hold(deaf)

    def hold_steps(self, after: int = 0) -> None:
        """Lets samplers take `after` steps and no more until `release`; they still obey an interrupt."""
        self._gate.hold_steps(after)

    def release(self) -> None:
        """Ends `hold` and `hold_steps`."""
        self._gate.release()

    def wait_until_running(self, prompt_id: str | None = None, timeout: float = 10) -> None:
        """Waits until this prompt runs (None: any). Raises TimeoutError after `timeout` seconds."""
        queue = self._alive.queue

        def runs() -> bool:
            return any(prompt_id in (None, item[1]) for item in queue.running)

        self._demand(queue.wait_until(runs, timeout), f"prompt {prompt_id or ''} does not run")

    def wait_until_held(self, timeout: float = 10) -> None:
        """Waits until `hold` holds a prompt: an interrupt reaches it now, and not only the prompt before it."""
        self._demand(self._gate.wait_until_held(timeout), "no prompt is held")

    def wait_until_queued(self, count: int, timeout: float = 10) -> None:
        """Waits until at least `count` prompts are in the queue, the running one included (`queue_remaining`)."""
        queue = self._alive.queue
        self._demand(queue.wait_until(lambda: queue.remaining >= count, timeout), f"not {count} prompts in the queue")

    def wait_until_pending(self, count: int, timeout: float = 10) -> None:
        """Waits until at least `count` prompts wait behind the running one."""
        queue = self._alive.queue
        self._demand(queue.wait_until(lambda: len(queue.pending) >= count, timeout), f"not {count} prompts pending")

    def wait_until_idle(self, timeout: float = 10) -> None:
        """Waits until nothing runs and nothing waits."""
        queue = self._alive.queue
        self._demand(queue.wait_until(lambda: queue.remaining == 0, timeout), "the queue is not empty")

    def wait_for_sockets(self, count: int, timeout: float = 10) -> None:
        """Waits until exactly `count` websockets are open as the server sees them."""
        with self._sockets_changed:
            reached = self._sockets_changed.wait_for(lambda: self.sockets == count, timeout)
        self._demand(reached, f"{self.sockets} websockets are open, not {count}")

    # Faults

    def drop_sockets(self) -> None:
        """Cuts the TCP connection of every websocket."""
        self._in_loop(self._alive.sockets.drop)

    def mute(self) -> None:
        """Sends nothing more on any websocket, not even pongs; messages of that time are lost."""
        self._alive.sockets.muted = True

    def unmute(self) -> None:
        """Ends `mute`."""
        self._alive.sockets.muted = False

    def distort(self, how: Distort | None) -> None:
        """Sends the result of `how` in place of each websocket message `(type, data, client id)`; None ends it.

        A message whose data is a text or bytes is sent as it is, without its type.
        """
        self._alive.sockets.distort = how

    def say(self, data: str | bytes, client_id: str | None = None) -> None:
        """Sends a given frame to one client or to all."""
        self._alive.sockets.post(None, data, client_id)

    def suspend(self) -> None:
        """Stops answering, like a stopped process: connections are accepted, but nothing is sent.

        Running prompts go on; use `hold` to keep them.
        """
        assert self._loop is not None, "not started"
        self._awake.clear()
        stopped = threading.Event()

        def sleep() -> None:
            stopped.set()
            self._awake.wait()

        self._loop.call_soon_threadsafe(sleep)
        stopped.wait(10)

    def resume(self) -> None:
        """Ends `suspend`."""
        self._awake.set()

    def fail_node(
        self, class_type: str, message: str, *, times: int | None = None, exception_type: str = "RuntimeError"
    ) -> None:
        """Makes the next `times` runs of this node class raise (None: all until `heal`)."""
        self._faults.add_node(class_type, NodeFault(message, exception_type, times=times))

    def block_node(self, class_type: str, message: str, *, times: int | None = None) -> None:
        """Makes this node class block its successors with a message, as ComfyUI's ExecutionBlocker does."""
        self._faults.add_node(class_type, NodeFault(message, blocks=True, times=times))

    def forget_interrupts(self, times: int = 1) -> None:
        """Has the next interrupts answered but forgotten, as ComfyUI does while a prompt begins."""
        self._faults.forget_interrupts(times)

    def fail_route(
        self,
        path: str,
        status: int | None = None,
        body: bytes = b"",
        *,
        times: int | None = 1,
        method: str | None = None,
        headers: dict[str, str] | None = None,
        close: bool = False,
        cut: int | None = None,
        delay: float = 0.0,
        drip: float = 0.0,
        handled: bool = False,
    ) -> None:
        """Makes the next `times` requests to a path go wrong (None: all until `heal`).

        `path` ("/history", "*" for all) includes all paths below it, with or without prefix and /api. The answer is
        `status` (500 if nothing else is given) with `body` and `headers`; `close` cuts the connection without one;
        `cut` announces all of `body` and cuts it after this many bytes; `drip` sends it byte by byte, with this many
        seconds before each; `delay` waits this many seconds first, and if only it is given, the usual answer follows.
        With `handled` the request is carried out, and only its answer is lost.
        """
        if status is None and not close and cut is None and not delay and not drip:
            status = 500
        fault = RouteFault(path, method, status, body, headers or {}, close, cut, delay, drip, handled, times)
        self._faults.add_route(fault)

    def heal(self) -> None:
        """Ends all faults of nodes and routes; cached results of faulty nodes are forgotten."""
        self._faults.heal()
        self._alive.executor.forget = True

    # Inside

    @property
    def _alive(self) -> Instance:
        if self._instance is None:
            raise RuntimeError("the simulator is not running")
        return self._instance

    @property
    def _paths(self) -> Folders:
        if self._folders is None:
            raise RuntimeError("the simulator has not been started")
        return self._folders

    async def _boot(self, world: World) -> Instance:
        instance = Instance(
            world,
            self._gate,
            self._faults,
            self._recorder,
            previews=self._previews,
            prefix=self._prefix,
            authorization=self._authorization,
            on_sockets=self._announce_sockets,
        )
        try:
            self._port = await instance.start(self._host, self._port, self._ssl_context)
        except BaseException:
            with contextlib.suppress(RuntimeError):  # the worker was never started
                await instance.stop()
            raise
        return instance

    def _announce_sockets(self) -> None:
        with self._sockets_changed:
            self._sockets_changed.notify_all()

    def _call(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        assert self._loop is not None, "not started"
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(30)

    def _in_loop(self, function: Callable[[], None]) -> None:
        async def call() -> None:
            function()

        self._call(call())

    @staticmethod
    def _demand(reached: bool, complaint: str) -> None:
        if not reached:
            raise TimeoutError(complaint)


async def _end_tasks() -> None:
    """Ends what still runs on the loop, such as connections that were cut just now."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for each in tasks:
        each.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

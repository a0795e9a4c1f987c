"""One run of one node, with the parts of the server that its function can reach."""

import time
from collections.abc import Callable
from typing import Any

from PIL import Image

from comfybridge.simulator.cache import Cached
from comfybridge.simulator.frames import image_frame, image_frame_with_metadata
from comfybridge.simulator.gate import Gate
from comfybridge.simulator.nodes.definition import Graph
from comfybridge.simulator.progress import Progress
from comfybridge.simulator.sockets import Sockets
from comfybridge.simulator.world import World

# As in ComfyUI's `ProgressBar`: progress is told after so many seconds and so much of the whole, unless there is more
# to it than a number.
LEAST_SECONDS = 0.1
LEAST_PART = 0.005


class Interrupted(Exception):
    """POST /interrupt has reached a node."""


class Interrupt:
    """The flag that POST /interrupt sets and the next node or sampling step clears."""

    def __init__(self) -> None:
        self.raised = False

    def check(self) -> None:
        """Raises Interrupted, once for each time the flag was set."""
        if self.raised:
            self.raised = False
            raise Interrupted


class Run:
    """The state that the nodes of one prompt share."""

    def __init__(
        self,
        world: World,
        gate: Gate,
        sockets: Sockets,
        interrupt: Interrupt,
        stopped: Callable[[], bool],
        item: tuple[float, str, Graph, dict[str, Any], list[str]],
    ) -> None:
        _, self.prompt_id, self.graph, self.extra_data, self.outputs = item
        self.client_id: str | None = self.extra_data.get("client_id")
        self.world = world
        self.gate = gate
        self.sockets = sockets
        self.interrupt = interrupt
        self.stopped = stopped
        self.progress = Progress(self.prompt_id, self.send)
        self.executed: list[str] = []
        self.shown: dict[str, Cached] = {}
        """What nodes gave to show, by node."""

    def note_shown(self, node_id: str, result: Cached) -> None:
        if result.shown:
            self.shown[node_id] = result

    def send(self, event: str, data: Any) -> None:
        """To the client that queued the prompt; without one to every socket, as ComfyUI does."""
        self.sockets.post(event, data, self.client_id)

    def send_to_client(self, event: str, data: dict[str, Any]) -> None:
        """To the client that queued the prompt, and nowhere without one."""
        if self.client_id is not None:
            self.send(event, {**data, "prompt_id": self.prompt_id})


class RunningNode:
    """The first argument of one node's function (see `nodes.definition.NodeRun`)."""

    def __init__(self, run: Run, node_id: str, memory: dict[str, Any], previews: bool) -> None:
        self.world = run.world
        self.graph = run.graph
        self.extra_data = run.extra_data
        self.memory = memory
        self._run = run
        self._node_id = node_id
        self._previews = previews
        self._steps = 0
        self._told_at, self._told = 0.0, -1  # the last progress that was told

    def step(self) -> None:
        self._run.gate.take_step(self._steps, lambda: self._run.interrupt.raised, self._run.stopped)
        self._steps += 1

    def progress(self, value: int, maximum: int, image: tuple[str, Image.Image] | None = None) -> None:
        run = self._run
        run.interrupt.check()
        if image is not None and image[0] == "JPEG" and not self._previews:
            image = None
        if image is None and self._is_throttled(value, maximum):
            return
        self._told_at, self._told = time.perf_counter(), value
        run.progress.update(self._node_id, value, maximum)
        with_metadata = run.sockets.wants_metadata(run.client_id)
        if with_metadata:
            self._send_image(image, with_metadata)
        numbers = {"value": value, "max": maximum, "prompt_id": run.prompt_id, "node": self._node_id}
        run.send("progress", numbers)
        if not with_metadata:
            self._send_image(image, with_metadata)

    def _is_throttled(self, value: int, maximum: int) -> bool:
        """Whether a step is passed over: neither the first nor the last one, and too soon after another."""
        if not self.world.version.throttles_progress or self._told < 0 or value >= maximum:
            return False
        is_little = value - self._told < LEAST_PART * maximum
        return is_little or time.perf_counter() - self._told_at < LEAST_SECONDS

    def _send_image(self, image: tuple[str, Image.Image] | None, with_metadata: bool) -> None:
        run = self._run
        if image is None or not run.sockets.has(run.client_id):
            return  # encoding a picture for nobody would be the most expensive part of a step
        if with_metadata:
            frame = image_frame_with_metadata(*image, self._node_id, run.prompt_id)
        else:
            frame = image_frame(*image)
        run.sockets.post(None, frame, run.client_id)

"""One life of the simulated server, from start to stop: the state that a real one would lose with its process."""

import asyncio
import logging
import ssl
import threading
from collections.abc import Callable
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Middleware

from comfybridge.simulator.executor import Executor
from comfybridge.simulator.faults import Faults
from comfybridge.simulator.gate import Gate, Stopped
from comfybridge.simulator.instance_parts import Parts
from comfybridge.simulator.prompt_queue import PromptQueue
from comfybridge.simulator.recorder import Recorder
from comfybridge.simulator.routes_files import FileRoutes
from comfybridge.simulator.routes_info import InfoRoutes
from comfybridge.simulator.routes_jobs import JobRoutes
from comfybridge.simulator.routes_prompts import PromptRoutes
from comfybridge.simulator.sockets import Sockets
from comfybridge.simulator.web_layers import authorization_layer, fault_layer, recording_layer, trouble_layer
from comfybridge.simulator.world import World

_log = logging.getLogger(__name__)

MAX_UPLOAD_BYTES = 100 * 1024 * 1024


class Instance:
    """A server with its queue, worker, sockets and routes. Made and used on its event loop's thread."""

    def __init__(
        self,
        world: World,
        gate: Gate,
        faults: Faults,
        recorder: Recorder,
        *,
        previews: bool,
        prefix: str,
        authorization: str | None,
        on_sockets: Callable[[], None],
    ) -> None:
        self._stopping = threading.Event()
        self._gate = gate
        self._prefix = prefix
        features: dict[str, Any] = {"supports_preview_metadata": True, "max_upload_size": MAX_UPLOAD_BYTES}
        if world.version.is_modern:
            features.update(node_replacements=True, assets=False, supports_model_type_tags=True)
            features["extension"] = {"manager": {"supports_v4": True}}
        self.sockets = Sockets(asyncio.get_running_loop(), features)
        self.queue = PromptQueue(self._announce_queue)
        self.executor = Executor(world, gate, faults, self.sockets, previews, self._stopping.is_set)
        self._parts = Parts(world, self.queue, self.executor, gate, faults, features)
        self.sockets.on_change = on_sockets
        self.sockets.greeting = self._parts.queue_info
        self.sockets.now_executing = self._now_executing
        self._runner = web.AppRunner(
            self._application(recorder, faults, authorization), access_log=None, shutdown_timeout=0.05
        )
        self._publisher: asyncio.Task[None] | None = None
        self._worker = threading.Thread(target=self._work, name="simulator worker", daemon=True)

    async def start(self, host: str, port: int, ssl_context: ssl.SSLContext | None) -> int:
        """Begins to listen and to work; returns the port, which the system chose if 0 was asked for."""
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port, ssl_context=ssl_context, backlog=1024)
        await site.start()
        self._publisher = asyncio.create_task(self.sockets.publish())
        self._worker.start()
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Ends like a killed process: connections are cut, and nothing is finished."""
        self._stopping.set()
        self.queue.close()
        self._gate.wake()
        server = self._runner.server
        for connection in list(server.connections) if server is not None else []:
            if connection.transport is not None:
                connection.transport.abort()
        await self._runner.cleanup()
        if self._publisher is not None:
            self._publisher.cancel()
        await asyncio.to_thread(self._worker.join, 5)

    def _application(self, recorder: Recorder, faults: Faults, authorization: str | None) -> web.Application:
        layers: list[Middleware] = [
            trouble_layer(),
            recording_layer(recorder, self._prefix),
            authorization_layer(authorization),
            fault_layer(faults, self._prefix),
        ]
        application = web.Application(client_max_size=MAX_UPLOAD_BYTES, middlewares=layers)
        routes = [
            web.get("/ws", self.sockets.handle),
            *PromptRoutes(self._parts).table(),
            *JobRoutes(self._parts).table(),
            *InfoRoutes(self._parts).table(),
            *FileRoutes(self._parts).table(),
        ]
        for route in routes:
            for start in (self._prefix, f"{self._prefix}/api"):
                application.add_routes([web.RouteDef(route.method, start + route.path, route.handler, route.kwargs)])
        # Where no route matches, ComfyUI looks for files of its page: a GET finds nothing, and any other method gets
        # a 405.
        application.add_routes([web.get(self._prefix + "/{rest:.*}", _nothing)])
        return application

    def _work(self) -> None:
        try:
            while (item := self.queue.take()) is not None:
                entry = self.executor.execute(item)
                self.queue.finish(entry)
                self.executor.has_told_end = False
                client_id = self.executor.client_id
                if client_id is not None:
                    self.sockets.post("executing", {"node": None, "prompt_id": item[1]}, client_id)
        except Stopped:
            pass
        except Exception:
            # ComfyUI's worker dies of `extra_data: null`, and of an accepted graph in which a node that need not run
            # has no `inputs`: the prompt stays in the list of running ones, and nothing ever runs again.
            _log.exception("the worker has died")

    def _announce_queue(self) -> None:
        self.sockets.post("status", {"status": self._parts.queue_info()})

    def _now_executing(self, client_id: str) -> Any:
        return self.executor.current_node if self.executor.client_id == client_id else None


async def _nothing(_: web.Request) -> web.Response:
    return web.Response(status=404)

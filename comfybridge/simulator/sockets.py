"""The websockets: the connected clients, and the one loop that writes to all of them in turn."""

import asyncio
import contextlib
import json
import uuid
from collections.abc import Callable, Iterable
from typing import Any

from aiohttp import WSMsgType, web

Message = tuple[str | None, Any, str | None]
Distort = Callable[[Message], Iterable[Message]]


class Sockets:
    """All open websockets. Only `post` may be called from other threads than the event loop's."""

    def __init__(self, loop: asyncio.AbstractEventLoop, features: dict[str, Any]) -> None:
        self._loop = loop
        self._features = features
        self._messages: asyncio.Queue[Message] = asyncio.Queue()
        self._by_client: dict[str, web.WebSocketResponse] = {}
        self._flags: dict[str, dict[str, Any]] = {}
        self._open: dict[web.WebSocketResponse, web.Request] = {}
        self.muted = False
        self.distort: Distort | None = None
        """What becomes of each message on its way; None: nothing."""
        self.on_change: Callable[[], None] = lambda: None
        self.greeting: Callable[[], dict[str, Any]] = dict
        """The `status` a new socket is greeted with."""
        self.now_executing: Callable[[str], str | None] = lambda client_id: None
        """The node that runs for a client at this moment, for its greeting."""

    @property
    def count(self) -> int:
        """Open websockets, also those that no event reaches any more."""
        return len(self._open)

    def post(self, event: str | None, data: Any, client_id: str | None = None) -> None:
        """Queues a message for one client, or with None for every socket; bytes and texts are sent as they are."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: the server is going down
            self._loop.call_soon_threadsafe(self._messages.put_nowait, (event, data, client_id))

    def wants_metadata(self, client_id: str | None) -> bool:
        """Whether the client asked for previews that name their prompt and node."""
        flags = self._flags.get(client_id) if client_id is not None else None
        return bool(flags and flags.get("supports_preview_metadata"))

    def has(self, client_id: str | None) -> bool:
        """Whether a message to this client (None: all) would reach any socket."""
        return bool(self._by_client) if client_id is None else client_id in self._by_client

    async def publish(self) -> None:
        """Sends posted messages, forever. Each send is awaited: one socket that is not read delays all the others."""
        while True:
            message = await self._messages.get()
            for event, data, client_id in [message] if self.distort is None else self.distort(message):
                await self._send(event, data, client_id)

    async def _send(self, event: str | None, data: Any, client_id: str | None) -> None:
        if self.muted:
            return
        if client_id is None:
            receivers = list(self._by_client.values())
        else:
            receivers = [self._by_client[client_id]] if client_id in self._by_client else []
        for socket in receivers:
            with contextlib.suppress(ConnectionError):
                if isinstance(data, bytes):
                    await socket.send_bytes(data)
                elif isinstance(data, str):
                    await socket.send_str(data)
                else:
                    await socket.send_json({"type": event, "data": data})

    async def handle(self, request: web.Request) -> web.WebSocketResponse:
        """GET /ws: one connection's whole life."""
        socket = web.WebSocketResponse(autoping=False)
        await socket.prepare(request)
        client_id = request.query.get("clientId", "")
        if client_id:
            self._by_client.pop(client_id, None)
        else:
            client_id = uuid.uuid4().hex
        self._by_client[client_id] = socket
        self._flags[client_id] = {}
        self._open[socket] = request
        self.on_change()
        try:
            await self._greet(client_id)
            await self._listen(socket, client_id)
        finally:
            # A flaw of ComfyUI's, reproduced: this removes whichever socket has the id by now. If the client has
            # reconnected before this connection was noticed to be dead, the new socket is removed, and nothing
            # reaches it again.
            self._by_client.pop(client_id, None)
            self._flags.pop(client_id, None)
            del self._open[socket]
            self.on_change()
        return socket

    async def _greet(self, client_id: str) -> None:
        await self._send("status", {"status": self.greeting(), "sid": client_id}, client_id)
        node_id = self.now_executing(client_id)
        if node_id is not None:
            await self._send("executing", {"node": node_id}, client_id)

    async def _listen(self, socket: web.WebSocketResponse, client_id: str) -> None:
        first = True
        async for message in socket:
            if message.type is WSMsgType.PING and not self.muted:
                await socket.pong(message.data)
            if message.type is not WSMsgType.TEXT:
                continue
            with contextlib.suppress(ValueError, AttributeError):
                content = json.loads(message.data)
                if first and content.get("type") == "feature_flags":
                    self._flags[client_id] = content.get("data", {})
                    await self._send("feature_flags", self._features, client_id)
                first = False

    def drop(self) -> None:
        """Cuts every connection without a closing handshake."""
        for request in list(self._open.values()):
            if request.transport is not None:
                request.transport.abort()

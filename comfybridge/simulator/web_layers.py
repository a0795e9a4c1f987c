"""The layers that every request passes before its route: recording, authorization, and the faults set by a test."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.typedefs import Middleware

from comfybridge.simulator.faults import Faults, RouteFault
from comfybridge.simulator.recorder import Recorder

_log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def without_prefix(path: str, prefix: str) -> str:
    """The path that ComfyUI would see behind a proxy that removes the prefix."""
    return path[len(prefix) :] if prefix and path.startswith(prefix + "/") else path


def trouble_layer() -> Middleware:
    """Answers 500 in ComfyUI's words if a handler fails on an unexpected body."""

    @web.middleware
    async def layer(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPException:
            raise
        except Exception:
            _log.debug("%s %s failed", request.method, request.path, exc_info=True)
            response = web.Response(status=500, text="500 Internal Server Error\n\nServer got itself in trouble")
            response.force_close()
            return response

    return layer


def recording_layer(recorder: Recorder, prefix: str) -> Middleware:
    """Notes every request, also the refused ones."""

    @web.middleware
    async def layer(request: web.Request, handler: Handler) -> web.StreamResponse:
        await recorder.record(request, without_prefix(request.path, prefix))
        return await handler(request)

    return layer


def authorization_layer(authorization: str | None) -> Middleware:
    """Answers 401 to requests without exactly this Authorization header."""

    @web.middleware
    async def layer(request: web.Request, handler: Handler) -> web.StreamResponse:
        if authorization is not None and request.headers.get("Authorization") != authorization:
            return web.Response(status=401, text="Unauthorized")
        return await handler(request)

    return layer


def fault_layer(faults: Faults, prefix: str) -> Middleware:
    """Applies a route's fault in place of, or before, its answer."""

    @web.middleware
    async def layer(request: web.Request, handler: Handler) -> web.StreamResponse:
        path = without_prefix(request.path, prefix)
        fault = faults.of_request(request.method, path.removeprefix("/api"))
        if fault is None:
            return await handler(request)
        if fault.handled:
            await handler(request)
        if fault.delay:
            await asyncio.sleep(fault.delay)
        if fault.close:
            return _cut(request)
        if fault.cut is not None:
            return await _cut_short(request, fault, fault.cut)
        if fault.drip:
            return await _drip(request, fault)
        if fault.status is not None:
            return web.Response(status=fault.status, body=fault.body, headers=fault.headers)
        return await handler(request)

    return layer


def _cut(request: web.Request) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def _drip(request: web.Request, fault: RouteFault) -> web.StreamResponse:
    """Sends the body byte by byte, with a pause before each."""
    response = web.StreamResponse(status=fault.status or 200, headers=fault.headers)
    response.content_length = len(fault.body)
    await response.prepare(request)
    for place in range(len(fault.body)):
        await asyncio.sleep(fault.drip)
        await response.write(fault.body[place : place + 1])
    return response


async def _cut_short(request: web.Request, fault: RouteFault, sent: int) -> web.StreamResponse:
    """Promises the whole body and delivers `sent` bytes of it."""
    response = web.StreamResponse(status=fault.status or 200, headers=fault.headers)
    response.content_length = len(fault.body)
    await response.prepare(request)
    await response.write(fault.body[:sent])
    await asyncio.sleep(0.01)  # lets the bytes reach the wire before the connection is cut
    return _cut(request)

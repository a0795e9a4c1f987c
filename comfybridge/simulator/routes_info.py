"""The routes that describe the server: its nodes, models and features."""

import os
import sys

from aiohttp import web

from comfybridge.simulator.instance_parts import Parts
from comfybridge.simulator.nodes.catalog import node_classes

# Figures of an imaginary machine; bytes.
_MEMORY = 16 * 1024**3

_PAGE = "<!doctype html><title>ComfyBridge simulator</title><p>A stand-in for a ComfyUI server, without its page."


class InfoRoutes:
    """GET of /object_info, /node_replacements, /models, /embeddings, /features, /system_stats and the start page."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._replaces_nodes = parts.world.version.replaces_nodes

    def table(self) -> list[web.RouteDef]:
        return [
            web.get("/", self.page),
            web.get("/object_info", self.object_info),
            web.get("/object_info/{name}", self.object_info_of),
            *([web.get("/node_replacements", self.node_replacements)] if self._replaces_nodes else []),
            web.get("/models", self.model_folders),
            web.get("/models/{folder}", self.models),
            web.get("/embeddings", self.embeddings),
            web.get("/features", self.features),
            web.get("/system_stats", self.system_stats),
        ]

    async def page(self, _: web.Request) -> web.Response:
        return web.Response(text=_PAGE, content_type="text/html")

    async def object_info(self, _: web.Request) -> web.Response:
        world = self._parts.world
        return web.json_response({name: kind.info(world) for name, kind in node_classes(world.version).items()})

    async def object_info_of(self, request: web.Request) -> web.Response:
        kind = node_classes(self._parts.world.version).get(request.match_info["name"])
        return web.json_response({} if kind is None else {kind.name: kind.info(self._parts.world)})

    async def node_replacements(self, _: web.Request) -> web.Response:
        return web.json_response(self._parts.world.replacements)

    async def model_folders(self, _: web.Request) -> web.Response:
        return web.json_response(list(self._parts.world.models))

    async def models(self, request: web.Request) -> web.Response:
        files = self._parts.world.models.get(request.match_info["folder"])
        return web.Response(status=404) if files is None else web.json_response(files)

    async def embeddings(self, _: web.Request) -> web.Response:
        files = self._parts.world.models["embeddings"]
        return web.json_response([os.path.splitext(file)[0] for file in files])

    async def features(self, _: web.Request) -> web.Response:
        return web.json_response(self._parts.features)

    async def system_stats(self, _: web.Request) -> web.Response:
        world = self._parts.world
        memory = {"vram_total": _MEMORY, "vram_free": _MEMORY}
        torch_memory = {"torch_vram_total": _MEMORY, "torch_vram_free": _MEMORY}
        system = {
            "os": sys.platform if world.version.is_modern else os.name,
            "ram_total": _MEMORY,
            "ram_free": _MEMORY,
            "comfyui_version": world.version.text,
            "required_frontend_version": "1.27.10",
            "installed_templates_version": "0.1.95",
            "required_templates_version": "0.1.95",
            "python_version": sys.version,
            "pytorch_version": "none",
            "embedded_python": False,
            "argv": ["simulator"],
        }
        if world.version.is_modern:
            system.update(comfy_package_versions=[], deploy_environment="local-git")
        device = {"name": "ComfyBridge simulator", "type": "cpu", "index": None, **memory, **torch_memory}
        return web.json_response({"system": system, "devices": [device]})

"""`GET /models`, `GET /models/FOLDER` and `GET /stats`: the models and the state of ComfyUI."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from flask import Response, jsonify
from pydantic import Field

from comfybridge.comfyui.servers import Server
from comfybridge.errors import BridgeError, ComfyUIError, ComfyUIUnreachable, NotFound, TimedOut
from comfybridge.jobs.presence import Agent
from comfybridge.web.current import check_server_info, current_bridge, current_jobs, request_deadline
from comfybridge.web.describing import Variable, describes, json_answer
from comfybridge.web.dialects.native.blueprint import blueprint
from comfybridge.web.dialects.native.bodies import AgentAnswer, ServerAnswer, StatsAnswer

NAME = Annotated[str, Field(min_length=1, max_length=200)]
ASKING_ERRORS = (ComfyUIError, ComfyUIUnreachable, TimedOut)

# The fields returned from ComfyUI's `/system_stats`. `argv` contains paths, and so may fields of future versions.
SYSTEM_FIELDS = ("os", "comfyui_version", "python_version", "pytorch_version", "ram_total", "ram_free")
DEVICE_FIELDS = ("name", "type", "index", "vram_total", "vram_free", "torch_vram_total", "torch_vram_free")


@blueprint.get("/models")
@describes(tag="ComfyUI", answers=json_answer("Their names.", list[str]), raises=ASKING_ERRORS)
def list_model_folders() -> Response:
    """The kinds of models, as ComfyUI gives them."""
    check_server_info()
    deadline = request_deadline()
    return jsonify(
        current_bridge().servers.first(lambda server, patience: server.client.model_folders(patience), deadline)
    )


@blueprint.get("/models/<path:folder>")
@describes(
    tag="ComfyUI",
    path={"folder": Variable("the folder, from `/models`", NAME)},
    answers=json_answer("Their file names.", list[str]),
    raises=(*ASKING_ERRORS, NotFound),
)
def list_models(folder: str) -> Response:
    """The models of one kind, as ComfyUI gives them."""
    check_server_info()
    servers, deadline = current_bridge().servers, request_deadline()
    models = servers.first(lambda server, patience: server.client.models(folder, patience), deadline)
    if models is None:
        known = ", ".join(servers.first(lambda server, patience: server.client.model_folders(patience), deadline))
        raise NotFound(f"ComfyUI has no model folder {folder[:100]!r}; it has {known}.")
    return jsonify(models)


@blueprint.get("/stats")
@describes(tag="ComfyUI", answers=json_answer("Each server.", StatsAnswer), raises=ASKING_ERRORS)
def get_stats() -> Response:
    """Versions, devices, memory (in bytes) and load of each server; and the jobs and their agents."""
    check_server_info()
    servers, deadline = current_bridge().servers, request_deadline()
    said = list(servers.each(lambda server, patience: server.client.system_stats(patience), deadline))
    errors = [each for _, each in said if isinstance(each, BridgeError)]
    if len(errors) == len(said):
        raise errors[0] if errors else servers.nobody()
    body: StatsAnswer = {"servers": [_server(server, each) for server, each in said]}
    jobs = current_jobs()
    figures = None if jobs is None else jobs.figures()
    if figures is not None:
        body["agents"] = [_agent(each) for each in figures.agents]
        body["jobs"] = {
            "queued": figures.counts.get("queued", 0),
            "running": figures.counts.get("running", 0),
            "oldest_seconds": _rounded(figures.oldest),
        }
    return jsonify(body)


def _agent(agent: Agent) -> AgentAnswer:
    return {
        "name": agent.name,
        "version": agent.version,
        "slots": agent.slots,
        "running": len(agent.running),
        "servers": dict(agent.servers),
        "mean_seconds": _rounded(agent.mean_seconds),
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 4)


def _server(server: Server, said: Mapping[str, Any] | BridgeError) -> ServerAnswer:
    answered = {} if isinstance(said, BridgeError) else said
    devices = answered.get("devices")
    figures = server.figures
    body: ServerAnswer = {
        "server": server.url,
        "reachable": not isinstance(said, BridgeError),
        "in_flight": figures.in_flight,
        "queue_remaining": figures.queue_remaining,
        "mean_seconds": _rounded(figures.mean_seconds),
        "system": _picked(answered.get("system"), SYSTEM_FIELDS),
        "devices": [_picked(device, DEVICE_FIELDS) for device in devices] if isinstance(devices, list) else [],
    }
    return body


def _picked(described: object, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: described[name] for name in names if name in described} if isinstance(described, Mapping) else {}

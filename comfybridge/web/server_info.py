"""`GET /models`, `GET /models/FOLDER` and `GET /stats`: what the ComfyUI behind the bridge has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, jsonify

from comfybridge.errors import NotFound
from comfybridge.web.current import current_bridge, request_deadline

blueprint = Blueprint("server_info", __name__)

# What is handed on of ComfyUI's `/system_stats`. Its `argv` holds paths, and so may fields of versions to come.
SYSTEM_FIELDS = ("os", "comfyui_version", "python_version", "pytorch_version", "ram_total", "ram_free")
DEVICE_FIELDS = ("name", "type", "index", "vram_total", "vram_free", "torch_vram_total", "torch_vram_free")


@blueprint.get("/models")
def list_model_folders() -> Response:
    """The kinds of models, as ComfyUI gives them."""
    return jsonify(current_bridge().client.model_folders(request_deadline()))


@blueprint.get("/models/<path:folder>")
def list_models(folder: str) -> Response:
    """The models of one kind, as ComfyUI gives them."""
    client, deadline = current_bridge().client, request_deadline()
    models = client.models(folder, deadline)
    if models is None:
        known = ", ".join(client.model_folders(deadline))
        raise NotFound(f"ComfyUI has no model folder {folder[:100]!r}; it has {known}.")
    return jsonify(models)


@blueprint.get("/stats")
def stats() -> Response:
    """Versions, devices and memory (in bytes) of each server."""
    client = current_bridge().client
    said = client.system_stats(request_deadline())
    server = {
        "server": client.address.url,
        "system": _picked(said.get("system"), SYSTEM_FIELDS),
        "devices": [_picked(device, DEVICE_FIELDS) for device in said.get("devices") or []],
    }
    return jsonify({"servers": [server]})


def _picked(described: object, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: described[name] for name in names if name in described} if isinstance(described, Mapping) else {}

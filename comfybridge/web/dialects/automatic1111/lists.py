"""The lists of what there is, by which programs fill their menus: from ComfyUI, or empty ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from flask import Response, jsonify
from pydantic import Field
from typing_extensions import TypedDict

from comfybridge.comfyui.servers import Server
from comfybridge.deadline import Deadline
from comfybridge.errors import BridgeError
from comfybridge.web.current import check_server_info, current_bridge, current_owner, request_deadline
from comfybridge.web.describing import describes, json_answer
from comfybridge.web.dialects.automatic1111.blueprint import blueprint
from comfybridge.web.dialects.automatic1111.models import bare
from comfybridge.web.dialects.automatic1111.samplers import USUAL, Offered, offered_samplers, offered_schedulers
from comfybridge.web.dialects.automatic1111.server import CHECKPOINTS, files, models_of, offered
from comfybridge.web.dialects.automatic1111.upscalers import LANCZOS, NEAREST, NONE, upscale_models
from comfybridge.web.dialects.automatic1111.views import ASKING_ERRORS, TAG, may_ask_servers

NAMES = Annotated[str, Field(description="its name, which requests take")]
EMPTY = Annotated[list[dict[str, Any]], Field(max_length=0)]


class SamplerAnswer(TypedDict):
    """A sampler."""

    name: NAMES
    aliases: list[str]
    options: dict[str, str]


class SchedulerAnswer(TypedDict):
    """A scheduler."""

    name: NAMES
    label: str
    aliases: list[str] | None
    default_rho: float
    need_inner_model: bool


class CheckpointAnswer(TypedDict):
    """A checkpoint, or another model that the workflow for txt2img takes."""

    title: NAMES
    model_name: Annotated[str, Field(description="without folders and ending")]
    hash: None
    sha256: None
    filename: Annotated[str, Field(description="as ComfyUI lists it")]
    config: None


class VaeAnswer(TypedDict):
    """A VAE."""

    model_name: NAMES
    filename: str


class LoraAnswer(TypedDict):
    """A LoRA."""

    name: Annotated[str, Field(description="as <lora:NAME:WEIGHT> takes it")]
    alias: str
    path: Annotated[str, Field(description="as ComfyUI lists it")]
    metadata: dict[str, Any]


class UpscalerAnswer(TypedDict):
    """An upscaler."""

    name: NAMES
    model_name: str | None
    model_path: str | None
    model_url: str | None
    scale: float


class HypernetworkAnswer(TypedDict):
    """A hypernetwork."""

    name: str
    path: str


class EmbeddingAnswer(TypedDict):
    """A textual inversion; what ComfyUI does not tell is null or 0."""

    step: int | None
    sd_checkpoint: str | None
    sd_checkpoint_name: str | None
    shape: int
    vectors: int


class EmbeddingsAnswer(TypedDict):
    """The textual inversions."""

    loaded: dict[str, EmbeddingAnswer]
    skipped: dict[str, EmbeddingAnswer]


class ScriptsAnswer(TypedDict):
    """The scripts: none, so that no program adds their arguments to its requests."""

    txt2img: list[str]
    img2img: list[str]


@blueprint.get("/samplers")
@describes(tag=TAG, answers=json_answer("The samplers.", list[SamplerAnswer]), raises=ASKING_ERRORS)
def samplers() -> Response:
    """The samplers that ComfyUI has, by AUTOMATIC1111's names where it has one for them."""
    return jsonify(
        [
            {
                "name": each.name,
                "aliases": [*each.aliases, *({each.comfy} - {each.name})],
                "options": {"scheduler": each.scheduler} if each.scheduler else {},
            }
            for each in offered_samplers(_offered())
        ]
    )


@blueprint.get("/schedulers")
@describes(tag=TAG, answers=json_answer("The schedulers.", list[SchedulerAnswer]), raises=ASKING_ERRORS)
def schedulers() -> Response:
    """The schedulers that ComfyUI has, by AUTOMATIC1111's names where it has one for them."""
    return jsonify(
        [
            {
                "name": each.name,
                "label": each.label,
                "aliases": list(each.aliases) or None,
                "default_rho": each.rho,
                "need_inner_model": each.needs_model,
            }
            for each in offered_schedulers(_offered())
        ]
    )


@blueprint.get("/sd-models")
@describes(tag=TAG, answers=json_answer("The models.", list[CheckpointAnswer]), raises=ASKING_ERRORS)
def sd_models() -> Response:
    """The models that the workflow for txt2img can be run with."""
    check_server_info()
    bridge, deadline = current_bridge(), request_deadline()
    try:
        found = models_of(bridge, bridge.template_for("txt2img", deadline, current_owner()), deadline)
    except BridgeError:
        found = []
    return jsonify(
        [
            {
                "title": each,
                "model_name": bare(each),
                "hash": None,
                "sha256": None,
                "filename": each,
                "config": None,
            }
            for each in found or files(bridge, CHECKPOINTS, deadline)
        ]
    )


@blueprint.get("/sd-vae")
@describes(tag=TAG, answers=json_answer("The VAEs.", list[VaeAnswer]), raises=ASKING_ERRORS)
def sd_vae() -> Response:
    """The VAEs that ComfyUI has."""
    return _listed("vae", lambda each: {"model_name": each, "filename": each})


@blueprint.get("/loras")
@describes(tag=TAG, answers=json_answer("The LoRAs.", list[LoraAnswer]), raises=ASKING_ERRORS)
def loras() -> Response:
    """The LoRAs that ComfyUI has, for `<lora:NAME:WEIGHT>` in prompts."""
    return _listed("loras", lambda each: {"name": bare(each), "alias": bare(each), "path": each, "metadata": {}})


@blueprint.get("/hypernetworks")
@describes(tag=TAG, answers=json_answer("The hypernetworks.", list[HypernetworkAnswer]), raises=ASKING_ERRORS)
def hypernetworks() -> Response:
    """The hypernetworks that ComfyUI has; requests can't name any."""
    return _listed("hypernetworks", lambda each: {"name": bare(each), "path": each})


@blueprint.get("/upscalers")
@describes(tag=TAG, answers=json_answer("The upscalers.", list[UpscalerAnswer]), raises=ASKING_ERRORS)
def upscalers() -> Response:
    """The upscalers that requests for larger pictures may name."""
    check_server_info()
    bridge, deadline = current_bridge(), request_deadline()
    plain = [_upscaler(name) for name in (NONE, LANCZOS, NEAREST)]
    models = upscale_models(bridge, deadline, current_owner())
    return jsonify([*plain, *(_upscaler(bare(each), each) for each in models)])


@blueprint.get("/embeddings")
@describes(tag=TAG, answers=json_answer("The textual inversions.", EmbeddingsAnswer), raises=ASKING_ERRORS)
def embeddings() -> Response:
    """The textual inversions that ComfyUI has; prompts name them as `embedding:NAME`."""
    check_server_info()
    unknown = {"step": None, "sd_checkpoint": None, "sd_checkpoint_name": None, "shape": 0, "vectors": 0}
    found = files(current_bridge(), "embeddings", request_deadline())
    return jsonify({"loaded": {bare(each): unknown for each in found}, "skipped": {}})


@blueprint.get("/scripts")
@describes(tag=TAG, answers=json_answer("No scripts.", ScriptsAnswer))
def scripts() -> Response:
    """No scripts."""
    return jsonify({"txt2img": [], "img2img": []})


def _add_empty_list(name: str, what: str) -> None:
    """Answer with an empty list for what the bridge has none of."""

    def view() -> Response:
        return jsonify([])

    view.__name__, view.__doc__ = name.replace("-", "_"), f"The {what}: none."
    blueprint.get(f"/{name}")(describes(tag=TAG, answers=json_answer("An empty list.", EMPTY))(view))


_add_empty_list("latent-upscale-modes", "upscalers for the second pass of enable_hr")
_add_empty_list("face-restorers", "models that restore faces")
_add_empty_list("realesrgan-models", "further upscalers")
_add_empty_list("prompt-styles", "styles")
_add_empty_list("script-info", "scripts")
_add_empty_list("extensions", "extensions")


@blueprint.get("/cmd-flags")
@describes(tag=TAG, answers=json_answer("The flags.", dict[str, Any]))
def cmd_flags() -> Response:
    """The command line, as far as it means anything here."""
    return jsonify({"api": True, "nowebui": True})


@blueprint.get("/memory")
@describes(tag=TAG, answers=json_answer("The memory.", dict[str, Any]), raises=ASKING_ERRORS)
def memory() -> Response:
    """The memory of the first ComfyUI that answers, in bytes."""
    check_server_info()
    stats = current_bridge().servers.first(_stats, request_deadline())
    system, devices = stats.get("system"), stats.get("devices")
    device = devices[0] if isinstance(devices, list) and devices else {}
    return jsonify(
        {
            "ram": _usage(system, "ram"),
            "cuda": {
                "system": _usage(device, "vram"),
                "active": {"current": _used(device, "torch_vram"), "peak": 0},
                "allocated": {"current": _used(device, "torch_vram"), "peak": 0},
                "reserved": {"current": _number(device, "torch_vram_total"), "peak": 0},
                "inactive": {"current": _number(device, "torch_vram_free"), "peak": 0},
                "events": {"retries": 0, "oom": 0},
            },
        }
    )


def _offered() -> Offered:
    return offered(current_bridge(), request_deadline()) if may_ask_servers() else USUAL


def _listed(folder: str, entry: Callable[[str], Mapping[str, Any]]) -> Response:
    check_server_info()
    return jsonify([entry(each) for each in files(current_bridge(), folder, request_deadline())])


def _upscaler(name: str, file: str | None = None) -> UpscalerAnswer:
    return {"name": name, "model_name": None, "model_path": file, "model_url": None, "scale": 4}


def _stats(server: Server, patience: Deadline) -> Mapping[str, Any]:
    return server.client.system_stats(patience)


def _usage(said: Any, what: str) -> dict[str, int]:
    total = _number(said, f"{what}_total")
    return {"free": _number(said, f"{what}_free"), "used": _used(said, what), "total": total}


def _used(said: Any, what: str) -> int:
    return max(0, _number(said, f"{what}_total") - _number(said, f"{what}_free"))


def _number(said: Any, name: str) -> int:
    value = said.get(name) if isinstance(said, Mapping) else None
    return int(value) if isinstance(value, (int, float)) else 0

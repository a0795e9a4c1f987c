"""Nodes that load models: here a model is just its file name, which is written on the picture."""

from comfybridge.simulator.nodes.choices import CLIP_TYPES, DUAL_CLIP_TYPES, WEIGHT_TYPES
from comfybridge.simulator.nodes.definition import ModelFiles, NodeRun, decimal, integer, node
from comfybridge.simulator.nodes.values import Model

_DEVICE = (["default", "cpu"], {"advanced": True})


@node(
    "CheckpointLoaderSimple",
    {"ckpt_name": (ModelFiles("checkpoints"), {})},
    returns=("MODEL", "CLIP", "VAE"),
    category="loaders",
    title="Load Checkpoint",
)
def load_checkpoint(_: NodeRun, ckpt_name: str) -> tuple[Model, Model, Model]:
    model = Model(ckpt_name)
    return model, model, model


@node(
    "LoraLoader",
    {
        "model": ("MODEL", {}),
        "clip": ("CLIP", {}),
        "lora_name": (ModelFiles("loras"), {}),
        "strength_model": decimal(1.0, -100.0, 100.0, 0.01),
        "strength_clip": decimal(1.0, -100.0, 100.0, 0.01),
    },
    returns=("MODEL", "CLIP"),
    category="loaders",
    title="Load LoRA",
)
def load_lora(
    _: NodeRun, model: Model, clip: Model, lora_name: str, strength_model: float, strength_clip: float
) -> tuple[Model, Model]:
    return (
        Model(f"{model.name} + {lora_name} {strength_model:g}"),
        Model(f"{clip.name} + {lora_name} {strength_clip:g}"),
    )


@node(
    "LoraLoaderModelOnly",
    {
        "model": ("MODEL",),
        "lora_name": (ModelFiles("loras"),),
        "strength_model": decimal(1.0, -100.0, 100.0, 0.01),
    },
    returns=("MODEL",),
    category="loaders",
)
def load_lora_of_model(_: NodeRun, model: Model, lora_name: str, strength_model: float) -> tuple[Model]:
    return (Model(f"{model.name} + {lora_name} {strength_model:g}"),)


@node("VAELoader", {"vae_name": (ModelFiles("vae"),)}, returns=("VAE",), category="loaders", title="Load VAE")
def load_vae(_: NodeRun, vae_name: str) -> tuple[Model]:
    return (Model(vae_name),)


@node(
    "UNETLoader",
    {"unet_name": (ModelFiles("diffusion_models"),), "weight_dtype": (WEIGHT_TYPES,)},
    returns=("MODEL",),
    category="advanced/loaders",
    title="Load Diffusion Model",
)
def load_unet(_: NodeRun, unet_name: str, weight_dtype: str) -> tuple[Model]:
    return (Model(unet_name),)


@node(
    "CLIPLoader",
    {"clip_name": (ModelFiles("text_encoders"),), "type": (CLIP_TYPES,)},
    optional={"device": _DEVICE},
    returns=("CLIP",),
    category="advanced/loaders",
    title="Load CLIP",
)
def load_clip(_: NodeRun, clip_name: str, type: str, device: str = "default") -> tuple[Model]:
    return (Model(clip_name),)


@node(
    "DualCLIPLoader",
    {
        "clip_name1": (ModelFiles("text_encoders"),),
        "clip_name2": (ModelFiles("text_encoders"),),
        "type": (DUAL_CLIP_TYPES,),
    },
    optional={"device": _DEVICE},
    returns=("CLIP",),
    category="advanced/loaders",
)
def load_two_clips(_: NodeRun, clip_name1: str, clip_name2: str, type: str, device: str = "default") -> tuple[Model]:
    return (Model(f"{clip_name1} + {clip_name2}"),)


@node(
    "CLIPSetLastLayer",
    {"clip": ("CLIP",), "stop_at_clip_layer": integer(-1, -24, -1, 1)},
    returns=("CLIP",),
    category="conditioning",
    title="CLIP Set Last Layer",
)
def clip_set_last_layer(_: NodeRun, clip: Model, stop_at_clip_layer: int) -> tuple[Model]:
    return (Model(f"{clip.name} to layer {stop_at_clip_layer}"),)

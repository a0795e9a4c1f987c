"""All node classes, in the order in which /object_info lists them."""

# Imported for their effect: each module declares its node classes.
from comfybridge.simulator.nodes import (
    animations,
    conditioning,
    custom_sampling,
    images,
    latents,
    loaders,
    models_3d,
    newer_images,
    outputs,
    sampling,
    sounds,
    upscaling,
    videos,
)
from comfybridge.simulator.nodes.definition import node_classes

__all__ = [
    "animations",
    "conditioning",
    "custom_sampling",
    "images",
    "latents",
    "loaders",
    "models_3d",
    "newer_images",
    "node_classes",
    "outputs",
    "sampling",
    "sounds",
    "upscaling",
    "videos",
]

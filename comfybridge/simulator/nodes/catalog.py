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
    outputs,
    sampling,
    sounds,
    videos,
)
from comfybridge.simulator.nodes.definition import NODE_CLASSES

__all__ = [
    "NODE_CLASSES",
    "animations",
    "conditioning",
    "custom_sampling",
    "images",
    "latents",
    "loaders",
    "models_3d",
    "outputs",
    "sampling",
    "sounds",
    "videos",
]

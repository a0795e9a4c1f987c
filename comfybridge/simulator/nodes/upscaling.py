"""Nodes that enlarge pictures with a model, and those that tell sizes."""

import re

from PIL import Image

from comfybridge.simulator.nodes.definition import ModelFiles, NodeRun, node
from comfybridge.simulator.nodes.values import Model, Pictures

_MODULE = "comfy_extras.nodes_upscale_model"
_FACTOR = re.compile(r"x([2-8])|([2-8])x", re.IGNORECASE)
_USUAL_FACTOR = 4


@node(
    "UpscaleModelLoader",
    {"model_name": (ModelFiles("upscale_models", is_combo=True),)},
    returns=("UPSCALE_MODEL",),
    category="loaders",
    title="Load Upscale Model",
    module=_MODULE,
    modern=True,
)
def load_upscale_model(run: NodeRun, model_name: str) -> tuple[Model]:
    if model_name not in run.world.models["upscale_models"]:  # older versions look only here
        raise FileNotFoundError(f"Model in folder 'upscale_models' with filename '{model_name}' not found.")
    return (Model(model_name),)


@node(
    "ImageUpscaleWithModel",
    {"upscale_model": ("UPSCALE_MODEL", {}), "image": ("IMAGE", {})},
    returns=("IMAGE",),
    category="image/upscaling",
    title="Upscale Image (using Model)",
    module=_MODULE,
    modern=True,
)
def upscale_with_model(run: NodeRun, upscale_model: Model, image: Pictures) -> tuple[Pictures]:
    """Enlarges by the factor in the model's name, such as `RealESRGAN_x4plus`."""
    found = _FACTOR.search(upscale_model.name)
    factor = int(found[1] or found[2]) if found else _USUAL_FACTOR
    enlarged = []
    for number, picture in enumerate(image, 1):
        size = (picture.width * factor, picture.height * factor)
        enlarged.append(picture.resize(size, Image.Resampling.BICUBIC))
        run.progress(number, len(image))
    return (enlarged,)


@node(
    "GetImageSize",
    {"image": ("IMAGE",)},
    returns=("INT", "INT", "INT"),
    return_names=("width", "height", "batch_size"),
    category="image",
    title="Get Image Size",
    module="comfy_extras.nodes_images",
)
def get_image_size(_: NodeRun, image: Pictures) -> tuple[int, int, int]:
    return (*image[0].size, len(image))

"""Nodes for pictures from newer versions of ComfyUI: with inputs that depend on others, or with results shown."""

from typing import Any

from comfybridge.simulator.nodes.definition import NodeRun, Result, node
from comfybridge.simulator.nodes.dynamic import COMBO, ROW
from comfybridge.simulator.nodes.outputs import save_pictures
from comfybridge.simulator.nodes.saving import preview_prefix
from comfybridge.simulator.nodes.values import Pictures

_MODULE = "comfy_extras.nodes_images"


def _choice(*options: str) -> tuple[str, dict[str, Any]]:
    return ("COMBO", {"default": options[0], "multiselect": False, "options": list(options)})


def _option(key: str, **inputs: Any) -> dict[str, Any]:
    return {"key": key, "inputs": {"required": inputs}}


@node(
    "SaveImageAdvanced",
    {
        "images": ("IMAGE", {}),
        "filename_prefix": ("STRING", {"default": "ComfyUI", "multiline": False}),
        "format": (
            COMBO,
            {
                "options": [
                    _option("png", bit_depth=_choice("8-bit", "16-bit"), input_color_space=_choice("sRGB")),
                    _option(
                        "exr", bit_depth=_choice("32-bit float"), input_color_space=_choice("sRGB", "HDR", "linear")
                    ),
                ]
            },
        ),
    },
    returns=("IMAGE",),
    return_names=("images",),
    saves_metadata=True,
    output_node=True,
    category="image",
    title="Save Image (Advanced)",
    module=_MODULE,
    modern=True,
    since="0.23",
)
def save_image_advanced(run: NodeRun, images: Pictures, filename_prefix: str, format: dict[str, str]) -> Result:
    """Writes PNG files of 8 bits a channel, whatever depth is asked for."""
    if format["format"] != "png":
        raise NotImplementedError("the simulator writes no EXR")
    shown = save_pictures(run, images, filename_prefix, "output", compress_level=4, after_number="")
    return Result((images,), shown)


@node(
    "BatchImagesNode",
    {
        "images": (
            ROW,
            {"template": {"input": {"required": {"image": ("IMAGE", {})}}, "prefix": "image", "min": 1, "max": 50}},
        )
    },
    returns=("IMAGE",),
    category="image",
    title="Batch Images",
    module="comfy_extras.nodes_post_processing",
    modern=True,
    since="0.13",
)
def batch_images(_: NodeRun, images: dict[str, Pictures]) -> tuple[Pictures]:
    first = next(iter(images.values()))[0]
    return ([picture.resize(first.size) for pictures in images.values() for picture in pictures],)


@node(
    "ImageCropV2",
    {
        "image": ("IMAGE", {}),
        "crop_region": (
            "BOUNDING_BOX",
            {"default": {"x": 0, "y": 0, "width": 512, "height": 512}, "socketless": True},
        ),
    },
    returns=("IMAGE",),
    category="image/transform",
    title="Crop Image",
    module=_MODULE,
    modern=True,
    announces_cached=True,
    since="0.18",
)
def image_crop(run: NodeRun, image: Pictures, crop_region: dict[str, int]) -> Result:
    x, y = crop_region.get("x", 0), crop_region.get("y", 0)
    box = (x, y, x + crop_region.get("width", 512), y + crop_region.get("height", 512))
    cut = [picture.crop((*box[:2], min(box[2], picture.width), min(box[3], picture.height))) for picture in image]
    shown = save_pictures(run, cut, preview_prefix(run), "temp", compress_level=1)
    return Result((cut,), {**shown, "animated": [False]})

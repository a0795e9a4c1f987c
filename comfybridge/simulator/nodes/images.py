"""Nodes that make and change pictures.

A picture link carries a list of RGB images of one size, a mask link a list of L images.
"""

import hashlib
from typing import Any

from PIL import Image, ImageOps, ImageSequence

from comfybridge.simulator.nodes.choices import UPSCALE_METHODS
from comfybridge.simulator.nodes.definition import InputImages, NodeRun, decimal, integer, node
from comfybridge.simulator.nodes.values import Pictures, inverted
from comfybridge.simulator.world import World

_FILTERS = {
    "nearest-exact": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "area": Image.Resampling.BOX,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


@node(
    "EmptyImage",
    {
        "width": integer(512, 1, 16384, 1),
        "height": integer(512, 1, 16384, 1),
        "batch_size": integer(1, 1, 4096),
        "color": integer(0, 0, 0xFFFFFF, 1, display="color"),
    },
    returns=("IMAGE",),
    category="image",
)
def empty_image(_: NodeRun, width: int, height: int, batch_size: int, color: int) -> tuple[Pictures]:
    rgb = (color >> 16 & 0xFF, color >> 8 & 0xFF, color & 0xFF)
    return ([Image.new("RGB", (width, height), rgb) for _ in range(batch_size)],)


def _file_exists(world: World, image: Any) -> bool | str:
    if world.folders.annotated_path(image).exists():
        return True
    return f"Invalid image file: {image}"


def _file_hash(world: World, image: str, **_: Any) -> str:
    return hashlib.sha256(world.folders.annotated_path(image).read_bytes()).hexdigest()


@node(
    "LoadImage",
    {"image": (InputImages(), {"image_upload": True})},
    returns=("IMAGE", "MASK"),
    category="image",
    title="Load Image",
    changed=_file_hash,
    accepts=_file_exists,
    accepts_inputs=("image",),
)
def load_image(run: NodeRun, image: str) -> tuple[Pictures, Pictures]:
    pictures: Pictures = []
    masks: Pictures = []
    with Image.open(run.world.folders.annotated_path(image)) as file:
        for frame in ImageSequence.Iterator(file):
            upright = ImageOps.exif_transpose(frame)
            if pictures and upright.size != pictures[0].size:
                continue
            pictures.append(upright.convert("RGB"))
            masks.append(_mask_of(upright))
            if file.format == "MPO":
                break
    return pictures, masks


def _mask_of(picture: Image.Image) -> Image.Image:
    # A mask is white where the picture is transparent; an opaque picture gives a small black one.
    if "A" in picture.getbands() or "transparency" in picture.info:
        return inverted(picture.convert("RGBA").getchannel("A"))
    return Image.new("L", (64, 64))


@node(
    "LoadImageMask",
    {
        "image": (InputImages(), {"image_upload": True}),
        "channel": (["alpha", "red", "green", "blue"],),
    },
    returns=("MASK",),
    category="mask",
    title="Load Image (as Mask)",
    changed=_file_hash,
    accepts=_file_exists,
    accepts_inputs=("image",),
)
def load_image_mask(run: NodeRun, image: str, channel: str) -> tuple[Pictures]:
    with Image.open(run.world.folders.annotated_path(image)) as file:
        upright = ImageOps.exif_transpose(file)
        if channel == "alpha":
            return ([_mask_of(upright)],)
        return ([upright.convert("RGB").getchannel(channel[0].upper())],)


@node(
    "ImageScale",
    {
        "image": ("IMAGE",),
        "upscale_method": (UPSCALE_METHODS,),
        "width": integer(512, 0, 16384, 1),
        "height": integer(512, 0, 16384, 1),
        "crop": (["disabled", "center"],),
    },
    returns=("IMAGE",),
    category="image/upscaling",
    title="Upscale Image",
)
def image_scale(
    _: NodeRun, image: Pictures, upscale_method: str, width: int, height: int, crop: str
) -> tuple[Pictures]:
    if not width and not height:
        return (image,)
    old_width, old_height = image[0].size
    # One side left at 0 follows the other, in the picture's proportions.
    size = (
        width or max(1, round(old_width * height / old_height)),
        height or max(1, round(old_height * width / old_width)),
    )
    resampling = _FILTERS[upscale_method]
    if crop == "center":
        return ([ImageOps.fit(picture, size, resampling) for picture in image],)
    return ([picture.resize(size, resampling) for picture in image],)


@node(
    "ImageScaleBy",
    {
        "image": ("IMAGE",),
        "upscale_method": (UPSCALE_METHODS,),
        "scale_by": decimal(1.0, 0.01, 8.0, 0.01),
    },
    returns=("IMAGE",),
    category="image/upscaling",
    title="Upscale Image By",
)
def image_scale_by(_: NodeRun, image: Pictures, upscale_method: str, scale_by: float) -> tuple[Pictures]:
    width, height = image[0].size
    size = (max(1, round(width * scale_by)), max(1, round(height * scale_by)))
    return ([picture.resize(size, _FILTERS[upscale_method]) for picture in image],)


@node("ImageInvert", {"image": ("IMAGE",)}, returns=("IMAGE",), category="image", title="Invert Image")
def image_invert(_: NodeRun, image: Pictures) -> tuple[Pictures]:
    return ([inverted(picture) for picture in image],)


@node(
    "ImageBatch",
    {"image1": ("IMAGE",), "image2": ("IMAGE",)},
    returns=("IMAGE",),
    category="image",
    title="Batch Images",
)
def image_batch(_: NodeRun, image1: Pictures, image2: Pictures) -> tuple[Pictures]:
    size = image1[0].size
    return (image1 + [ImageOps.fit(picture, size, Image.Resampling.BILINEAR) for picture in image2],)


@node(
    "RepeatImageBatch",
    {"image": ("IMAGE",), "amount": integer(1, 1, 4096)},
    returns=("IMAGE",),
    category="image/batch",
    module="comfy_extras.nodes_images",
)
def repeat_images(_: NodeRun, image: Pictures, amount: int) -> tuple[Pictures]:
    return (image * amount,)


@node(
    "ImageCompositeMasked",
    {
        "destination": ("IMAGE",),
        "source": ("IMAGE",),
        "x": integer(0, 0, 16384, 1),
        "y": integer(0, 0, 16384, 1),
        "resize_source": ("BOOLEAN", {"default": False}),
    },
    optional={"mask": ("MASK",)},
    returns=("IMAGE",),
    category="image",
    module="comfy_extras.nodes_mask",
)
def composite_masked(
    _: NodeRun,
    destination: Pictures,
    source: Pictures,
    x: int,
    y: int,
    resize_source: bool,
    mask: Pictures | None = None,
) -> tuple[Pictures]:
    """Lays the source over the destination where the mask is white; a batch of masks or sources is repeated."""
    done = []
    for number, ground in enumerate(destination):
        above = source[number % len(source)]
        if resize_source:
            above = above.resize(ground.size)
        where = None if mask is None else mask[number % len(mask)].resize(above.size)
        laid = ground.copy()
        laid.paste(above, (x, y), where)
        done.append(laid)
    return (done,)


@node(
    "SolidMask",
    {
        "value": decimal(1.0, 0.0, 1.0, 0.01),
        "width": integer(512, 1, 16384, 1),
        "height": integer(512, 1, 16384, 1),
    },
    returns=("MASK",),
    category="mask",
    module="comfy_extras.nodes_mask",
)
def solid_mask(_: NodeRun, value: float, width: int, height: int) -> tuple[Pictures]:
    return ([Image.new("L", (width, height), round(value * 255))],)

"""Nodes that make latents, save them, and turn pictures into latents and back."""

import json
from dataclasses import replace
from typing import Any

from PIL import ImageFilter

from comfybridge.simulator.nodes.choices import LATENT_UPSCALE_METHODS
from comfybridge.simulator.nodes.definition import NodeRun, decimal, integer, node
from comfybridge.simulator.nodes.saving import extra_texts, save_file
from comfybridge.simulator.nodes.values import Latent, Model, Pictures


def _pixels(size: float) -> int:
    # A latent has one cell for 8 x 8 pixels, so every size ends up a multiple of 8: 450 becomes 448, silently.
    return max(1, int(size) // 8) * 8


@node(
    "EmptyLatentImage",
    {
        "width": integer(512, 16, 16384, 8),
        "height": integer(512, 16, 16384, 8),
        "batch_size": integer(1, 1, 4096),
    },
    returns=("LATENT",),
    category="latent",
    title="Empty Latent Image",
)
def empty_latent(_: NodeRun, width: int, height: int, batch_size: int = 1) -> tuple[Latent]:
    return (Latent(_pixels(width), _pixels(height), batch_size),)


@node(
    "EmptySD3LatentImage",
    {
        "width": integer(1024, 16, 16384, 16),
        "height": integer(1024, 16, 16384, 16),
        "batch_size": integer(1, 1, 4096),
    },
    returns=("LATENT",),
    category="latent/sd3",
    module="comfy_extras.nodes_sd3",
    modern=True,
)
def empty_sd3_latent(_: NodeRun, width: int, height: int, batch_size: int = 1) -> tuple[Latent]:
    return (Latent(_pixels(width), _pixels(height), batch_size),)


@node(
    "VAEDecode",
    {"samples": ("LATENT", {}), "vae": ("VAE", {})},
    returns=("IMAGE",),
    category="latent",
    title="VAE Decode",
)
def decode(_: NodeRun, samples: Latent, vae: Model) -> tuple[Pictures]:
    return (samples.pictures(),)


@node(
    "VAEEncode",
    {"pixels": ("IMAGE",), "vae": ("VAE",)},
    returns=("LATENT",),
    category="latent",
    title="VAE Encode",
)
def encode(_: NodeRun, pixels: Pictures, vae: Model) -> tuple[Latent]:
    return (_encoded(pixels),)


@node(
    "VAEEncodeForInpaint",
    {"pixels": ("IMAGE",), "vae": ("VAE",), "mask": ("MASK",), "grow_mask_by": integer(6, 0, 64, 1)},
    returns=("LATENT",),
    category="latent/inpaint",
    title="VAE Encode (for Inpainting)",
)
def encode_for_inpaint(
    _: NodeRun, pixels: Pictures, vae: Model, mask: Pictures, grow_mask_by: int = 6
) -> tuple[Latent]:
    latent = _encoded(pixels)
    grown = mask[0].resize((latent.width, latent.height))
    if grow_mask_by:
        grown = grown.filter(ImageFilter.MaxFilter(grow_mask_by // 2 * 2 + 1))
    return (replace(latent, mask=grown),)


@node(
    "SetLatentNoiseMask",
    {"samples": ("LATENT",), "mask": ("MASK",)},
    returns=("LATENT",),
    category="latent/inpaint",
    title="Set Latent Noise Mask",
)
def set_noise_mask(_: NodeRun, samples: Latent, mask: Pictures) -> tuple[Latent]:
    return (replace(samples, mask=mask[0]),)


@node(
    "RepeatLatentBatch",
    {"samples": ("LATENT",), "amount": integer(1, 1, 64)},
    returns=("LATENT",),
    category="latent/batch",
    title="Repeat Latent Batch",
)
def repeat_latents(_: NodeRun, samples: Latent, amount: int) -> tuple[Latent]:
    return (replace(samples, batch=samples.batch * amount),)


@node(
    "LatentUpscaleBy",
    {
        "samples": ("LATENT",),
        "upscale_method": (LATENT_UPSCALE_METHODS,),
        "scale_by": decimal(1.5, 0.01, 8.0, 0.01),
    },
    returns=("LATENT",),
    category="latent",
    title="Upscale Latent By",
)
def upscale_by(_: NodeRun, samples: Latent, upscale_method: str, scale_by: float) -> tuple[Latent]:
    width, height = _pixels(samples.width * scale_by), _pixels(samples.height * scale_by)
    if samples.is_empty:
        return (replace(samples, width=width, height=height),)
    # A picture that was sampled small stays the same: it is stretched, not painted again.
    return (Latent(width, height, samples.batch, sources=tuple(samples.pictures()), mask=samples.mask),)


@node(
    "SaveLatent",
    {"samples": ("LATENT",), "filename_prefix": ("STRING", {"default": "latents/ComfyUI"})},
    saves_metadata=True,
    output_node=True,
    category="_for_testing",
)
def save_latent(run: NodeRun, samples: Latent, filename_prefix: str = "ComfyUI") -> dict[str, Any]:
    """Writes a safetensors file of the right shape with zeros: latents have no numbers here."""
    return {"latents": [save_file(run, _safetensors(run, samples), filename_prefix, "latent")]}


def _safetensors(run: NodeRun, samples: Latent) -> bytes:
    rows, columns, channels = samples.height // 8, samples.width // 8, 4
    numbers = bytes(4 * samples.batch * channels * rows * columns)
    shape, end = [samples.batch, channels, rows, columns], len(numbers)
    header = {
        "__metadata__": {key: json.dumps(value) for key, value in {"prompt": run.graph, **extra_texts(run)}.items()},
        "latent_tensor": {"dtype": "F32", "shape": shape, "data_offsets": [0, end]},
        "latent_format_version_0": {"dtype": "F32", "shape": [0], "data_offsets": [end, end]},
    }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # so that the numbers are aligned
    return len(text).to_bytes(8, "little") + text + numbers


def _encoded(pixels: Pictures) -> Latent:
    width, height = pixels[0].size
    cropped = (_pixels(width), _pixels(height))
    left, top = (width - cropped[0]) // 2, (height - cropped[1]) // 2
    box = (left, top, left + cropped[0], top + cropped[1])
    return Latent(*cropped, len(pixels), sources=tuple(picture.crop(box) for picture in pixels))

"""Small graphs that every ComfyUI can run."""

from __future__ import annotations

import itertools
import os
from typing import Any

_fresh = itertools.count(int.from_bytes(os.urandom(2), "big"))


def fresh_color() -> int:
    """A colour that no earlier graph had, so that nothing comes from ComfyUI's cache."""
    return next(_fresh) % 2**24


def picture(width: int = 64, height: int = 48, *, batch: int = 1, save: str = "SaveImage") -> dict[str, Any]:
    """A plain picture, made and saved."""
    inputs: dict[str, Any] = {"images": ["1", 0]}
    if save == "SaveImage":
        inputs["filename_prefix"] = "test"
    return {
        "1": {
            "class_type": "EmptyImage",
            "inputs": {"width": width, "height": height, "batch_size": batch, "color": fresh_color()},
        },
        "2": {"class_type": save, "inputs": inputs},
    }


def txt2img(checkpoint: str, *, steps: int = 2, seed: int | None = None, size: int = 64) -> dict[str, Any]:
    """ComfyUI's default graph, small."""
    return {
        "3": {
            "class_type": "KSampler",
            "inputs": {
                "seed": fresh_color() if seed is None else seed,
                "steps": steps,
                "cfg": 7.0,
                "sampler_name": "euler",
                "scheduler": "normal",
                "denoise": 1.0,
                "model": ["4", 0],
                "positive": ["6", 0],
                "negative": ["7", 0],
                "latent_image": ["5", 0],
            },
        },
        "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": checkpoint}},
        "5": {"class_type": "EmptyLatentImage", "inputs": {"width": size, "height": size, "batch_size": 1}},
        "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a cat", "clip": ["4", 1]}},
        "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "bad", "clip": ["4", 1]}},
        "8": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["4", 2]}},
        "9": {"class_type": "SaveImage", "inputs": {"filename_prefix": "test", "images": ["8", 0]}},
    }


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}


def frames(class_type: str, **inputs: Any) -> dict[str, Any]:
    """Three pictures of different colours, a small film, and at node 2 what saves it."""
    graph: dict[str, Any] = {
        name: node("EmptyImage", width=32, height=24, batch_size=1, color=fresh_color()) for name in ("a", "b", "c")
    }
    graph["ab"] = node("ImageBatch", image1=["a", 0], image2=["b", 0])
    graph["abc"] = node("ImageBatch", image1=["ab", 0], image2=["c", 0])
    if class_type == "SaveVideo":
        graph["video"] = node("CreateVideo", images=["abc", 0], fps=8.0)
        return {**graph, "2": node(class_type, video=["video", 0], **inputs)}
    return {**graph, "2": node(class_type, images=["abc", 0], **inputs)}

"""The graphs for measurements: tiny ones, so that the overhead dominates."""

from __future__ import annotations

import itertools
import random
import uuid
from collections.abc import Callable
from typing import Any

Graph = dict[str, Any]

# Node classes that only our own stand-in has (`stand_in.py`).
GPU_NODE = "BenchmarkGPU"
FILE_NODE = "BenchmarkFile"

# Counts from a random number, because several processes use it.
_colors = itertools.count(random.randrange(0xFFFFFF))


def tiny_graph() -> Graph:
    """A picture of one colour, never the same twice, so that ComfyUI's cache never applies.

    It is saved to a folder of its own, because ComfyUI gets slower with every file in the folder that it saves to.
    """
    return _saved_as(f"benchmark/{uuid.uuid4().hex}/picture")


def bare_graph() -> Graph:
    """The same without a folder, for a bridge that adds one: two nested folders would be more work."""
    return _saved_as("picture")


def _saved_as(prefix: str) -> Graph:
    return {
        "1": {
            "class_type": "EmptyImage",
            "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": next(_colors) % 0xFFFFFF},
        },
        "2": {
            "class_type": "SaveImage",
            "inputs": {"images": ["1", 0], "filename_prefix": prefix},
        },
    }


def gpu_graph() -> Graph:
    """The same, with a delay of one step in the stand-in."""
    graph = tiny_graph()
    graph["3"] = {"class_type": GPU_NODE, "inputs": {"images": ["1", 0]}}
    graph["2"]["inputs"]["images"] = ["3", 0]
    return graph


def file_graph(megabytes: int) -> Graph:
    """A file of a size, which the stand-in has ready."""
    return {"1": {"class_type": FILE_NODE, "inputs": {"megabytes": megabytes, "number": next(_colors)}}}


def text_body() -> Graph:
    """No graph, but the fields of a request for a template: names that all the bridge's APIs have."""
    number = next(_colors)
    return {"prompt": f"picture {number}", "width": 64, "height": 64, "steps": 1, "seed": number}


def params_body() -> Graph:
    """The same for `/generate`, with what the fields of `webuiapi_body` mean besides."""
    more = {"negative_prompt": "", "cfg": 7.0, "sampler_name": "euler_ancestral", "scheduler": "normal"}
    return {"workflow": "txt2img", "params": {**text_body(), **more}}


def webuiapi_body() -> Graph:
    """The same as the client webuiapi (0.9.17) sends it: with all fields, whatever it is asked to do."""
    return {**WEBUIAPI, **text_body()}


WEBUIAPI: Graph = {
    "enable_hr": False, "hr_scale": 2, "hr_upscaler": "Latent", "hr_second_pass_steps": 0, "hr_resize_x": 0,
    "hr_resize_y": 0, "hr_checkpoint_name": None, "hr_sampler_name": None, "hr_scheduler": None, "hr_prompt": "",
    "hr_negative_prompt": "", "denoising_strength": 0.7, "firstphase_width": 0, "firstphase_height": 0, "styles": [],
    "subseed": -1, "subseed_strength": 0.0, "seed_resize_from_h": 0, "seed_resize_from_w": 0, "batch_size": 1,
    "n_iter": 1, "cfg_scale": 7.0, "restore_faces": False, "tiling": False, "do_not_save_samples": False,
    "do_not_save_grid": False, "negative_prompt": "", "eta": 1.0, "s_churn": 0, "s_tmax": 0, "s_tmin": 0,
    "s_noise": 1, "override_settings": {}, "override_settings_restore_afterwards": True, "sampler_name": "Euler a",
    "scheduler": "automatic", "sampler_index": "Euler a", "script_name": None, "script_args": [], "send_images": True,
    "save_images": False, "alwayson_scripts": {},
}  # fmt: skip

GRAPHS: dict[str, Callable[[], Graph]] = {
    "tiny": tiny_graph,
    "bare": bare_graph,
    "gpu": gpu_graph,
    "text": text_body,
    "params": params_body,
    "webuiapi": webuiapi_body,
}

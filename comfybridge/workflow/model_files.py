"""Reads a template's models from its parameter file, with where to download them.

    models:
      - name: v1-5-pruned-emaonly-fp16.safetensors
        directory: checkpoints
        url: https://example.org/v1-5-pruned-emaonly-fp16.safetensors

The keys are those that ComfyUI's own workflow files use.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from comfybridge.errors import InvalidWorkflow
from comfybridge.workflow.wording import clip, describe, listed

KEY = "models"
KEYS = ("name", "directory", "url")
LONGEST_URL = 2000
# the endings of ComfyUI's own list (folder_paths.supported_pt_extensions), and those of popular packs
MODEL_FILE = re.compile(r"\.(safetensors|ckpt|pth?2?|bin|pkl|sft|gguf|onnx|engine)$", re.IGNORECASE)
# the folder in which ComfyUI looks for the file in an input (folder_paths.py), for models that are not listed
DIRECTORIES = {
    "ckpt_name": "checkpoints",
    "unet_name": "diffusion_models",
    "vae_name": "vae",
    "lora_name": "loras",
    "clip_name": "text_encoders",
    "clip_name1": "text_encoders",
    "clip_name2": "text_encoders",
    "clip_name3": "text_encoders",
    "control_net_name": "controlnet",
    "style_model_name": "style_models",
}


@dataclass(frozen=True)
class ModelFile:
    """A model's file.

    Attributes:
        name: as the graph names it.
        directory: the folder below ComfyUI's `models`; empty if unknown.
        url: where to download it; empty if it is not public.
    """

    name: str
    directory: str = ""
    url: str = ""


def declared_models(content: Any, file_name: str) -> tuple[ModelFile, ...]:
    """The models that the content of a parameter file lists.

    Raises:
        InvalidWorkflow: an entry is wrong; the message says which and why.
    """
    listing = content.get(KEY) if isinstance(content, dict) and not file_name.endswith(".json") else None
    if listing is None:
        return ()
    if not isinstance(listing, list):
        raise InvalidWorkflow(f"{file_name}: {KEY} is {describe(listing)}; it must be a list of objects with a name.")
    return tuple(_model(entry, f"{file_name}: {KEY}, item {number}") for number, entry in enumerate(listing, 1))


def _model(entry: Any, where: str) -> ModelFile:
    if not isinstance(entry, dict):
        raise InvalidWorkflow(f"{where} is {describe(entry)}; it must be an object with {', '.join(KEYS)}.")
    for key, value in entry.items():
        if key not in KEYS:
            raise InvalidWorkflow(f"{where} has the key '{clip(key)}'; use {listed(KEYS, clip(key))}.")
        if not isinstance(value, str):
            raise InvalidWorkflow(f"{where}: {key} is {describe(value)}; it must be a text.")
    url = entry.get("url", "")
    if not entry.get("name"):
        raise InvalidWorkflow(f"{where} has no name.")
    if len(url) > LONGEST_URL or (url and not url.startswith(("http://", "https://"))):
        raise InvalidWorkflow(f"{where}: url is {describe(url)}; it must be an http or https address.")
    return ModelFile(**entry)


def how_to_get(name: str, input_name: str, models: Iterable[ModelFile]) -> str:
    """`put NAME into its models folder checkpoints (https://...)`.

    Args:
        name: the model that is missing.
        input_name: the input that names it.
        models: the models that its template lists.
    """
    known = _listed_as(name, models)
    directory = (known.directory if known else "") or DIRECTORIES.get(input_name)
    where = f"its models folder {clip(directory)}" if directory else "the folder of its models"
    return f"put {clip(name)} into {where}" + (f" (from {known.url})" if known and known.url else "")


def _listed_as(name: str, models: Iterable[ModelFile]) -> ModelFile | None:
    plain = name.replace("\\", "/")
    return next((model for model in models if model.name.replace("\\", "/") == plain), None)

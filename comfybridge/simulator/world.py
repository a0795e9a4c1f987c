"""The surroundings of the nodes: the server's folders and the names of its models."""

import mimetypes
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from comfybridge.simulator.version import Version

# The model folders a ComfyUI lists at /models, in its order; all but the ones filled below are empty.
MODEL_FOLDERS = (
    "checkpoints",
    "configs",
    "loras",
    "vae",
    "text_encoders",
    "diffusion_models",
    "clip_vision",
    "style_models",
    "embeddings",
    "diffusers",
    "vae_approx",
    "controlnet",
    "gligen",
    "upscale_models",
    "custom_nodes",
    "hypernetworks",
    "photomaker",
    "classifiers",
    "model_patches",
    "audio_encoders",
)

DEMO_CHECKPOINT = "demo.safetensors"

_ANNOTATIONS = {"[output]": "output", "[input]": "input", "[temp]": "temp"}


def model_lists(checkpoints: list[str] | None = None) -> dict[str, list[str]]:
    """File names per model folder; `checkpoints` replaces the one demo checkpoint."""
    lists: dict[str, list[str]] = {folder: [] for folder in MODEL_FOLDERS}
    lists["checkpoints"] = [DEMO_CHECKPOINT] if checkpoints is None else list(checkpoints)
    lists["loras"] = ["demo-style.safetensors"]
    lists["vae"] = ["demo-vae.safetensors"]
    lists["text_encoders"] = ["demo-clip-l.safetensors", "demo-t5xxl.safetensors"]
    lists["diffusion_models"] = ["demo-flux.safetensors"]
    lists["upscale_models"] = ["RealESRGAN_x4plus.safetensors"]
    return lists


@dataclass(frozen=True)
class Folders:
    """The input, output and temp folders of a server, all below one directory."""

    root: Path

    @property
    def input(self) -> Path:
        return self.root / "input"

    @property
    def output(self) -> Path:
        return self.root / "output"

    @property
    def temp(self) -> Path:
        return self.root / "temp"

    def create(self) -> None:
        for folder in (self.input, self.output, self.temp):
            folder.mkdir(parents=True, exist_ok=True)
        example = self.input / "example.png"  # every installation of ComfyUI has one
        if not example.exists():
            Image.linear_gradient("L").convert("RGB").save(example)

    def of_type(self, kind: str) -> Path | None:
        """The folder for "input", "output" or "temp"; None for any other word."""
        return {"input": self.input, "output": self.output, "temp": self.temp}.get(kind)

    def split_annotation(self, name: str) -> tuple[str, Path | None]:
        """`name.png [temp]` as the name and the folder it names; None when the name has no such ending."""
        for annotation, kind in _ANNOTATIONS.items():
            if name.endswith(annotation):
                return name[: -len(annotation) - 1], self.of_type(kind)
        return name, None

    def annotated_path(self, name: str) -> Path:
        """The path of a file that a node gets by name: in the input folder unless annotated."""
        bare, folder = self.split_annotation(name)
        return (folder or self.input) / bare


@dataclass(frozen=True)
class World:
    """Everything that node classes can see, independent of the running prompt."""

    folders: Folders
    version: Version
    models: dict[str, list[str]] = field(default_factory=model_lists)
    replacements: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """What takes the place of retired node classes, as /node_replacements tells it."""

    def input_images(self) -> list[str]:
        """Image files in the root of the input folder, sorted: files in subfolders are not listed."""
        suffixes = Image.registered_extensions()
        return [name for name in self._input_files() if os.path.splitext(name)[1].lower() in suffixes]

    def input_sounds(self) -> list[str]:
        """Sounds in the root of the input folder, sorted, and videos, which may have one."""
        kinds = {name: mimetypes.guess_type(name, strict=False)[0] or "" for name in self._input_files()}
        return [name for name, kind in kinds.items() if kind.startswith(("audio/", "video/"))]

    def _input_files(self) -> list[str]:
        with os.scandir(self.folders.input) as entries:
            return sorted(entry.name for entry in entries if entry.is_file())

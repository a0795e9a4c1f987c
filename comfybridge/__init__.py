"""A synchronous bridge to ComfyUI: one blocking call, from a workflow to its picture."""

from comfybridge.bridge import Bridge
from comfybridge.client import Client
from comfybridge.errors import BridgeError
from comfybridge.prompts.progress import Preview, Progress, Queued
from comfybridge.request import Generation, GenerationRequest, InputFile, Output, OutputOptions
from comfybridge.settings import Settings, SettingsError, load_settings

__version__ = "0.1.0"

__all__ = [
    "Bridge",
    "BridgeError",
    "Client",
    "Generation",
    "GenerationRequest",
    "InputFile",
    "Output",
    "OutputOptions",
    "Preview",
    "Progress",
    "Queued",
    "Settings",
    "SettingsError",
    "__version__",
    "load_settings",
]

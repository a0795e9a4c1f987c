"""What ComfyUI was made to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from comfybridge.simulator import Simulator


def last_inputs(comfyui: Simulator, class_type: str) -> dict[str, Any]:
    """The inputs of the node of a class in the graph that ran last."""
    graph = list(comfyui.history.values())[-1]["prompt"][2]
    return next(node["inputs"] for node in graph.values() if node["class_type"] == class_type)


def last_texts(comfyui: Simulator) -> set[str]:
    """The texts in the graph that ran last."""
    graph = list(comfyui.history.values())[-1]["prompt"][2]
    return {node["inputs"]["text"] for node in graph.values() if "text" in node["inputs"]}


def last_file(comfyui: Simulator, class_type: str) -> Path:
    """The file that the node of a class has loaded."""
    return comfyui.input_directory / last_inputs(comfyui, class_type)["image"]

"""The stand-in for ComfyUI that the demo runs."""

from __future__ import annotations

from pathlib import Path

from comfybridge.simulator import Simulator
from comfybridge.workflow.library import Library
from comfybridge.workflow.links import literal_value


def demo_comfyui(workflows_dir: Path) -> Simulator:
    """A simulator, not started yet, that has each checkpoint that a template of the folder names."""
    named = []
    for template in Library(workflows_dir).templates():
        target = template.model.targets[0] if template.model is not None else None
        if target is not None and target.input == "ckpt_name":
            named.append(literal_value(template.graph, target))
    checkpoints = sorted({name for name in named if isinstance(name, str)})
    return Simulator(checkpoints=checkpoints or None)

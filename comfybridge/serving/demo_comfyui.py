"""The stand-in for ComfyUI that the demo runs."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from comfybridge.settings import SettingsError
from comfybridge.workflow.library import Library
from comfybridge.workflow.links import literal_value
from comfybridge.workflow.unconverted import Unconverted

if TYPE_CHECKING:
    from comfybridge.simulator import Simulator

NEEDED = "aiohttp"  # of the extra `demo`, which an installation may have been made without


def check_demo() -> None:
    """Make sure that what the demo needs is installed.

    Raises:
        SettingsError: it is not.
    """
    if find_spec(NEEDED) is None:
        raise SettingsError(f"--demo needs the package {NEEDED}, which pip install 'comfybridge[demo]' brings.")


def demo_comfyui(workflows_dir: Path) -> Simulator:
    """A simulator, not started yet, that has each checkpoint that a template of the folder names.

    Raises:
        SettingsError: what it needs is not installed.
    """
    check_demo()
    from comfybridge.simulator import Simulator

    named = []
    for template in Library(workflows_dir).templates():
        if isinstance(template, Unconverted):
            continue  # it may name any; the simulator is not there yet to tell
        target = template.model.targets[0] if template.model is not None else None
        if target is not None and target.input == "ckpt_name":
            named.append(literal_value(template.graph, target))
    checkpoints = sorted({name for name in named if isinstance(name, str)})
    return Simulator(checkpoints=checkpoints or None)

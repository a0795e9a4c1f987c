"""A stand-in for a ComfyUI server: the same protocol, traps included, with painted pictures instead of models.

It serves the demo (`--demo`), runs alone with `python -m comfybridge.simulator`, and carries the tests, which can
make it slow, silent, forgetful or broken. It behaves as ComfyUI 0.33.0 does, or as an older
one where it is told so (see `version.py`), and imports nothing else of comfybridge.
"""

from comfybridge.simulator.recorder import RecordedRequest
from comfybridge.simulator.simulator import Simulator

__all__ = ["RecordedRequest", "Simulator"]

"""A stand-in for a ComfyUI server: the same protocol, pitfalls included, with painted pictures instead of models.

It serves the demo (`--demo`), runs alone with `python -m comfybridge.simulator`, and supports the tests, which can
make it slow, silent, forgetful or broken. It behaves like ComfyUI 0.33.0, or like an older version if told so (see
`version.py`), and imports nothing else of comfybridge.
"""

from comfybridge.simulator.recorder import RecordedRequest
from comfybridge.simulator.simulator import Simulator

__all__ = ["RecordedRequest", "Simulator"]

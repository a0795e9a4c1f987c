"""What a workflow may be for."""

from __future__ import annotations

from typing import Literal, get_args

Task = Literal["txt2img", "img2img", "inpaint", "upscale", "edit"]
TASKS: tuple[Task, ...] = get_args(Task)

"""Bodies to begin with, for the docs page and whoever reads the document."""

from __future__ import annotations

from typing import Any

from comfybridge.web.dialects.native.form_schema import PROMPT, STEPS

# 64 by 64 pixels of orange, as PNG
PICTURE = (
    "iVBORw0KGgoAAAANSUhEUgAAAEAAAABAAQMAAACQp+OdAAAAA1BMVEX/iADquBt0AAAAD0lEQVR42mNgGAWjgHwAAAJAAAHgTR1E"
    "AAAAAElFTkSuQmCC"
)

JSON_EXAMPLES: dict[str, dict[str, Any]] = {
    "a text": {"prompt": PROMPT, "steps": STEPS},
    "a text and a picture": {
        "workflow": "img2img",
        "prompt": "a sunset",
        "steps": STEPS,
        "denoise": 0.8,
        "images": {"image": PICTURE},
        "output": {"format": "webp"},
    },
    "a whole graph": {
        "workflow": {
            "1": {
                "class_type": "EmptyImage",
                "inputs": {"width": 256, "height": 256, "batch_size": 1, "color": 0xFF8800},
            },
            "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "ComfyBridge"}},
        }
    },
}

"""`comfybridge.Client`: pip install /path/to/comfybridge"""

import os
import sys

from comfybridge import BridgeError, Client
from comfybridge.errors import Busy, TimedOut

client = Client(os.environ.get("BRIDGE_URL", "http://127.0.0.1:8189"), os.environ.get("COMFYBRIDGE_API_KEY"))

try:
    generation = client.generate(
        "a cat", steps=12, seed=7, on_progress=lambda step: print(f"{step.percent:.0f} %", file=sys.stderr)
    )
    print(generation.images[0].save("cat.png"))

    over = client.generate("a cat in the snow", workflow="img2img", images={"image": "cat.png"}, steps=12)
    print(over.images[0].save("over.png"))
except (Busy, TimedOut) as error:
    sys.exit(f"Try again later: {error.message}")
except BridgeError as error:
    sys.exit(error.message)

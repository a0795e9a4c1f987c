"""What the routes of one server share."""

from dataclasses import dataclass
from typing import Any

from comfybridge.simulator.executor import Executor
from comfybridge.simulator.gate import Gate
from comfybridge.simulator.prompt_queue import PromptQueue
from comfybridge.simulator.world import World


@dataclass(frozen=True)
class Parts:
    """The parts of a running server that its routes reach for."""

    world: World
    queue: PromptQueue
    executor: Executor
    gate: Gate
    features: dict[str, Any]

    def queue_info(self) -> dict[str, Any]:
        """The answer of GET /prompt, and the content of every `status` event."""
        return {"exec_info": {"queue_remaining": self.queue.remaining}}

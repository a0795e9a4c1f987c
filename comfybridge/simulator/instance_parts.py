"""The parts of a server that its routes share."""

from dataclasses import dataclass
from typing import Any

from comfybridge.simulator.executor import Executor
from comfybridge.simulator.faults import Faults
from comfybridge.simulator.gate import Gate
from comfybridge.simulator.prompt_queue import PromptQueue
from comfybridge.simulator.world import World


@dataclass(frozen=True)
class Parts:
    """The parts of a running server that its routes use."""

    world: World
    queue: PromptQueue
    executor: Executor
    gate: Gate
    faults: Faults
    features: dict[str, Any]

    def interrupt(self, prompt_id: str | None = None) -> bool:
        """Stops the running prompt if it is this one (None: any); returns whether there was one to stop.

        A test may have it forgotten, as ComfyUI forgets an interrupt that arrives while a prompt begins.
        """
        is_running = any(prompt_id in (None, item[1]) for item in self.queue.running)
        if (is_running or prompt_id is None) and not self.faults.forgets_interrupt():
            self.executor.interrupt.raised = True
            self.gate.wake()
        return is_running

    def queue_info(self) -> dict[str, Any]:
        """The answer of GET /prompt, and the content of every `status` event."""
        return {"exec_info": {"queue_remaining": self.queue.remaining}}

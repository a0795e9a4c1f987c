"""Cancelling one prompt, and nobody else's."""

from __future__ import annotations

import logging

from comfybridge.comfyui.client import ComfyUIClient, can_aim_interrupts
from comfybridge.deadline import Deadline

log = logging.getLogger(__name__)

# Seconds that cancelling may take: the caller, whose time is up, waits for it.
CANCEL_SECONDS = 2.0


def cancel(client: ComfyUIClient, prompt_id: str) -> str:
    """Take a prompt out of the queue if it waits, interrupt it if it runs.

    Returns:
        What became of it, to follow "it": "was cancelled while it waited in the queue", ...

    Raises:
        ComfyUIUnreachable, ComfyUIError, TimedOut: ComfyUI could not be asked.
    """
    deadline = Deadline(CANCEL_SECONDS)
    queue = client.queue(deadline)
    if prompt_id in queue.pending:
        client.delete_pending(prompt_id, deadline)
        # ComfyUI says yes to any deletion, also to that of a prompt whose turn came meanwhile
        queue = client.queue(deadline)
        if prompt_id not in queue.running:
            return "was cancelled while it waited in the queue"
    if prompt_id not in queue.running:
        return "was no longer in the queue"
    version = client.version(deadline)
    if not can_aim_interrupts(version):
        log.warning("Prompt %s goes on: ComfyUI %s can't interrupt one prompt alone.", prompt_id, version)
        return f"still runs: this ComfyUI ({version}) can't interrupt one prompt alone"
    client.interrupt(prompt_id, deadline)
    return "was told to stop while it ran"

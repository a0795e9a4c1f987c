"""Cancelling one prompt, and nobody else's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from comfybridge.comfyui.client import ComfyUIClient, can_aim_interrupts
from comfybridge.deadline import Deadline
from comfybridge.errors import ComfyUIError

Was = Literal["pending", "running", "gone"]


class InterruptNotAimed(ComfyUIError):
    """The prompt runs on: this ComfyUI is too old to interrupt one prompt alone."""


def cancel(
    client: ComfyUIClient,
    prompt_id: str,
    deadline: Deadline,
    before_deleting: Callable[[], None] | None = None,
    owner: str | None = None,
) -> Was:
    """Take a prompt out of the queue if it waits, interrupt it if it runs.

    Args:
        before_deleting: called before a waiting prompt is deleted.
        owner: whose prompt it must be; None: anybody's.

    Returns:
        What it did until then; one that ran stops at its next sampling step. `gone` if it did neither, or is not
        whose it must be.

    Raises:
        InterruptNotAimed: it runs, and can't be interrupted without the risk of hitting another.
        ComfyUIUnreachable, ComfyUIError, TimedOut: ComfyUI could not be asked.
    """
    queue = client.queue(deadline)
    if not queue.is_of(prompt_id, owner):
        return "gone"
    if prompt_id in queue.pending:
        if before_deleting is not None:
            before_deleting()
        client.delete_pending(prompt_id, deadline)
        # ComfyUI says yes to any deletion, also to that of a prompt whose turn came meanwhile
        queue = client.queue(deadline)
        if prompt_id not in queue.running:
            return "pending" if client.history(prompt_id, deadline) is None else "gone"
    if prompt_id not in queue.running:
        return "gone"
    version = client.version(deadline)
    if not can_aim_interrupts(version):
        raise InterruptNotAimed(
            f"The prompt runs on: this ComfyUI ({version}) can't interrupt one prompt alone; 0.3.57 and later can.",
            prompt_id=prompt_id,
        )
    client.interrupt(prompt_id, deadline)
    return "running"


def drop(client: ComfyUIClient, prompt_id: str, deadline: Deadline) -> None:
    """Cancel a prompt of which nobody wants to know any more what it did.

    Without a look at the queue, which carries every graph: a thousand callers may hang up at once.

    Raises:
        InterruptNotAimed, ComfyUIUnreachable, ComfyUIError, TimedOut: as `cancel`.
    """
    if can_aim_interrupts(client.version(deadline)):
        client.delete_pending(prompt_id, deadline)
        client.interrupt(prompt_id, deadline)  # in this order: its turn may come between the two
    else:
        cancel(client, prompt_id, deadline)

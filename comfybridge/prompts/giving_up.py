"""Gives up prompts: those whose time is up, and those whose caller is gone."""

from __future__ import annotations

import logging
import queue
import threading

from comfybridge.comfyui.cancelling import Canceller, InterruptNotAimed
from comfybridge.deadline import Deadline
from comfybridge.errors import BridgeError, Interrupted, TimedOut

log = logging.getLogger(__name__)

CANCEL_SECONDS = 10.0  # ComfyUI may be busy, or asleep
CANCEL_PATIENCE_SECONDS = 0.4  # how long a caller whose time is up waits for the outcome of cancelling
CANCELLED = {
    "pending": "was cancelled while it waited in the queue",
    "running": "was told to stop while it ran",
    "gone": "was no longer in the queue",
}

HUNG_UP = "The caller hung up before the prompt had finished."


class Abandoned(Interrupted):
    """The prompt's caller is gone."""


def give_up(canceller: Canceller, prompt_id: str, seconds: float, *, keep: bool) -> TimedOut:
    """Cancel a prompt that did not finish in time, unless it is to be kept.

    Returns:
        The error for the caller, which says what became of the prompt if ComfyUI answers at once. Otherwise
        cancelling goes on in the background.
    """
    sentence = f"The prompt did not finish within {seconds:g} s"
    if keep:
        return TimedOut(f"{sentence}; it is kept in ComfyUI's queue.", prompt_id=prompt_id)
    said: queue.SimpleQueue[str] = queue.SimpleQueue()

    def tell() -> None:
        said.put(try_to_cancel(canceller, prompt_id))

    threading.Thread(target=tell, name="comfybridge canceller", daemon=True).start()
    try:
        what = said.get(timeout=CANCEL_PATIENCE_SECONDS)
    except queue.Empty:
        what = "; it is being cancelled, and ComfyUI does not answer."
    return TimedOut(f"{sentence}{what}", prompt_id=prompt_id)


def try_to_cancel(canceller: Canceller, prompt_id: str) -> str:
    """Cancel a prompt; returns the rest of a sentence that says how that went."""
    try:
        return f"; it {CANCELLED[canceller.cancel(prompt_id, Deadline(CANCEL_SECONDS))]}."
    except InterruptNotAimed as failure:
        return f". {failure.message}"
    except BridgeError as failure:
        log.warning("Prompt %s could not be cancelled: %s", prompt_id, failure.message)
        return "; it could not be cancelled: ComfyUI does not answer."


def try_to_drop(canceller: Canceller, prompt_id: str, seconds: float = CANCEL_SECONDS) -> bool:
    """Cancel a prompt whose outcome no longer matters; returns whether ComfyUI accepted that."""
    try:
        canceller.drop(prompt_id, Deadline(seconds))
        return True
    except BridgeError as failure:
        log.warning("The abandoned prompt %s could not be cancelled: %s", prompt_id, failure.message)
        return False

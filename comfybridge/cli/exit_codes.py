"""The exit codes of the command line, which tell scripts the kind of error."""

from __future__ import annotations

from comfybridge.errors import (
    BridgeError,
    BridgeUnreachable,
    Busy,
    ComfyUIError,
    ComfyUIUnreachable,
    ExecutionFailed,
    InternalError,
    Interrupted,
    NoOutput,
    PromptLost,
    RateLimited,
    ShuttingDown,
    TimedOut,
)
from comfybridge.settings import SettingsError

DONE = 0
NOT_SAVED = 1  # it was made, but not saved as requested; or a bug
USAGE = 2  # the command line, a setting, or a file that it names
REFUSED = 3  # the request: it is wrong, or not allowed
UNREACHABLE = 4  # ComfyUI or the bridge does not answer, or its answer makes no sense
FAILED = 5  # the workflow
TIMEOUT = 6
BUSY = 7  # worth a retry later
CANCELLED = 8  # by someone else
HUNG_UP = 129
CTRL_C = 130
TERMINATED = 143

MEANINGS = {
    DONE: "the files are saved",
    NOT_SAVED: "the outputs could not be saved as requested",
    USAGE: "the command line, a setting or an input file is wrong",
    REFUSED: "the request is refused: it is wrong, or not allowed",
    UNREACHABLE: "ComfyUI or the bridge does not answer, or its answer makes no sense",
    FAILED: "the workflow failed, or made nothing",
    TIMEOUT: "the time is up",
    BUSY: "too many requests at the moment; try again later",
    CANCELLED: "someone else cancelled the prompt",
    CTRL_C: "Ctrl-C (143: SIGTERM; 129: SIGHUP, when the terminal is closed); the prompt is cancelled",
}

_BY_TYPE = {
    SettingsError.type: USAGE,
    ComfyUIUnreachable.type: UNREACHABLE,
    ComfyUIError.type: UNREACHABLE,
    BridgeUnreachable.type: UNREACHABLE,
    ExecutionFailed.type: FAILED,
    NoOutput.type: FAILED,
    PromptLost.type: FAILED,
    TimedOut.type: TIMEOUT,
    Busy.type: BUSY,
    RateLimited.type: BUSY,
    ShuttingDown.type: BUSY,
    Interrupted.type: CANCELLED,
    InternalError.type: NOT_SAVED,
}


def exit_code_of(error: BridgeError) -> int:
    """The exit code for an error; a type that this version does not know is judged by its HTTP status."""
    known = _BY_TYPE.get(error.type)
    if known is not None:
        return known
    return REFUSED if 400 <= error.status < 500 else FAILED

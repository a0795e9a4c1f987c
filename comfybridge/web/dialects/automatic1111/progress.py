"""How far the caller's own requests are, and stopping them; and what else is done without a body."""

from __future__ import annotations

import base64
import threading
import time
from typing import Annotated, Any, Literal

from flask import Response, jsonify, request
from pydantic import Field
from typing_extensions import TypedDict

from comfybridge.comfyui.servers import Server
from comfybridge.deadline import Deadline
from comfybridge.prompts.caller_progress import CallerProgress
from comfybridge.web.current import check_server_info, current_bridge, current_caller, request_deadline
from comfybridge.web.describing import Variable, describes, json_answer
from comfybridge.web.dialects.automatic1111.blueprint import blueprint
from comfybridge.web.dialects.automatic1111.errors import Problem, Unprocessable
from comfybridge.web.dialects.automatic1111.views import ASKING_ERRORS, TAG
from comfybridge.web.marks import marked
from comfybridge.workflow.written import boolean_in

SKIP = "skip_current_image"
MOST_CALLERS = 1000
# As long as a request is under way, its progress is more than what an idle server says.
LEAST = 0.001
NOT_QUEUED = "starting"  # an empty job means to programs that nothing runs
EMPTY = Annotated[dict[str, Any], Field(max_length=0)]


class Highest:
    """The highest share that each caller was told of, so that none falls. Safe to share between threads."""

    def __init__(self) -> None:
        self._told: dict[str, tuple[float, float]] = {}  # by caller: when its requests began, and the share
        self._lock = threading.Lock()

    def of(self, caller: str, started: float, share: float) -> float:
        """The share, or a higher one that was told of the same requests."""
        with self._lock:
            began, highest = self._told.pop(caller, (started, 0.0))
            told = max(share, highest) if began == started else share
            if len(self._told) >= MOST_CALLERS:
                self._told.pop(next(iter(self._told)))
            self._told[caller] = started, told
        return told


HIGHEST = Highest()


class StateAnswer(TypedDict):
    """The caller's requests."""

    skipped: bool
    interrupted: bool
    stopping_generation: bool
    job: Annotated[str, Field(description="the id of the prompt that runs; empty if none does")]
    job_count: Annotated[int, Field(description="their prompts; 0 if there are none")]
    job_timestamp: str
    job_no: Annotated[int, Field(description="their prompts that have ended")]
    sampling_step: int
    sampling_steps: int


class ProgressAnswer(TypedDict):
    """How far the caller's requests are."""

    progress: Annotated[float, Field(description="0 to 1; exactly 0 if there are none")]
    eta_relative: Annotated[float, Field(description="seconds that are left; 0 if unknown")]
    state: StateAnswer
    current_image: Annotated[str | None, Field(description="base64 of a preview, if there is one")]
    textinfo: str | None


@blueprint.get("/progress")
@marked(is_quiet=True)
@describes(
    tag=TAG,
    query={SKIP: Variable("whether the preview is left out", bool, is_optional=True)},
    answers=json_answer("The progress.", ProgressAnswer),
    raises=(Unprocessable,),
)
def get_progress() -> Response:
    """How far the requests of this caller are, in all processes of this machine.

    The caller is its API key, or else its address.
    """
    is_shown = not _skips()
    found = current_bridge().progress_of(current_caller(), with_preview=is_shown)
    if found is None:
        return jsonify(_idle())
    share = HIGHEST.of(current_caller(), found.started, share_of(found))
    return jsonify(_told(found, share, is_shown=is_shown))


def _skips() -> bool:
    text = request.args.get(SKIP)
    skips = False if text is None else boolean_in(text)
    if skips is None:
        raise Unprocessable([Problem(SKIP, "Input should be a valid boolean", "bool_parsing", "query")])
    return skips


def share_of(found: CallerProgress) -> float:
    """The share as AUTOMATIC1111 counts it: by steps while a sampler runs."""
    share = found.percent / 100
    if found.step is not None and found.steps:
        share = (found.job_no + min(1.0, found.step / found.steps)) / max(1, found.job_count)
    return max(LEAST, min(1.0, share))


def _idle() -> ProgressAnswer:
    return {
        "progress": 0.0,
        "eta_relative": 0.0,
        "state": _state("", 0, 0, 0, 0, "0"),
        "current_image": None,
        "textinfo": None,
    }


def _told(found: CallerProgress, share: float, *, is_shown: bool) -> ProgressAnswer:
    preview = found.preview if is_shown else None
    image = None if preview is None else base64.b64encode(preview.data).decode("ascii")
    timestamp = time.strftime("%Y%m%d%H%M%S", time.localtime(found.started))
    return {
        "progress": share,
        "eta_relative": found.eta_seconds or 0.0,
        "state": _state(
            found.prompt_id or NOT_QUEUED,
            max(1, found.job_count),
            found.job_no,
            found.step or 0,
            found.steps or 0,
            timestamp,
        ),
        "current_image": image,
        "textinfo": "Waiting..." if found.is_queued else None,
    }


def _state(job: str, count: int, number: int, step: int, steps: int, timestamp: str) -> StateAnswer:
    return {
        "skipped": False,
        "interrupted": False,
        "stopping_generation": False,
        "job": job,
        "job_count": count,
        "job_timestamp": timestamp,
        "job_no": number,
        "sampling_step": step,
        "sampling_steps": steps,
    }


@blueprint.post("/interrupt")
@describes(tag=TAG, answers=json_answer("Nothing.", EMPTY))
def interrupt() -> Response:
    """Cancel the prompts of this caller's requests, and of nobody else's."""
    current_bridge().interrupt(current_caller())
    return jsonify({})


@blueprint.post("/skip")
@describes(tag=TAG, answers=json_answer("Nothing.", None))
def skip() -> Response:
    """The same as interrupt."""
    current_bridge().interrupt(current_caller())
    return jsonify(None)


def _add_refresh(name: str, what: str) -> None:
    """Have ComfyUI say anew which files it has."""

    def view() -> Response:
        for server in current_bridge().servers.all:
            server.catalog.forget()
        return jsonify(None)

    view.__name__, view.__doc__ = f"refresh_{name}", f"Have ComfyUI say anew which {what} it has."
    blueprint.post(f"/refresh-{name}")(describes(tag=TAG, answers=json_answer("Nothing.", None))(view))


_add_refresh("checkpoints", "models")
_add_refresh("vae", "VAEs")
_add_refresh("loras", "LoRAs")
_add_refresh("embeddings", "textual inversions")


@blueprint.post("/unload-checkpoint")
@describes(tag=TAG, answers=json_answer("Nothing.", EMPTY), raises=ASKING_ERRORS)
def unload_checkpoint() -> Response:
    """Have ComfyUI take its models out of the memory, once it has run what it runs."""
    check_server_info()
    current_bridge().servers.answers(_free, request_deadline())
    return jsonify({})


@blueprint.post("/reload-checkpoint")
@describes(tag=TAG, answers=json_answer("Nothing.", EMPTY))
def reload_checkpoint() -> Response:
    """Nothing: ComfyUI loads a model when it needs it."""
    return jsonify({})


def _free(server: Server, patience: Deadline) -> Literal[True]:
    server.client.free_memory(patience)
    return True

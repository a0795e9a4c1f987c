"""ComfyUI's job list, if it has one: `GET /api/jobs` since 0.6.0."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from comfybridge.comfyui.calls import LARGEST_QUEUE, Calls, read_json
from comfybridge.comfyui.queued import Job, NotAQueue, Queue, job_of, queue_of_jobs
from comfybridge.deadline import Deadline
from comfybridge.errors import ComfyUIError

# Seconds after which a server without a job list is asked for it again: it may have been upgraded, or the prompt that
# broke its list may be gone. A downgrade is noticed at once.
LEFT_ALONE_SECONDS = 60.0
# The job list's answer for an unknown prompt. A ComfyUI without the list answers 404 as well.
UNKNOWN_JOB = {"error": "Job not found"}


class NoJobList(ComfyUIError):
    """ComfyUI does not list its jobs: it is older than 0.6.0, or some prompt's `extra_data` breaks the list."""


class JobList:
    """The job list of one server, which remembers whether there is one. Safe to share between threads.

    Each method raises NoJobList if there is none, usually without a call; `GET /queue` has the same facts, with every
    waiting graph. They also raise ComfyUIUnreachable, ComfyUIError and TimedOut: ComfyUI could not be asked.
    """

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._left_alone_until = float("-inf")

    def find(self, prompt_id: str, deadline: Deadline) -> Job | None:
        """Whether a prompt waits, runs or has ended; None if ComfyUI knows no such prompt.

        Cheap, unless it has ended: ComfyUI then sends its graph and outputs too. For an id that has ended and is
        queued again, ComfyUI only reports the end.
        """
        status, said = self._ask(f"/api/jobs/{quote(prompt_id, safe='')}", deadline)
        if status == 404 and said == UNKNOWN_JOB:
            return None
        with contextlib.suppress(NotAQueue):
            if status == 200 and said.get("id") == prompt_id:
                return job_of(said)
        raise self._missing(f"/api/jobs/{prompt_id}", status)

    def queue(self, deadline: Deadline) -> Queue:
        """The running and waiting prompts, without owners, in a third of the time of `GET /queue`."""
        return self._with_status("in_progress,pending", deadline)

    def running(self, deadline: Deadline) -> Queue:
        """The running prompts, without the waiting ones, of which there may be many."""
        return self._with_status("in_progress", deadline)

    def _with_status(self, statuses: str, deadline: Deadline) -> Queue:
        status, said = self._ask("/api/jobs", deadline, {"status": statuses})
        with contextlib.suppress(NotAQueue):
            if status == 200:
                return queue_of_jobs(said)
        raise self._missing("/api/jobs", status)

    def _ask(
        self, path: str, deadline: Deadline, query: Mapping[str, str] | None = None
    ) -> tuple[int, Mapping[str, Any]]:
        """The status and the JSON object of the job list's answer; an empty object if it is none."""
        if time.monotonic() < self._left_alone_until:
            raise NoJobList("ComfyUI did not list its jobs when last asked.")
        with self._calls.call("GET", path, deadline, query=query) as answer:
            if answer.status in (502, 503, 504):  # a proxy that does not reach ComfyUI
                self._calls.check_status(answer)
            said: object = None
            with contextlib.suppress(ValueError, RecursionError):  # GET /queue will show what answers
                said = json.loads(read_json(answer, LARGEST_QUEUE))
            return answer.status, said if isinstance(said, dict) else {}

    def _missing(self, path: str, status: int) -> NoJobList:
        """Record that the server has no job list."""
        self._left_alone_until = time.monotonic() + LEFT_ALONE_SECONDS
        return NoJobList(f"ComfyUI's answer to GET {path} ({status}) is not of a job list.")

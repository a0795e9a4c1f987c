"""What a webhook says: the job as `GET /jobs/ID` has it, with its result; or what ComfyLite says in its place."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

from comfybridge.bridge import Bridge
from comfybridge.deadline import Deadline
from comfybridge.errors import BridgeError, EngineUnreachable, Interrupted, TooLarge
from comfybridge.jobs.errors import error_from_dict
from comfybridge.jobs.job import Result
from comfybridge.jobs.jobs import Jobs
from comfybridge.jobs.results import options_of, wants_first_image
from comfybridge.jobs.states import ended_state
from comfybridge.request import Generation
from comfybridge.web.answers.embedding import PLACE
from comfybridge.web.answers.links import linker_at
from comfybridge.web.answers.sending import Streamed
from comfybridge.web.dialects.native.bodies import error_body
from comfybridge.web.dialects.native.job_bodies import job_body
from comfybridge.web.dialects.native.rendering import generation_json
from comfybridge.web.times import time_text

SECONDS = 20.0  # to read and to convert the files
LARGEST_OLDER = 48 * 1024 * 1024  # bytes of the images in a body of ComfyLite's shape, which has no links

_encode = json.JSONEncoder(separators=(",", ":")).encode


class HookBodies:
    """Writes the bodies of webhooks. Safe to share between threads."""

    def __init__(self, bridge: Bridge, jobs: Jobs) -> None:
        self._bridge = bridge
        self._jobs = jobs

    def write(self, result: Result) -> bytes:
        """The body for a job that has ended. What it says is the same whenever it is asked for.

        Raises:
            EngineUnreachable
        """
        return self._older(result) if result.older_webhook else self._body(result)

    def _body(self, result: Result) -> bytes:
        data: dict[str, Any] = {**job_body(ended_state(result), self._base_url(result)), "result": None}
        data.pop("webhook", None)  # says how often it was tried
        outcome = b"null"
        if result.status == "succeeded":
            try:
                outcome = self._generation(result)
                data["result"] = PLACE
            except EngineUnreachable:
                raise
            except BridgeError as error:  # its files are no longer kept
                data["error"] = error_body(error, "")
        body = {"type": f"job.{result.status}", "timestamp": time_text(result.ended), "data": data}
        return _encode(body).encode("ascii").replace(f'"{PLACE}"'.encode(), outcome.rstrip())

    def _generation(self, result: Result) -> bytes:
        """The JSON of what it has made: with its files, or with links if they are too large."""
        options, with_first = options_of(result), wants_first_image(result)
        if not options.links:
            whole = generation_json(self._files(result), with_first_image=with_first)
            with_files = self._joined(whole) if isinstance(whole, Streamed) else whole
            if with_files is not None and _file_bytes(with_files) <= self._most:
                return with_files
        link_to = linker_at(self._bridge.links, self._base_url(result))
        linked = generation_json(self._files(result), with_first_image=False, link_to=link_to)
        assert isinstance(linked, bytes)
        return linked

    def _joined(self, body: Streamed) -> bytes | None:
        """A body that is not in memory; None if it is certainly too large."""
        try:
            # base64 makes four bytes of three
            is_small = body.length is not None and body.length <= 2 * self._most
            return b"".join(body.chunks) if is_small else None
        finally:
            body.close()

    def _older(self, result: Result) -> bytes:
        body: dict[str, Any] = {"status": "success", "prompt_id": result.id}
        try:
            body["images"] = self._images(result)
        except EngineUnreachable:
            raise
        except BridgeError as error:
            body = {"status": "failure", "prompt_id": result.id, "error": error.message}
        return _encode(body).encode("ascii")

    def _images(self, result: Result) -> list[str]:
        if result.error is not None:
            raise error_from_dict(result.error)
        if result.status != "succeeded":
            raise Interrupted("The prompt was cancelled.")
        images, room = [], LARGEST_OLDER
        for output in self._files(result).images:
            data = output.read()
            room -= len(data)
            if room < 0:
                raise TooLarge(f"The images have more than {LARGEST_OLDER} bytes; GET /results/{result.id} has them.")
            images.append(b64encode(data).decode("ascii"))
        return images

    def _files(self, result: Result) -> Generation:
        return self._jobs.generation(result, options_of(result), Deadline(SECONDS))

    def _base_url(self, result: Result) -> str:
        return self._bridge.settings.public_url or result.base_url or ""

    @property
    def _most(self) -> int:
        return self._bridge.settings.webhook_inline_bytes


def _file_bytes(body: bytes) -> int:
    """How many bytes the files have that are in a body."""
    return sum(output["bytes"] or 0 for output in json.loads(body)["outputs"] if "text" not in output)

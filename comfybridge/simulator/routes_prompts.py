"""The routes that queue, cancel and look up prompts."""

import time
import uuid
from typing import Any

from aiohttp import web

from comfybridge.simulator.instance_parts import Parts
from comfybridge.simulator.prompt_queue import SECRETS
from comfybridge.simulator.replacements import replace_retired
from comfybridge.simulator.validation import refusal, validate


class PromptRoutes:
    """POST and GET of /prompt, /queue, /history, and POST /interrupt and /free."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._version = parts.world.version
        self._counter = 0

    def table(self) -> list[web.RouteDef]:
        return [
            web.get("/prompt", self.get_prompt),
            web.post("/prompt", self.post_prompt),
            web.get("/queue", self.get_queue),
            web.post("/queue", self.post_queue),
            web.get("/history", self.get_history),
            web.post("/history", self.post_history),
            web.get("/history/{prompt_id}", self.get_history_of),
            web.post("/interrupt", self.post_interrupt),
            web.post("/free", self.post_free),
        ]

    async def get_prompt(self, _: web.Request) -> web.Response:
        return web.json_response(self._parts.queue_info())

    async def post_prompt(self, request: web.Request) -> web.Response:
        body = await request.json()
        if "prompt" not in body:  # this works for a list too, so a list does not cause a 500 here
            error = refusal("no_prompt", "No prompt provided", "No prompt provided")
            return web.json_response({"error": error, "node_errors": {}}, status=400)
        number = self._number(body)
        if not self._fits(body.get("prompt_id")):
            details = (
                "prompt_id must be a UUID string in canonical lowercase hyphenated form; omit it to let the server "
                "generate one"
            )
            error = refusal("invalid_prompt_id", "prompt_id must be a valid UUID", details)
            return web.json_response({"error": error, "node_errors": {}}, status=400)
        if self._version.replaces_nodes and self._parts.world.replacements:
            replace_retired(body["prompt"], self._parts.world)
        verdict = validate(body["prompt"], body.get("partial_execution_targets"), self._parts.world)
        if verdict.error is not None:
            answer = {"error": verdict.error, "node_errors": verdict.node_errors}
            return web.json_response(answer, status=400)
        extra_data = body.get("extra_data", {})
        if "client_id" in body:
            extra_data["client_id"] = body["client_id"]
        if self._version.hides_secrets:
            for secret in SECRETS:
                extra_data.pop(secret, None)
        if self._version.stamps_prompts:
            extra_data["create_time"] = int(time.time() * 1000)
        prompt_id = self._prompt_id(body)
        self._parts.queue.put((number, prompt_id, body["prompt"], extra_data, verdict.outputs))
        return web.json_response({"prompt_id": prompt_id, "number": number, "node_errors": verdict.node_errors})

    def _number(self, body: dict[str, Any]) -> float:
        """The place in the queue: the client's, or the next one, negative for the front."""
        if "number" in body:
            return float(body["number"])
        number = self._counter
        self._counter += 1
        return -number if body.get("front") else number

    def _prompt_id(self, body: dict[str, Any]) -> str:
        chosen = body.get("prompt_id")
        return str(uuid.uuid4() if chosen is None else chosen)

    def _fits(self, prompt_id: Any) -> bool:
        """Whether a client's id is accepted for a prompt; None lets the server choose."""
        if prompt_id is None or not self._version.demands_uuids:
            return True
        try:
            return isinstance(prompt_id, str) and str(uuid.UUID(prompt_id)) == prompt_id
        except ValueError:
            return False

    async def get_queue(self, _: web.Request) -> web.Response:
        queue = self._parts.queue
        return web.json_response({"queue_running": queue.running, "queue_pending": queue.pending})

    async def post_queue(self, request: web.Request) -> web.Response:
        body = await request.json()
        if body.get("clear"):
            self._parts.queue.clear()
        if "delete" in body:
            for prompt_id in body["delete"]:
                self._parts.queue.delete(prompt_id)
        return web.Response()

    async def get_history(self, request: web.Request) -> web.Response:
        max_items = request.query.get("max_items")
        offset = int(request.query.get("offset", -1))
        count = None if max_items is None else int(max_items)
        return web.json_response(self._parts.queue.history(count, offset))

    async def get_history_of(self, request: web.Request) -> web.Response:
        return web.json_response(self._parts.queue.history_of(request.match_info["prompt_id"]))

    async def post_history(self, request: web.Request) -> web.Response:
        body = await request.json()
        if body.get("clear"):
            self._parts.queue.clear_history()
        if "delete" in body:
            for prompt_id in body["delete"]:
                self._parts.queue.delete_history(prompt_id)
        return web.Response()

    async def post_interrupt(self, request: web.Request) -> web.Response:
        try:
            body = await request.json()
        except ValueError:
            body = {}
        aim = body.get("prompt_id") if self._version.aims_interrupts else None
        self._parts.interrupt(aim or None)
        return web.Response()

    async def post_free(self, request: web.Request) -> web.Response:
        body = await request.json()
        if body.get("free_memory"):
            self._parts.executor.forget = True
        return web.Response()

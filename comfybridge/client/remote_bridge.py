"""A client for a bridge that runs elsewhere. Its `generate` is called like that of `Bridge`.

from comfybridge import Client

client = Client("http://gpu.example:8189", api_key="...")
client.generate("a cat", steps=20).images[0].save("cat.png")

client.generate("a cat", on_progress=lambda step: print(f"{step.percent:.0f} %"))

for event in client.events("a cat"):  # Queued, Progress, Preview, and the Generation at last
    print(event)
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

import requests

from comfybridge.client.connection import Connection
from comfybridge.client.wire import EVENTS, error_of, form_of, generation_of
from comfybridge.errors import BridgeError
from comfybridge.prompts.following import OnProgress
from comfybridge.prompts.progress import Preview, Progress, Queued
from comfybridge.request import Generation, GenerationRequest
from comfybridge.shorthand import Asked, request_for

DEFAULT_URL = "http://127.0.0.1:8189"
AWAKE_SECONDS = 15.0  # between the spaces that the bridge sends so that no proxy gives up
EVENT_STREAM = "text/event-stream"

Happening = Queued | Progress | Preview | Generation


class Client:
    """Asks a bridge over HTTP. Safe to share between threads; holds no connection between two calls.

    Args:
        url: the bridge's address, with or without `http://`.
        api_key: the key to send, if the bridge requires one.

    Attributes:
        url: the bridge's address, without credentials.

    Raises:
        SettingsError: the URL is wrong, or the environment names an unusable proxy.
    """

    def __init__(self, url: str = DEFAULT_URL, api_key: str | None = None) -> None:
        self._connection = Connection(url, (api_key or "").strip())
        self.url = self._connection.url

    def close(self) -> None:
        """Do nothing; this exists because a `Bridge` has it."""

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def generate(self, request: Asked = None, *, on_progress: OnProgress | None = None, **values: Any) -> Generation:
        """Run a workflow, block until it has finished, and return its outputs with their bytes.

        Args:
            request: a text, a whole graph, or a `GenerationRequest`.
            on_progress: called in this thread with each step.
            values: by name, what a `GenerationRequest` has (`workflow`, `timeout`, `images`) and any parameter
                of the workflow (`steps`, `width`).

        Raises:
            BridgeError: what went wrong, as `comfybridge.errors` draws it.
        """
        started = time.monotonic()
        asked = request_for(request, values)
        if on_progress is None:
            with self._post(asked, "application/json", keepalive=AWAKE_SECONDS) as answer:
                return self._generation(self._connection.json(answer), started)
        for event in self.events(asked):
            if isinstance(event, Progress):
                on_progress(event)
            elif isinstance(event, Generation):
                return event
        raise self._connection.cut_off()

    def events(self, request: Asked = None, **values: Any) -> Iterator[Happening]:
        """Run a workflow and yield `Queued`, `Progress` and `Preview` events, and finally the `Generation`.

        Closing the iterator before that cancels the prompt.

        Raises:
            BridgeError: as `generate`.
        """
        started = time.monotonic()
        asked = request_for(request, values)
        with self._post(asked, EVENT_STREAM) as answer:
            if not answer.headers.get("Content-Type", "").startswith(EVENT_STREAM):
                raise self._connection.refusal(answer)
            for name, data in self._connection.events(answer):
                if name == "result":
                    yield self._generation(data, started)
                    return
                with self._making_sense():
                    if name == "error":
                        raise error_of(data, BridgeError.status)
                    event = EVENTS[name](data) if name in EVENTS else None
                if event is not None:
                    yield event
        raise self._connection.cut_off()

    def result(self, prompt_id: str) -> Generation | None:
        """The result of a prompt, for as long as ComfyUI remembers it; None while it waits or runs.

        Raises:
            BridgeError: as `generate`; UnknownPrompt: ComfyUI knows no such prompt.
        """
        started = time.monotonic()
        answer = self._connection.ask("GET", f"/results/{quote(prompt_id, safe='')}")
        body = self._connection.json(answer)
        return None if answer.status_code == 202 else self._generation(body, started)

    def cancel(self, prompt_id: str, timeout: float | None = None) -> str:
        """Take a prompt out of the queue, or stop it.

        Args:
            timeout: seconds that the bridge has for the answer.

        Returns:
            Its state until then: `pending` or `running`.

        Raises:
            UnknownPrompt: it neither waits nor runs.
            BridgeError: it could not be cancelled.
        """
        timeouts = None if timeout is None else (timeout / 2, timeout / 2)  # for the connection and for the answer
        answer = self._connection.ask("POST", f"/cancel/{quote(prompt_id, safe='')}", timeout=timeouts)
        return str(self._connection.json(answer).get("was"))

    def workflows(self) -> dict[str, Any]:
        """The templates, from `GET /workflows`.

        Raises:
            BridgeError
        """
        return self._connection.json(self._connection.ask("GET", "/workflows"))

    def workflow(self, name: str) -> dict[str, Any]:
        """The parameters of a template, from `GET /workflows/NAME`.

        Raises:
            BridgeError; UnknownWorkflow: no template has that name.
        """
        return self._connection.json(self._connection.ask("GET", f"/workflows/{quote(name, safe='')}"))

    def convert(self, workflow: Mapping[str, Any]) -> dict[str, Any]:
        """A workflow that ComfyUI's editor saved as a graph in API format, from `POST /convert`.

        Returns:
            `{"prompt": the graph, "parameters": {name: its JSON Schema}, "warnings": [...]}`.

        Raises:
            InvalidWorkflow: it can't be converted truthfully.
            BridgeError
        """
        parts = [("request", (None, json.dumps({"workflow": workflow})))]
        return self._connection.json(self._connection.ask("POST", "/convert", files=parts))

    def _post(self, asked: GenerationRequest, accept: str, **more: Any) -> requests.Response:
        headers = {"Accept": accept}
        if asked.idempotency_key is not None:
            headers["Idempotency-Key"] = asked.idempotency_key
        return self._connection.ask("POST", "/generate", files=form_of(asked, **more), headers=headers, stream=True)

    def _generation(self, body: Mapping[str, Any], started: float) -> Generation:
        with self._making_sense():
            if body.get("status") == "error":  # a kept-alive answer is always 200
                raise error_of(body, BridgeError.status)
            return generation_of(body, started, self._connection.file)

    @contextlib.contextmanager
    def _making_sense(self) -> Iterator[None]:
        """Turn errors in reading an answer into one that says that it makes no sense."""
        try:
            yield
        except (KeyError, TypeError, ValueError, AttributeError, IndexError):
            raise self._connection.nonsense() from None

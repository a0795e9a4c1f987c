"""The server's HTTP side, in little code: the contract is about the protocol, not about the bridge's client."""

from __future__ import annotations

import time
import uuid
from typing import Any

import requests

from comfybridge.simulator.version import Version
from tests.contract.ear import PATIENCE, Ear


class Server:
    """A ComfyUI at a URL, waited for `patience` seconds at most."""

    def __init__(self, url: str, patience: float = PATIENCE) -> None:
        self.url = url
        self._version: Version | None = None
        self.patience = patience

    @property
    def version(self) -> Version:
        """The version that it reports; some behaviour differs between versions."""
        if self._version is None:
            self._version = Version(self.get("/system_stats").json()["system"]["comfyui_version"])
        return self._version

    def get(self, path: str, **query: Any) -> requests.Response:
        return requests.get(self.url + path, params=query, timeout=self.patience)

    def post(self, path: str, body: Any) -> requests.Response:
        return requests.post(self.url + path, json=body, timeout=self.patience)

    def queue(self, graph: dict[str, Any], ear: Ear | None = None, **fields: Any) -> str:
        """Queues a graph that must be accepted, under an id chosen here; returns the id."""
        return str(self.accepted(graph, ear, **fields)["prompt_id"])

    def accepted(self, graph: dict[str, Any], ear: Ear | None = None, **fields: Any) -> dict[str, Any]:
        body = {"prompt": graph, "prompt_id": str(uuid.uuid4()), **fields}
        if ear is not None:
            body["client_id"] = ear.client_id
        response = self.post("/prompt", body)
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer

    def run(self, graph: dict[str, Any], ear: Ear, **fields: Any) -> str:
        """Queues a graph and reads its events to the end; returns the prompt id."""
        prompt_id = self.queue(graph, ear, **fields)
        ear.until_done(prompt_id)
        return prompt_id

    def refused(self, graph: Any, **fields: Any) -> dict[str, Any]:
        """The body with which this graph is refused."""
        response = self.post("/prompt", {"prompt": graph, **fields})
        assert response.status_code == 400, response.text
        body: dict[str, Any] = response.json()
        return body

    def entry(self, prompt_id: str) -> dict[str, Any]:
        """A finished prompt's history."""
        entry: dict[str, Any] = self.get(f"/history/{prompt_id}").json()[prompt_id]
        return entry

    def files(self, prompt_id: str, node_id: str) -> list[dict[str, str]]:
        """The files that a node of a finished prompt has saved, without the ids of assets."""
        images: list[dict[str, str]] = without_ids(self.entry(prompt_id)["outputs"][node_id])["images"]
        return images

    def in_queue(self, prompt_id: str) -> bool:
        """Whether a prompt is pending or running."""
        queue = self.get("/queue").json()
        return any(item[1] == prompt_id for item in queue["queue_running"] + queue["queue_pending"])

    def wait_until_gone(self, prompt_id: str) -> None:
        """Waits until a prompt has left the queue, for prompts that nobody listens to."""
        deadline = time.monotonic() + self.patience
        while self.in_queue(prompt_id):
            assert time.monotonic() < deadline, "the prompt does not end"
            time.sleep(0.01)

    def upload(self, content: bytes, name: str, kind: str = "image", **fields: str) -> requests.Response:
        files = {"image": (name, content, "image/png")}
        return requests.post(f"{self.url}/upload/{kind}", files=files, data=fields, timeout=self.patience)


def without_ids(output: dict[str, Any]) -> dict[str, Any]:
    """What a node shows, without the ids that its files have where ComfyUI keeps assets."""
    return {
        key: [
            {name: each[name] for name in each if name != "id"} if isinstance(each, dict) else each for each in value
        ]
        for key, value in output.items()
    }

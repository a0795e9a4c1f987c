"""What became of every job, as seen from outside: by the bridge, in the engine, at the ComfyUIs and the receiver."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import requests
from PIL import Image

from tests.fleet import comfyui
from tests.waiting import until_true

PATIENCE = 60.0
ENDED = ("succeeded", "failed", "cancelled")


class Jobs:
    """The jobs that a bridge has accepted.

    Attributes:
        labels: of each accepted job, by its id; its runs are counted under it.
        hooked: the ids of those that have a webhook.
    """

    def __init__(self) -> None:
        self.labels: dict[str, str] = {}
        self.hooked: set[str] = set()

    def accepted(self, job_id: str, label: str, webhook: str | None = None) -> None:
        self.labels[job_id] = label
        if webhook is not None:
            self.hooked.add(job_id)


def body_of(label: str, *, steps: int = 1, webhook: str | None = None, **fields: Any) -> dict[str, Any]:
    """The body of a request whose runs are counted under a label."""
    hook = {} if webhook is None else {"webhook": webhook}
    return {"workflow": comfyui.job(label, steps), "timeout": 120, **hook, **fields}


def submit(url: str, jobs: Jobs, label: str, *, headers: Mapping[str, str] | None = None, **wishes: Any) -> str:
    """Have a job accepted; returns its id."""
    answer = requests.post(f"{url}/jobs", json=body_of(label, **wishes), headers=headers, timeout=PATIENCE)
    assert answer.status_code == 202, answer.text
    job_id: str = answer.json()["id"]
    jobs.accepted(job_id, label, wishes.get("webhook"))
    return job_id


def cancel(url: str, job_id: str) -> str:
    """Cancel a job; returns its status afterwards."""
    answer = requests.post(f"{url}/jobs/{job_id}/cancel", timeout=PATIENCE)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["status"])


def state(url: str, job_id: str) -> dict[str, Any]:
    """A job, as the bridge tells of it."""
    answer = requests.get(f"{url}/jobs/{job_id}", timeout=PATIENCE)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def states(url: str, wanted: Iterable[str], seconds: float = PATIENCE) -> dict[str, dict[str, Any]]:
    """The jobs of these ids, once all of them have ended."""
    left, found = set(wanted), {}

    def all_ended() -> bool:
        for job_id in list(left):
            try:
                found[job_id] = state(url, job_id)
            except requests.RequestException:
                return False
            if found[job_id]["status"] not in ENDED:
                return False
            left.discard(job_id)
        return True

    try:
        until_true(all_ended, seconds)
    except AssertionError:
        waiting = Counter(each["status"] for each in found.values())
        some = {job_id: found.get(job_id) for job_id in sorted(left)[:3]}
        raise AssertionError(f"{len(left)} jobs have not ended: {json.dumps(some)}; statuses {waiting}") from None
    return found


def check_picture(answer: requests.Response) -> None:
    """The answer is one whole picture."""
    assert answer.status_code == 200, answer.text[:500]
    picture = Image.open(io.BytesIO(answer.content))
    picture.load()
    assert picture.size == (64, 48)


class Runs:
    """How often jobs ran, by label."""

    def __init__(self, files: Iterable[Path]) -> None:
        self.began: Counter[str] = Counter()
        self.ended: Counter[str] = Counter()
        for each in files:
            for line in each.read_text().splitlines() if each.exists() else []:
                label, _, what = line.rpartition(" ")
                (self.began if what == comfyui.BEGAN else self.ended)[label] += 1

    def again(self) -> Counter[str]:
        """How often jobs were begun after their first time, by label."""
        return Counter({label: count - 1 for label, count in self.began.items() if count > 1})

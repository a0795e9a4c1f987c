"""Many callers at once, on a server as users start it."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from tests.dialects.comfy.sdk import make_client, start
from tests.graphs import picture

__all__ = ["make_client", "start"]

RUNS = 100
ENDED = ("succeeded", "canceled", "failed", "expired")


@pytest.mark.alone
@pytest.mark.parametrize("make_client", ["sync"], indirect=True)
def test_none_of_a_hundred_is_lost(start: Any, make_client: Any) -> None:
    client = make_client(start().url)

    def run(number: int) -> tuple[str, int]:
        job = client.run(client.workflows.from_json(picture(16, 16)))
        return job.status, len(job.outputs)

    with ThreadPoolExecutor(RUNS) as callers:
        ended = Counter(callers.map(run, range(RUNS)))
    assert ended == {("succeeded", 1): RUNS}
    listed = list(client.list_jobs(limit=30))
    assert len({each.id for each in listed}) == len(listed) == RUNS
    assert {each.status for each in listed} == {"succeeded"}


def test_a_fast_job_is_never_lost_however_often_it_is_asked_for(start: Any) -> None:
    url = start().url
    seen: Counter[tuple[int, str]] = Counter()

    def poll(session: requests.Session) -> None:
        asked = session.post(f"{url}/api/v2/jobs", json={"workflow": picture(16, 16)}, timeout=30)
        path, status = asked.json()["urls"]["self"], asked.json()["status"]
        while status not in ENDED:
            told = session.get(url + path, timeout=30)
            status = told.json().get("status", "")
            seen[told.status_code, status] += 1

    def caller() -> None:
        with requests.Session() as session:
            for _ in range(5):
                poll(session)

    callers = [threading.Thread(target=caller) for _ in range(4)]
    for each in callers:
        each.start()
    for each in callers:
        each.join()
    assert {status for status, _ in seen} == {200}
    assert {name for _, name in seen} <= {"queued", "running", "succeeded"}
    assert seen[200, "succeeded"] == 20

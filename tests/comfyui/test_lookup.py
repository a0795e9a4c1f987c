"""Looking prompts up: many share one look at the queue, and none takes one from before its own prompt.

By the job list where ComfyUI has one, and by the queue with every graph in it where it has not, or can't make it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from comfybridge.address import ServerAddress
from comfybridge.comfyui import jobs, looks
from comfybridge.comfyui.client import ComfyUIClient
from comfybridge.comfyui.lookup import MOST_BY_ID, PromptLookup
from comfybridge.comfyui.outcome import Prompt
from comfybridge.deadline import Deadline
from comfybridge.errors import PromptLost
from tests.comfyui.exchange import Exchange

MINE = Prompt("mine", {})
UNKNOWN = {"error": "Job not found"}


@pytest.fixture
def comfyui(monkeypatch: pytest.MonkeyPatch) -> Iterator[Exchange]:
    monkeypatch.setattr(looks, "FRESH_SECONDS", 1000.0)
    with Exchange() as exchange:
        yield exchange


@pytest.fixture
def older(comfyui: Exchange) -> Exchange:
    """One that has no job list."""
    comfyui.get("/api/jobs/mine", "404: Not Found", status=404)
    return comfyui


@pytest.fixture
def prompts(comfyui: Exchange) -> Iterator[PromptLookup]:
    client = ComfyUIClient(ServerAddress.parse(comfyui.url))
    yield PromptLookup(client)
    client.close()


def queue_of(*pending: str) -> dict[str, object]:
    return {"queue_running": [], "queue_pending": [[n, each, {}, {}, []] for n, each in enumerate(pending)]}


def job(prompt_id: str, status: str = "pending", priority: float = 0, **more: object) -> dict[str, object]:
    return {"id": prompt_id, "status": status, "priority": priority, "create_time": 7, "outputs_count": 0, **more}


def job_list(*found: dict[str, object]) -> dict[str, object]:
    page = {"offset": 0, "limit": None, "total": len(found), "has_more": False}
    return {"jobs": list(found), "pagination": page}


def targets(comfyui: Exchange) -> list[str]:
    """What was asked for since the last time."""
    found = [request.target for request in comfyui.requests]
    comfyui.requests.clear()
    return found


# -- without a job list ------------------------------------------------------------------------------------------


def test_waiters_that_ask_at_the_same_time_share_one_look(older: Exchange, prompts: PromptLookup) -> None:
    older.get("/queue", json_body=queue_of("other", "mine"))
    queued_at = time.monotonic()
    assert [prompts.history_entry(MINE, queued_at, Deadline(9)) for _ in range(50)] == [None] * 50
    assert targets(older) == ["/api/jobs/mine", "/queue"]


def test_a_look_from_before_the_prompt_was_queued_does_not_count(older: Exchange, prompts: PromptLookup) -> None:
    older.get("/queue", json_body=queue_of("other", "mine"))
    assert prompts.history_entry(MINE, time.monotonic(), Deadline(9)) is None
    older.get("/queue", json_body=queue_of("other", "mine", "third"))
    assert prompts.history_entry(Prompt("third", {}), time.monotonic(), Deadline(9)) is None


def test_what_has_left_the_queue_is_in_the_history(older: Exchange, prompts: PromptLookup) -> None:
    older.get("/queue", json_body=queue_of())
    older.get("/history/mine", json_body={"mine": {"outputs": {}}})
    assert prompts.history_entry(MINE, time.monotonic(), Deadline(9)) == {"outputs": {}}
    assert targets(older) == ["/api/jobs/mine", "/queue", "/history/mine"]


def test_what_is_in_neither_is_lost(older: Exchange, prompts: PromptLookup) -> None:
    older.get("/queue", json_body=queue_of())
    older.get("/history/mine", json_body={})
    with pytest.raises(PromptLost):
        prompts.history_entry(MINE, time.monotonic(), Deadline(9))


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 404},
        {"status": 404, "json_body": {"error": "no such page"}},
        {"status": 405},
        {"status": 403, "body": "not for you"},
        {"status": 500, "body": "500 Internal Server Error\n\nServer got itself in trouble"},
        {"status": 302, "headers": {"Location": "/login"}},
        {"body": "<html>welcome</html>"},
        {"json_body": []},
        {"json_body": job("another")},
        {"json_body": job("mine", "dreaming")},
        {"json_body": {"id": "mine", "status": ["pending"]}},
    ],
)
def test_what_is_no_job_list_is_left_alone_for_a_while(
    comfyui: Exchange, prompts: PromptLookup, monkeypatch: pytest.MonkeyPatch, answer: dict[str, object]
) -> None:
    comfyui.get("/api/jobs/mine", **answer)
    comfyui.get("/queue", json_body=queue_of("mine"))
    for _ in range(3):
        found = prompts.find("mine", time.monotonic(), Deadline(9))
        assert found is not None
        assert found.status == "pending"
    assert targets(comfyui) == ["/api/jobs/mine", "/queue", "/queue", "/queue"]
    monkeypatch.setattr(time, "monotonic", lambda now=time.monotonic: now() + jobs.LEFT_ALONE_SECONDS)
    comfyui.get("/api/jobs/mine", json_body=job("mine", "in_progress"))  # the server was upgraded
    found = prompts.find("mine", time.monotonic(), Deadline(9))
    assert found is not None
    assert found.status == "running"
    assert targets(comfyui) == ["/api/jobs/mine"]


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 404},
        {"status": 500},
        {"json_body": []},
        {"json_body": {"jobs": 3}},
        {"json_body": {"jobs": [3]}},
        {"json_body": {"jobs": [{"id": "mine", "status": "pending"}]}},
        {"json_body": {"jobs": [job("mine"), {**job("other"), "id": 5}]}},
        {"json_body": {"jobs": [{**job("mine"), "priority": "high"}, job("other")]}},
    ],
)
def test_a_list_that_makes_no_sense_gives_way_to_the_queue(
    comfyui: Exchange, prompts: PromptLookup, answer: dict[str, object]
) -> None:
    comfyui.get("/api/jobs", **answer)
    comfyui.get("/queue", json_body=queue_of("mine"))
    for _ in range(2):
        assert prompts.recent_queue(time.monotonic(), Deadline(9)).pending == ("mine",)
    assert targets(comfyui) == ["/api/jobs?status=in_progress%2Cpending", "/queue", "/queue"]


def test_a_downgrade_shows_at_once(comfyui: Exchange, prompts: PromptLookup) -> None:
    comfyui.get("/api/jobs/mine", json_body=job("mine"))
    assert prompts.find("mine", time.monotonic(), Deadline(9)) is not None
    comfyui.get("/api/jobs/mine", status=404)
    comfyui.get("/queue", json_body=queue_of("mine"))
    assert prompts.find("mine", time.monotonic(), Deadline(9)) is not None


# -- with a job list ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["pending", "in_progress"])
def test_one_prompt_is_looked_up_by_its_id(comfyui: Exchange, prompts: PromptLookup, status: str) -> None:
    comfyui.get("/api/jobs/mine", json_body=job("mine", status))
    assert prompts.history_entry(MINE, time.monotonic(), Deadline(9)) is None
    assert targets(comfyui) == ["/api/jobs/mine"]


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
def test_what_has_ended_is_read_off_the_history(comfyui: Exchange, prompts: PromptLookup, status: str) -> None:
    """The job list has the outputs too, but in another form."""
    comfyui.get("/api/jobs/mine", json_body=job("mine", status, outputs={}, workflow={"prompt": {}}))
    comfyui.get("/history/mine", json_body={"mine": {"outputs": {}}})
    assert prompts.history_entry(MINE, time.monotonic(), Deadline(9)) == {"outputs": {}}


def test_what_the_job_list_does_not_know_is_lost(comfyui: Exchange, prompts: PromptLookup) -> None:
    comfyui.get("/api/jobs/mine", json_body=UNKNOWN, status=404)
    comfyui.get("/history/mine", json_body={})
    with pytest.raises(PromptLost):
        prompts.history_entry(MINE, time.monotonic(), Deadline(9))


def test_many_prompts_are_looked_up_by_one_look_at_the_list(comfyui: Exchange, prompts: PromptLookup) -> None:
    many = [f"p{number}" for number in range(50)]
    for prompt_id in many[:MOST_BY_ID]:
        comfyui.get(f"/api/jobs/{prompt_id}", json_body=job(prompt_id))
    comfyui.get("/api/jobs", json_body=job_list(*map(job, many)))
    queued_at = time.monotonic()
    for prompt_id in many:
        assert prompts.history_entry(Prompt(prompt_id, {}), queued_at, Deadline(9)) is None
    by_id = [f"/api/jobs/{prompt_id}" for prompt_id in many[:MOST_BY_ID]]
    assert targets(comfyui) == [*by_id, "/api/jobs?status=in_progress%2Cpending"]


def test_the_order_of_the_list_is_that_of_the_queue(comfyui: Exchange, prompts: PromptLookup) -> None:
    found = [job("d", priority=3), job("c", priority=3), job("b", priority=-1), job("a", "in_progress", priority=0)]
    comfyui.get("/api/jobs", json_body=job_list(*found))
    queue = prompts.recent_queue(time.monotonic(), Deadline(9))
    assert (queue.running, queue.pending) == (("a",), ("b", "c", "d"))


def test_owners_are_only_in_the_queue(comfyui: Exchange, prompts: PromptLookup) -> None:
    note = {"comfybridge": '{"owner":"me"}'}
    comfyui.get("/api/jobs/mine", json_body=job("mine"))
    comfyui.get("/queue", json_body={"queue_running": [], "queue_pending": [[0, "mine", {}, note, []]]})
    assert prompts.find_of("mine", "me", Deadline(9)) is not None
    assert prompts.find_of("mine", "you", Deadline(9)) is None
    assert targets(comfyui) == ["/api/jobs/mine", "/queue"] * 2


def test_whose_it_is_need_not_be_known_of_what_is_not_there(comfyui: Exchange, prompts: PromptLookup) -> None:
    comfyui.get("/api/jobs/mine", json_body=UNKNOWN, status=404)
    assert prompts.find_of("mine", "me", Deadline(9)) is None


def test_what_has_ended_may_be_queued_again_under_its_id(comfyui: Exchange, prompts: PromptLookup) -> None:
    comfyui.get("/api/jobs/mine", json_body=job("mine", "completed"))
    comfyui.get("/api/jobs", json_body=job_list(job("mine", "in_progress")))
    found = prompts.find("mine", time.monotonic(), Deadline(9))
    assert found is not None
    assert found.status == "running"

"""Keys of paid services in `extra_data` go to ComfyUI, and into no file, log or answer of the bridge."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask

from comfybridge.engine.engine import LIVE
from comfybridge.simulator import Simulator
from tests import graphs
from tests.waiting import until_true
from tests.web.jobs import ended, jobs_api, jobs_app, jobs_of, make_jobs_app, queue, queued_at

__all__ = ["jobs_api", "jobs_app", "make_jobs_app"]

KEY = "comfyui-7b1f0c9d55aa41f2"
EXTRA = {"api_key_comfy_org": KEY, "auth_token_comfy_org": f"{KEY}-token", "note": "plain"}


def with_the_key(folder: Path) -> list[str]:
    """The files that contain the key."""
    found = []
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):  # a socket, or a file that the engine has just deleted
            if path.is_file() and KEY.encode() in path.read_bytes():
                found.append(str(path))
    return found


def test_a_key_reaches_comfyui_and_no_disk(
    make_jobs_app: Callable[..., Flask], sim: Simulator, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    app = make_jobs_app()
    api = app.test_client()
    sim.hold()
    small = queue(api, workflow=graphs.picture(), extra_data=EXTRA)
    noted = list(range(3000))  # a request so large that it lies in a file of its own
    large = queue(api, workflow=graphs.picture(), extra_data={**EXTRA, "numbers": noted})
    assert with_the_key(tmp_path / "state") == []
    sim.release()

    bodies = [ended(app, small), ended(app, large)]

    assert [each["status"] for each in bodies] == ["succeeded", "succeeded"]
    sent = [each.body["extra_data"] for each in queued_at(sim)]
    assert [{name: each[name] for name in EXTRA} for each in sent] == [EXTRA, EXTRA]
    assert with_the_key(tmp_path / "state") == []
    told = [*bodies, *(api.get(f"/jobs/{each}/result").text for each in (small, large)), api.get("/jobs").text]
    assert KEY not in str(told)
    assert KEY not in caplog.text
    engine = jobs_of(app).parts().engine
    until_true(lambda: not engine.subjects(LIVE, "comfybridge.live.secret.*"))


def test_without_its_key_a_job_fails_with_a_sentence(make_jobs_app: Callable[..., Flask], sim: Simulator) -> None:
    app = make_jobs_app()
    sim.hold()
    first = queue(app.test_client(), workflow=graphs.picture())
    job_id = queue(app.test_client(), workflow=graphs.picture(), extra_data=EXTRA)
    jobs_of(app).parts().engine.purge(LIVE, "comfybridge.live.secret.*")  # as when the engine is restarted
    sim.release()
    assert ended(app, first)["status"] == "succeeded"
    body = ended(app, job_id)
    assert body["status"] == "failed"
    assert "submit the job again" in body["error"]["error"]
    assert len(queued_at(sim)) == 1


def test_a_repeat_leaves_no_key_behind(make_jobs_app: Callable[..., Flask]) -> None:
    app = make_jobs_app()
    asked = {"workflow": graphs.picture(), "extra_data": EXTRA}
    job_ids = {queue(app.test_client(), headers={"Idempotency-Key": "k"}, **asked) for _ in range(3)}
    [job_id] = job_ids
    ended(app, job_id)
    queue(app.test_client(), headers={"Idempotency-Key": "k"}, **asked)
    engine = jobs_of(app).parts().engine
    until_true(lambda: not engine.subjects(LIVE, "comfybridge.live.secret.*"))

"""The benchmark, all of it, with numbers too small to mean anything."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("psutil", reason="needs benchmarks/requirements.txt")
pytest.importorskip("matplotlib", reason="needs benchmarks/requirements.txt")

from benchmarks.__main__ import main
from benchmarks.plan import Plan
from comfybridge.simulator import Simulator

pytestmark = pytest.mark.alone

TINY = Plan(
    rounds=1,
    requests={2: 4},
    blocked=(5,),
    probe_seconds=0.2,
    servers=(1,),
    server_rounds=1,
    prompts_per_server=4,
    sizes={1: 1},
    size_rounds=1,
    dialect_requests=4,
    dialect_rounds=1,
    waiters=("websocket",),
    gpu_seconds=0.02,
    jobs=4,
    waiting=20,
    idle_seconds=0.5,
    fleet_rounds=1,
    fleet_requests=4,
    agents=(1, 2),
    prompts_per_agent=3,
    many=(5, 10),
    fleet_gpu_seconds=0.02,
    v2_rounds=1,
    v2_runs=((1, 2, 0), (3, 6, 0.02)),
    v2_upload=1,
)


@pytest.fixture
def report(sim: Simulator, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    file, picture = tmp_path / "report.json", tmp_path / "curves.png"
    code = main(["--comfyui-url", sim.url, "--json", str(file), "--picture", str(picture)], TINY)
    assert code == 0, capsys.readouterr().err
    assert picture.read_bytes().startswith(b"\x89PNG")
    said = capsys.readouterr().out
    titles = (
        *("One tiny picture a request", "The same request in several APIs", "Callers blocked"),
        *("Several servers", "Large outputs", "Jobs", "A fleet", "The Comfy API v2", "To reach"),
    )
    for title in titles:
        assert title in said
    report: dict[str, object] = json.loads(file.read_text())
    return report


def test_every_section_is_measured_and_nothing_fails(report: dict[str, Any]) -> None:
    callers = {row["client"]: row for row in report["callers"]["summary"]}
    assert list(callers) == ["direct", "direct-urllib3", "websocket"]
    for row in callers.values():
        assert row["failed"] == 0
        assert float(str(row["cpu_ratio"])) > 0
    dialects = {str(row["dialect"]): row for row in report["dialects"]["summary"]}
    assert {"native", "openai"} <= dialects.keys()
    assert [row["failed"] for row in dialects.values()] == [0] * len(dialects)
    (blocked,) = report["blocked"]["rows"]
    assert (blocked["blocked"], blocked["answered"], blocked["lost"]) == (5, 5, 0)
    (servers,) = report["servers"]["summary"]
    assert (servers["ratio"], servers["failed"]) == (1.0, 0)
    jobs = report["jobs"]
    assert (jobs["refused"], jobs["there_again"]) == (0, jobs["waiting"])
    assert float(str(jobs["back_seconds"])) > 0
    fleet = report["fleet"]
    assert [row["failed"] for row in fleet["scaling"]] == [0, 0]
    assert (fleet["many"]["answered"], fleet["many"]["lost"]) == (10, 0)
    (size,) = report["sizes"]["summary"]
    assert math.isfinite(float(str(size["ratio"])))  # a difference of small figures, which noise can outweigh

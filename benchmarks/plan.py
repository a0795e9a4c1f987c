"""The amount of measurement, which `--quick` and the tests reduce."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """The numbers of one benchmark.

    Attributes:
        rounds: how often everything in the section `callers` is measured, in turn.
        requests: requests of one run, by how many callers make them.
        waiters: the bridge's ways to wait, one contender each.
        blocked: the numbers of waiting callers, each with a bridge of its own.
        probe_seconds: how long `/health` is called meanwhile.
        servers: the numbers of servers; the others are compared with the first.
        server_rounds: how often all of them are measured, in turn.
        prompts_per_server: requests of one run for each server.
        gpu_seconds: how long a server takes for each of them.
        dialect_requests: requests of one run in the section `dialects`.
        dialect_rounds: how often all APIs are measured, in turn.
        sizes: requests of one run, by the size of their file in megabytes.
        size_rounds: how often all sizes are measured, in turn.
        jobs: how many jobs are posted one after the other.
        waiting: how many jobs wait when the engine is killed.
        idle_seconds: how long the idle engine is watched.
        fleet_rounds: how often everything in the section `fleet` is measured, in turn.
        fleet_requests: requests of one run through the fleet, and of one without it.
        agents: the numbers of agents; the others are compared with the first.
        prompts_per_agent: requests of one run for each agent.
        fleet_gpu_seconds: how long an agent's ComfyUI takes for each of them.
        many: (callers, requests) of the run with many callers.
        v2_rounds: how often everything in the section `v2` is measured, in turn.
        v2_runs: (callers, jobs, seconds that ComfyUI takes for each) of each run.
        v2_upload: the megabytes of an upload.
    """

    rounds: int
    requests: Mapping[int, int]
    blocked: tuple[int, ...]
    probe_seconds: float
    servers: tuple[int, ...]
    server_rounds: int
    prompts_per_server: int
    sizes: Mapping[int, int]
    size_rounds: int
    dialect_requests: int
    dialect_rounds: int
    jobs: int
    waiting: int
    idle_seconds: float
    fleet_rounds: int
    fleet_requests: int
    agents: tuple[int, ...]
    prompts_per_agent: int
    many: tuple[int, int]
    v2_rounds: int
    v2_runs: tuple[tuple[int, int, float], ...]
    v2_upload: int
    fleet_gpu_seconds: float = 0.5
    waiters: tuple[str, ...] = ("hub", "websocket", "poll")
    gpu_seconds: float = 0.2


FULL = Plan(
    rounds=5,
    requests={1: 300, 16: 3000, 200: 3000},
    blocked=(1000, 4000),
    probe_seconds=20,
    servers=(1, 2, 4),
    server_rounds=3,
    prompts_per_server=60,
    sizes={1: 20, 20: 6, 100: 3, 500: 1},
    size_rounds=3,
    dialect_requests=400,
    dialect_rounds=10,
    jobs=500,
    waiting=10_000,
    idle_seconds=20,
    fleet_rounds=5,
    fleet_requests=300,
    agents=(1, 2, 4),
    prompts_per_agent=40,
    many=(200, 2000),
    v2_rounds=3,
    v2_runs=((1, 100, 0), (100, 600, 0), (100, 200, 0.2)),
    v2_upload=1024,
)

QUICK = Plan(
    rounds=2,
    requests={1: 150, 16: 500, 200: 800},
    blocked=(1000,),
    probe_seconds=5,
    servers=(1, 2, 4),
    server_rounds=1,
    prompts_per_server=30,
    sizes={1: 10, 20: 4, 100: 2},
    size_rounds=1,
    dialect_requests=200,
    dialect_rounds=4,
    jobs=200,
    waiting=10_000,
    idle_seconds=10,
    fleet_rounds=2,
    fleet_requests=150,
    agents=(1, 2, 4),
    prompts_per_agent=20,
    many=(200, 600),
    v2_rounds=1,
    v2_runs=((1, 40, 0), (100, 300, 0), (100, 100, 0.2)),
    v2_upload=100,
)

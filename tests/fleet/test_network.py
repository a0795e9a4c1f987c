"""The network between an agent and the engine, cut for longer than the lease."""

from __future__ import annotations

import pytest

from tests.fleet.callers import call
from tests.fleet.engine import Engine
from tests.fleet.fleet import Fleet
from tests.fleet.processes import Process
from tests.fleet.proxy import Proxy


def _cut_off(fleet: Fleet, engine: Engine) -> tuple[Process, Proxy]:
    """An agent that reaches the engine by a network that can be cut."""
    proxy = Proxy(engine.port)
    fleet.keep(proxy.close)
    return fleet.agent(engine, fleet.comfyui(), port=proxy.port), proxy


def test_a_job_runs_elsewhere_while_its_agent_is_cut_off(fleet: Fleet) -> None:
    engine = fleet.engine()
    bridge = fleet.bridge(engine)
    _, proxy = _cut_off(fleet, engine)
    fleet.submit(bridge, "job", steps=100, webhook=fleet.receiver.url)
    fleet.wait_until_began("job")
    proxy.cut()
    other = fleet.agent(engine, fleet.comfyui())
    found = fleet.settle(bridge)
    assert found["job"]["agent"] == other.name
    proxy.heal()
    fleet.submit(bridge, "afterwards")
    fleet.submit(bridge, "afterwards too")
    assert fleet.check(bridge, again={"job"})["job"]["agent"] == other.name


@pytest.mark.parametrize("seconds", [5, pytest.param(60, marks=pytest.mark.by_hand)])
def test_the_only_agent_goes_on_after_it_was_cut_off(fleet: Fleet, seconds: float) -> None:
    """It has run the job meanwhile, and hands in its result."""
    engine = fleet.engine()
    bridge = fleet.bridge(engine)
    _, proxy = _cut_off(fleet, engine)
    fleet.submit(bridge, "job", steps=50)
    fleet.wait_until_began("job")
    fleet.submit(bridge, "waiting")
    proxy.cut()
    fleet.wait_until_ended("job")
    fleet.wait_seconds(seconds)
    proxy.heal()
    fleet.check(bridge)


def test_connections_that_are_reset_cost_nothing(fleet: Fleet) -> None:
    engine = fleet.engine()
    bridge = fleet.bridge(engine)
    _, proxy = _cut_off(fleet, engine)
    fleet.wait_for_agents(bridge, 1)
    for number in range(10):
        fleet.submit(bridge, f"job{number}", steps=5)
    callers = call(bridge.url, [f"call{number}" for number in range(10)], steps=5)
    for number in range(0, 10, 2):
        fleet.wait_until_began(f"job{number}")
        proxy.reset()
    fleet.check(bridge)
    for each in callers:
        each.check()
    assert not fleet.runs().again()


def test_a_bridge_that_was_cut_off_knows_what_happened_meanwhile(fleet: Fleet) -> None:
    engine = fleet.engine()
    proxy = Proxy(engine.port)
    fleet.keep(proxy.close)
    bridge, other = fleet.bridge(engine, engine=f"nats://127.0.0.1:{proxy.port}"), fleet.bridge(engine)
    fleet.agent(engine, fleet.comfyui())
    fleet.submit(bridge, "before", steps=100)
    fleet.wait_until_began("before")
    proxy.cut()
    fleet.submit(other, "meanwhile")
    fleet.check(other)
    proxy.heal()
    fleet.check(bridge)

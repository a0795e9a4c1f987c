"""Clocks that are set back, or differ between machines. The engine's own clock is the true one throughout."""

from __future__ import annotations

import time

from tests.fleet.fleet import Fleet

HOUR = 3600.0


def test_a_clock_that_is_set_back_does_no_harm(fleet: Fleet) -> None:
    engine = fleet.engine()
    bridge = fleet.bridge(engine)
    for _ in range(2):
        fleet.agent(engine, fleet.comfyui())
    job = fleet.submit(bridge, "running", steps=150, webhook=fleet.receiver.url)
    fleet.wait_until_began("running")
    fleet.clock.set_back(HOUR)
    fleet.submit(bridge, "afterwards", webhook=fleet.receiver.url)
    began = time.monotonic()
    found = fleet.check(bridge)
    assert found["running"]["attempts"] == found["afterwards"]["attempts"] == 1
    again = fleet.submit(bridge, "killed", steps=150)
    fleet.wait_until_began("killed")
    fleet.agent_of(bridge, again).kill()
    fleet.clock.set_back(2 * HOUR)
    fleet.check(bridge, again={"killed"})
    assert time.monotonic() - began < 60
    assert job in fleet.receiver.accepted


def test_a_clock_that_is_set_forward_does_no_harm(fleet: Fleet) -> None:
    engine = fleet.engine()
    bridge = fleet.bridge(engine)
    fleet.agent(engine, fleet.comfyui())
    fleet.submit(bridge, "running", steps=100, webhook=fleet.receiver.url)
    fleet.wait_until_began("running")
    fleet.submit(bridge, "waiting", webhook=fleet.receiver.url)
    fleet.clock.set_back(-HOUR)
    found = fleet.check(bridge)
    assert found["running"]["attempts"] == found["waiting"]["attempts"] == 1

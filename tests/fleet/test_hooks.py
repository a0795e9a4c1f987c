"""Webhooks through a receiver, a bridge and an engine that are down for a while."""

from __future__ import annotations

from tests.fleet.fleet import Fleet
from tests.waiting import until_true


def test_a_webhook_waits_for_its_receiver(fleet: Fleet) -> None:
    engine = fleet.engine()
    bridge = fleet.bridge(engine)
    fleet.agent(engine, fleet.comfyui())
    receiver = fleet.receiver
    receiver.down()
    jobs = [fleet.submit(bridge, f"job{number}", webhook=receiver.url) for number in range(6)]
    until_true(lambda: receiver.refused >= len(jobs))
    receiver.up()
    fleet.check(bridge)


def test_a_webhook_outlives_bridge_and_engine(fleet: Fleet) -> None:
    """Both are killed between a try and the next one."""
    engine = fleet.engine()
    bridge = fleet.bridge(engine)
    fleet.agent(engine, fleet.comfyui())
    receiver = fleet.receiver
    receiver.down()
    fleet.submit(bridge, "job", webhook=receiver.url)
    until_true(lambda: receiver.refused >= 1)
    bridge.kill()
    engine.kill_and_start()
    receiver.up()
    bridge.start()
    bridge.wait_until_up()
    fleet.check(bridge)

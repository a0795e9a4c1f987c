"""The same job delivered several times: its messages stored again, while it runs and after its end."""

from __future__ import annotations

from tests.fleet.engine import KEPT
from tests.fleet.fleet import Fleet


def test_a_job_that_is_sent_again_runs_once(fleet: Fleet) -> None:
    """As a bridge sends it that has got no answer."""
    engine = fleet.engine()
    bridge = fleet.bridge(engine)
    for _ in range(2):
        fleet.agent(engine, fleet.comfyui())
    ids = {fleet.submit(bridge, f"job{number}", steps=50, webhook=fleet.receiver.url) for number in range(4)}
    stored = {each: engine.records.last(KEPT, f"comfybridge.kept.job.{each}") for each in ids}

    def send_again() -> None:
        for job_id, message in stored.items():
            for _ in range(3):
                assert not engine.records.publish_first(f"comfybridge.kept.job.{job_id}", message)

    send_again()
    fleet.settle(bridge)
    send_again()
    fleet.submit(bridge, "afterwards")
    fleet.check(bridge)
    fleet.wait_until_cleared(bridge)
    send_again()
    for job_id in ids:
        assert len(fleet.receiver.accepted[job_id]) == 1
    assert not fleet.runs().again()


def test_a_running_job_that_is_stored_again_goes_on(fleet: Fleet) -> None:
    """Which no bridge does."""
    engine = fleet.engine()
    bridge = fleet.bridge(engine)
    for _ in range(2):
        fleet.agent(engine, fleet.comfyui())
    job = fleet.submit(bridge, "job", steps=100)
    fleet.wait_until_began("job")
    subject = f"comfybridge.kept.job.{job}"
    for _ in range(3):
        engine.records.publish(subject, engine.records.last(KEPT, subject))
    fleet.check(bridge)
    fleet.wait_until_cleared(bridge)


def test_a_claim_that_is_stored_again_changes_nothing(fleet: Fleet) -> None:
    engine = fleet.engine()
    bridge = fleet.bridge(engine)
    fleet.agent(engine, fleet.comfyui())
    job = fleet.submit(bridge, "job", steps=100)
    fleet.running(bridge, job)
    claim = engine.records.last(KEPT, f"comfybridge.kept.claim.{job}")
    for _ in range(2):
        engine.records.publish(f"comfybridge.kept.claim.{job}", claim)
    fleet.settle(bridge)
    for _ in range(2):
        engine.records.publish(f"comfybridge.kept.claim.{job}", claim)
    fleet.submit(bridge, "afterwards")
    fleet.check(bridge)
    assert not fleet.runs().again()


def test_records_that_nobody_can_read_hold_nothing_up(fleet: Fleet) -> None:
    engine = fleet.engine()
    bridge = fleet.bridge(engine)
    fleet.submit(bridge, "job")
    for subject in ("kept.job", "kept.claim", "kept.result.hook", "kept.result.plain", "tries"):
        for number, nonsense in enumerate((b"nonsense", b"{}", b"\xff", b'{"id": 1}')):
            engine.records.publish(f"comfybridge.{subject}.broken-{number}", nonsense)
    fleet.agent(engine, fleet.comfyui())
    bridge.kill_and_start()
    fleet.submit(bridge, "afterwards")
    fleet.check(bridge, unknown=8)

"""Who is there, who has died, and what a listener knows that was away itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import pytest

from comfybridge.engine.engine import Engine
from comfybridge.jobs.presence import Announcer, Presence
from tests.jobs.fake_engine import FakeEngine, Server


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("comfybridge.jobs.presence.time.monotonic", clock)
    return clock


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine(Server())


@pytest.fixture
def presence(engine: FakeEngine, clock: Clock) -> Presence:
    """It listens, and looks at the clock only when it is asked."""
    presence = Presence(cast(Engine, engine), lease=15.0)
    presence._thread.start = lambda: None  # type: ignore[method-assign]
    presence.start()
    return presence


def announcer(engine: FakeEngine, agent_id: str = "a", name: str = "name") -> Announcer:
    return Announcer(cast(Engine, engine), agent_id, name, "1.0", 2)


def test_an_agent_is_there_until_it_has_been_silent_for_the_lease(
    engine: FakeEngine, presence: Presence, clock: Clock
) -> None:
    agent = announcer(engine)
    agent._announce()
    assert [each.id for each in presence.living()] == ["a"]
    clock.now += 14
    assert not presence.is_dead("a", agent.session)
    agent._announce()
    clock.now += 14
    assert not presence.is_dead("a", agent.session)
    clock.now += 2
    assert presence.is_dead("a", agent.session)


def test_one_that_was_never_heard_is_dead_after_the_lease_of_listening(presence: Presence, clock: Clock) -> None:
    assert not presence.is_dead("a", "s")
    clock.now += 16
    assert presence.is_dead("a", "s")
    assert not presence.is_dead("a", "s", since=clock.now - 14)


def test_a_goodbye_counts_at_once(engine: FakeEngine, presence: Presence) -> None:
    agent = announcer(engine)
    agent._announce()
    agent.goodbye()
    assert presence.is_dead("a", agent.session)
    assert presence.living() == []


def test_another_run_of_the_same_agent_ends_the_earlier_one(
    engine: FakeEngine, presence: Presence, clock: Clock
) -> None:
    first, second = announcer(engine), announcer(engine)
    first._announce()
    clock.now += 1
    second._announce()
    assert presence.is_dead("a", first.session)
    assert presence.is_dead("a", "a run before both", since=clock.now - 5)
    assert not presence.is_dead("a", second.session)
    assert [each.session for each in presence.living()] == [second.session]


def test_two_agents_that_share_an_id_by_mistake_do_not_kill_each_other_for_good(
    engine: FakeEngine, presence: Presence, clock: Clock
) -> None:
    first, second = announcer(engine), announcer(engine)
    for _ in range(3):
        for each in (first, second):
            clock.now += 1
            each._announce()
    first._announce()
    assert not presence.is_dead("a", first.session)
    assert not presence.is_dead("a", second.session)


def test_a_break_of_the_listeners_own_connection_kills_nobody(
    engine: FakeEngine, presence: Presence, clock: Clock
) -> None:
    agent = announcer(engine)
    agent._announce()
    clock.now += 10
    for hear in engine.on_changes:
        hear(False)
    clock.now += 100
    assert not presence.is_dead("a", agent.session)
    for hear in engine.on_changes:
        hear(True)
    clock.now += 14
    assert not presence.is_dead("a", agent.session)
    clock.now += 2
    assert presence.is_dead("a", agent.session)


def test_a_listener_that_stood_still_itself_kills_nobody(engine: FakeEngine, clock: Clock) -> None:
    presence = Presence(cast(Engine, engine), lease=15.0)
    presence._is_over.wait = turns(presence, clock)  # type: ignore[method-assign]
    agent = announcer(engine)
    presence._hear("", b"")
    presence._engine.listen("comfybridge.agent.*", presence._hear)
    agent._announce()
    presence._watch()  # a turn of a second, then one of a minute
    assert not presence.is_dead("a", agent.session)
    clock.now += 16
    assert presence.is_dead("a", agent.session)


def turns(presence: Presence, clock: Clock) -> Iterator[bool]:
    seconds = iter([1.0, 60.0])

    def wait(pause: float | None = None) -> bool:
        step = next(seconds, None)
        clock.now += step or 0.0
        return step is None

    return wait  # type: ignore[return-value]


def test_a_job_that_its_living_agent_does_not_run_is_noticed_after_the_lease(
    engine: FakeEngine, presence: Presence, clock: Clock
) -> None:
    agent = announcer(engine)
    agent._announce()
    claimed = clock.now
    clock.now += 14
    agent._announce()
    assert not presence.has_dropped("a", agent.session, "job", since=claimed)
    clock.now += 2
    assert not presence.has_dropped("a", agent.session, "job", since=claimed)  # not heard since
    agent._announce()
    assert presence.has_dropped("a", agent.session, "job", since=claimed)
    agent.update(running=["job"])
    agent._announce()
    assert not presence.has_dropped("a", agent.session, "job", since=claimed)


def test_what_an_agent_says_is_known_and_a_broken_announcement_is_not(
    engine: FakeEngine, presence: Presence, caplog: pytest.LogCaptureFixture
) -> None:
    agent = announcer(engine, name="kitchen")
    agent.update(servers={"http://x": False}, mean_seconds=2.5, abilities_hash="h", slots=3)
    agent._announce()
    engine.tell("comfybridge.agent.b", b"{")
    assert "comfybridge.agent.b" in caplog.text
    found = presence.find("a")
    assert found is not None
    assert (found.name, found.slots, found.mean_seconds, found.can_take) == ("kitchen", 3, 2.5, False)
    assert presence.find("b") is None

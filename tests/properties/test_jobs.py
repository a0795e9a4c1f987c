"""Whatever happens in whatever order, a job that was accepted ends in exactly one result."""

from __future__ import annotations

import contextlib
import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comfybridge.errors import EngineUnreachable
from comfybridge.jobs.claims import Claimed
from comfybridge.jobs.job import Job, Kind
from comfybridge.jobs.subjects import job_subject
from tests.jobs.fake_engine import Fault, Server
from tests.jobs.parties import AgentParty, Party, job_of
from tests.waiting import until_true

BRIDGES, AGENTS = 2, 3
EVERYBODY = 100
bridges, agents = st.integers(0, BRIDGES - 1), st.integers(0, AGENTS - 1)
events = st.lists(
    st.one_of(
        st.tuples(st.just("add"), bridges, st.sampled_from(["kept", "live"])),
        st.tuples(st.just("take"), agents),
        st.tuples(st.just("give back"), agents, st.booleans(), st.booleans()),
        st.tuples(st.just("end"), agents, st.sampled_from(["succeeded", "failed"])),
        st.tuples(st.just("cancel"), bridges, st.integers(0, 9)),
        st.tuples(st.just("die"), agents),
        st.tuples(st.just("restart"), bridges),
        st.tuples(st.just("hear"), st.integers(0, 99), st.integers(1, 5)),
        st.tuples(st.just("hear"), st.just(EVERYBODY), st.integers(1, 5)),
        st.tuples(
            st.just("lose"), st.integers(0, BRIDGES + AGENTS - 1), st.sampled_from(["not stored", "answer lost"])
        ),
    ),
    min_size=12,
    max_size=50,
)


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("comfybridge.jobs.claims.TURN_SECONDS", 0.0)
    monkeypatch.setattr("comfybridge.jobs.clearing.PAUSE", 0.001)
    monkeypatch.setattr("comfybridge.jobs.clearing.WITHDRAWN_AFTER", (0.001, 0.002))


class World:
    """Bridges and agents that hear of the engine's messages late, and lose its answers."""

    def __init__(self) -> None:
        self.server = Server(is_direct=False)
        self.bridges = [Party(self.server, "bridge") for _ in range(BRIDGES)]
        self.agents = [AgentParty(self.server, f"agent{number}") for number in range(AGENTS)]
        self.running: dict[int, list[Claimed]] = {number: [] for number in range(AGENTS)}
        self.asked: set[str] = set()  # with an idempotency key; a caller that got no answer asks again
        self.kinds: dict[str, Kind] = {}
        self.accepted: list[Job] = []
        self.begun: Counter[str] = Counter()
        self.became: dict[str, str] = {}  # how prompts ended that ran
        for each in (*self.bridges, *self.agents):
            each.start()

    def act(self, event: tuple[object, ...]) -> None:
        what, who, *given_ = event
        assert isinstance(who, int)
        with contextlib.suppress(EngineUnreachable):
            getattr(self, f"_{str(what).replace(' ', '_')}")(who, *given_)

    def _add(self, who: int, kind: Kind) -> None:
        job_id = str(len(self.accepted))
        kind = self.kinds.setdefault(job_id, kind)  # who repeats a request asks for the same as before
        job = job_of(job_id, kind=kind, fingerprint="f", attempts=2)
        self.asked.add(job.id)
        self.bridges[who].queue.add(job, b"")
        self.accepted.append(job)

    def _take(self, who: int) -> None:
        claimed = self.agents[who].take()
        if claimed is not None and self._is_open(claimed):
            self.running[who].append(claimed)
            self.begun[claimed.job.id] += not claimed.claim.cancelled

    def _is_open(self, claimed: Claimed) -> bool:
        """Whether a job that was claimed is still there.

        One that was cleared away is claimed only by an agent that has heard nothing during the pause before that,
        and here there is no pause.
        """
        stored = self.server.last.get(job_subject(claimed.job.kind, claimed.job.id))
        return stored is not None and bool(stored.data)

    def _give_back(self, who: int, counts: bool, lacks: bool) -> None:
        if self.running[who]:
            claimed = self.running[who][0]
            self.agents[who].queue.give_back(claimed, counts=counts, lacks="a model" if lacks and who else None)
            self.running[who].pop(0)

    def _end(self, who: int, status: str) -> None:
        if self.running[who]:
            agent, claimed = self.agents[who], self.running[who][0]
            became = "cancelled" if claimed.claim.cancelled else status
            self.became[claimed.job.id] = became
            if agent.queue.is_held(claimed.job.id):
                agent.end(claimed, became)  # type: ignore[arg-type]
            self.running[who].pop(0)

    def _cancel(self, who: int, number: int) -> None:
        if number < len(self.accepted):
            self.bridges[who].queue.cancel(self.accepted[number].id)

    def _die(self, who: int) -> None:
        """It is killed, and started again."""
        self.agents[who].queue.close()
        self.running[who] = []
        self.agents[who] = AgentParty(self.server, f"agent{who}")
        self.agents[who].start()

    def _restart(self, who: int) -> None:
        self.bridges[who].close()
        self.bridges[who] = Party(self.server, "bridge")
        self.bridges[who].start()

    def _hear(self, who: int, count: int) -> None:
        followers = self.server.followers
        for follower in followers if who == EVERYBODY else [followers[who % len(followers)]]:
            for _ in range(count):
                self.server.deliver(follower)

    def _lose(self, who: int, fault: Fault) -> None:
        [*self.bridges, *self.agents][who].fake.faults.append(fault)

    def finish(self) -> None:
        """No further faults: agents end what they run, then what waits."""
        for each in (*self.bridges, *self.agents):
            each.fake.faults.clear()
        with self.server.lock:
            self.server.is_direct = True
            self.server.deliver_all()
        for who, agent in enumerate(self.agents):
            while self.running[who]:
                self._end(who, "succeeded")
            while (claimed := agent.take()) is not None:
                self.running[who].append(claimed)
                self.begun[claimed.job.id] += not claimed.claim.cancelled
                self._end(who, "succeeded")

    def close(self) -> None:
        for agent in self.agents:
            agent.close()
        for bridge in self.bridges:
            bridge.close()


@given(events)
def test_each_accepted_job_has_one_result_at_the_end(events: list[tuple[object, ...]]) -> None:
    world = World()
    try:
        for event in events:
            world.act(event)
        world.finish()
        until_true(lambda: has_ended(world))
        results = stored_results(world)
        counts = Counter(each for each, _ in results)
        assert set(counts.values()) <= {1}
        assert {job.id for job in world.accepted} <= counts.keys() <= world.asked
        for job_id, status in results:
            for bridge in world.bridges:
                result = bridge.board.result(job_id)
                assert result is not None
                assert result.status == status
            assert world.begun[job_id] or status == "cancelled"
            assert status != "cancelled" or world.became.get(job_id, "cancelled") == "cancelled"
        until_true(lambda: not left(world.server))
    finally:
        world.close()


def has_ended(world: World) -> bool:
    """Whether nobody knows of an open job. An agent may remember for longer that one has ended: nobody tells it again
    if two things happen at once, a grave that was not stored and the restart of the bridge that would repeat it.
    """
    return not any(each.board.count() for each in world.bridges) and not any(
        each.board.counts() for each in world.agents
    )


def left(server: Server) -> list[str]:
    """What is left of jobs, apart from their results."""
    return [each.subject for each in list(server.last.values()) if ".result." not in each.subject and each.data]


def stored_results(world: World) -> list[tuple[str, str]]:
    """Each result that was ever stored: its job and how that ended."""
    stored = [json.loads(each.data) for each in world.server.history if ".result." in each.subject]
    return [(each["id"], each["status"]) for each in stored]

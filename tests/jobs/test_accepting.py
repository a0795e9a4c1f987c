"""What is stored of requests that come with the same idempotency key, to several processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from comfybridge.bridge import Bridge
from comfybridge.engine.messages import Full
from comfybridge.errors import Busy, EngineUnreachable, IdempotencyConflict
from comfybridge.jobs.accepting import add
from comfybridge.jobs.queue import INLINE
from comfybridge.jobs.requests import unpack
from comfybridge.prompts.admitted import Admitted
from comfybridge.request import GenerationRequest, InputFile
from comfybridge.settings import load_settings
from tests.graphs import picture
from tests.jobs.fake_engine import Fault, Server
from tests.jobs.parties import AgentParty, Party, job_of
from tests.waiting import until_true


@pytest.fixture(scope="module")
def admitting() -> Iterator[Bridge]:
    with Bridge(load_settings(comfyui_url="http://127.0.0.1:9")) as bridge:
        yield bridge


@pytest.fixture
def submit(admitting: Bridge) -> Callable[..., None]:
    """Adds a request, with the key of all others if no other is named, to the queue of a process."""
    graph = picture()

    def submit(party: Party, content: bytes, size: int, key: str | None = "the same") -> None:
        asked = GenerationRequest(
            graph=graph,
            images=[InputFile("a.png", content)],
            params={"filling": "x" * size},
            idempotency_key=key,
        )
        admitted = replace(admitting.admit(asked), prompt_id="one")
        job = job_of("one", fingerprint=admitted.fingerprint, expires=1.0)
        add(admitting, party.engine, party.queue, job, admitted)

    return submit


def arrived(agent: AgentParty) -> Admitted:
    """The request of the next job, as an agent reads it."""
    claimed = agent.take()
    assert claimed is not None
    engine, job = agent.fake, claimed.job

    def read_file(name: str) -> bytes:
        return b"".join(engine.read_blob(job.id, name))

    return unpack(agent.queue.request_of(job), read_file, lambda place: [], prompt_id=job.id, seconds=60)


def data_of(admitted: Admitted) -> list[bytes]:
    return [each.data for each in admitted.asked.images]


@pytest.fixture(params=[0, INLINE["kept"]])
def size(request: pytest.FixtureRequest) -> int:
    """How many characters a request has beyond the usual: some are stored with their job, some in a blob."""
    assert isinstance(request.param, int)
    return request.param


@pytest.fixture
def other(party: Callable[..., Party]) -> Party:
    return party()


@pytest.fixture
def stored(
    server: Server, bridge: Party, other: Party, submit: Callable[..., None], size: int
) -> dict[tuple[str, str], bytes]:
    """The blobs of the first request with the key, of which the other process has not heard yet."""
    server.is_direct = False
    submit(bridge, b"first", size)
    return dict(server.blobs)


def test_another_request_with_the_same_key_changes_nothing_of_the_first(
    server: Server,
    other: Party,
    stored: dict[tuple[str, str], bytes],
    agent: Callable[..., AgentParty],
    submit: Callable[..., None],
    size: int,
) -> None:
    submit(other, b"first", size)
    with pytest.raises(IdempotencyConflict):
        submit(other, b"second", size)
    assert server.blobs == stored
    assert data_of(arrived(agent())) == [b"first"]


def test_a_request_for_which_there_is_no_room_takes_nothing_from_the_first_with_its_key(
    server: Server,
    other: Party,
    stored: dict[tuple[str, str], bytes],
    agent: Callable[..., AgentParty],
    submit: Callable[..., None],
    size: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(subject: str, *_: object, **__: object) -> int:
        raise Full(subject)

    monkeypatch.setattr(other.fake, "publish", refuse)  # as where the disk has no room
    with pytest.raises(Busy):
        submit(other, b"first", size)
    assert server.blobs == stored
    assert data_of(arrived(agent())) == [b"first"]


@pytest.mark.usefixtures("quick")
def test_the_next_job_with_a_key_comes_with_its_request_while_the_first_has_a_grave(
    server: Server, bridge: Party, agent: Callable[..., AgentParty], submit: Callable[..., None], size: int
) -> None:
    a = agent()
    submit(bridge, b"first", size)
    claimed = a.take()
    assert claimed is not None
    a.end(claimed)
    until_true(lambda: server.last["comfybridge.kept.job.one"].data == b"" and server.blobs == {})
    del server.last["comfybridge.kept.result.plain.one"]  # its time is up
    bridge.board._past.discard("one")
    submit(bridge, b"first", size)
    assert data_of(arrived(a)) == [b"first"]


@pytest.mark.parametrize("fault", ["not stored", "answer lost"])
def test_files_are_dropped_if_their_job_was_not_stored(
    server: Server, bridge: Party, submit: Callable[..., None], monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    monkeypatch.setattr("comfybridge.jobs.clearing.WITHDRAWN_AFTER", (0.0,))
    bridge.fake.faults = [fault]
    with pytest.raises(EngineUnreachable):
        submit(bridge, b"first", 0)
    until_true(lambda: not bridge.queue._clearing._wanted)
    assert len(server.blobs) == (0 if fault == "not stored" else 1)
    submit(bridge, b"first", 0)
    assert len(server.blobs) == 1


def test_a_job_that_was_stored_although_its_caller_was_told_otherwise_has_its_files_until_it_is_withdrawn(
    bridge: Party, agent: Callable[..., AgentParty], submit: Callable[..., None]
) -> None:
    """An agent may have begun it by then."""
    bridge.fake.faults = ["answer lost"]
    with pytest.raises(EngineUnreachable):
        submit(bridge, b"first", 0, None)
    assert data_of(arrived(agent())) == [b"first"]

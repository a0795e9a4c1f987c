"""Agents: every job that was accepted ends in one result, whatever becomes of the agent and of its ComfyUI."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from comfybridge.bridge import Bridge
from comfybridge.engine.engine import FILES, Engine, Full
from comfybridge.files.sent import LinkedFile
from comfybridge.jobs.embedded import EmbeddedAgent
from comfybridge.jobs.space import LOOK_SECONDS
from comfybridge.request import GenerationRequest, InputFile, OutputOptions
from comfybridge.settings import load_settings
from comfybridge.simulator import Simulator
from comfybridge.state import StateFolder
from tests import graphs
from tests.engine.servers import Server
from tests.jobs.office import Office
from tests.media.pictures import drawn, encoded
from tests.waiting import until_true
from tests.web.slow_site import SlowSite


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("server"))
    yield running
    running.kill()


@pytest.fixture
def make_engine(tmp_path: Path) -> Iterator[Callable[..., Engine]]:
    made: list[Engine] = []

    def make(**settings: Any) -> Engine:
        made.append(Engine(load_settings(**settings), StateFolder(tmp_path)))
        return made[-1]

    yield make
    for engine in made:
        engine.close()


@pytest.fixture
def office(server: Server, tmp_path: Path) -> Iterator[Office]:
    office = Office(server.url, tmp_path)
    yield office
    office.close()


def asked(**fields: Any) -> GenerationRequest:
    return GenerationRequest(**{"graph": graphs.picture(), **fields})


def test_a_job_makes_what_a_blocking_request_makes(office: Office, sim: Simulator) -> None:
    hand = office.hire(sim.url)
    request = GenerationRequest(
        workflow="txt2img",
        params={"prompt": "a cat", "steps": 1, "width": 64, "height": 64, "seed": 5},
        n=2,
        output=OutputOptions(format="webp", max_size=32, metadata="strip"),
    )

    made = office.generation(office.queue(request))

    with hand.bridge.generating(hand.bridge.admit(request)) as blocking:
        assert [each.read() for each in made.outputs] == [each.read() for each in blocking.outputs]
        assert [each.kind for each in made.outputs] == [each.kind for each in blocking.outputs]
        assert (made.seed, made.params, made.warnings) == (blocking.seed, blocking.params, blocking.warnings)
        assert [part.seed for part in made.of_prompts] == [part.seed for part in blocking.of_prompts]
        assert made.size == blocking.size


def test_files_texts_and_pictures_over_the_websocket_arrive(office: Office, sim: Simulator) -> None:
    office.hire(sim.url)
    graph = {
        "1": graphs.node("LoadImage", image="mine"),
        "2": graphs.node("SaveImageWebsocket", images=["1", 0]),
        "3": graphs.node("PreviewAny", source="x" * 100_000),
    }

    made = office.generation(office.queue(asked(graph=graph, images=[InputFile("mine", encoded(drawn()))])))

    [picture] = made.images
    assert picture.read().startswith(b"\x89PNG")
    [text] = [each for each in made.outputs if each.kind == "text"]
    assert (text.text, text.read()) == ("x" * 100_000, b"x" * 100_000)


def test_a_job_ends_with_the_error_of_a_blocking_request(office: Office, sim: Simulator) -> None:
    hand = office.hire(sim.url)
    sim.fail_node("SaveImage", "no more colours")

    error = office.ended(office.queue(asked())).error

    assert error is not None
    with pytest.raises(type(error)) as blocking:
        hand.bridge.generate(asked())
    assert (error.message, error.type) == (blocking.value.message, "execution_failed")
    assert error.node == blocking.value.node


def test_a_job_of_an_agent_that_is_gone_runs_elsewhere(office: Office, sim: Simulator) -> None:
    with Simulator() as other:
        sim.hold()
        first = office.hire(sim.url, "first")
        job_id = office.queue(asked())
        sim.wait_until_running(job_id)
        first.vanish()
        office.hire(other.url, "second")

        state = office.ended(job_id)

        assert (state.status, state.agent, state.attempts) == ("succeeded", "second", 2)
        assert list(other.history) == [job_id]


def test_a_job_finds_its_prompt_again_where_its_agent_was_killed(office: Office, sim: Simulator) -> None:
    sim.hold()
    first = office.hire(sim.url, "agent")
    job_id = office.queue(asked())
    sim.wait_until_running(job_id)
    first.vanish()
    office.hire(sim.url, "agent")  # it is started again, beside the same ComfyUI
    until_true(lambda: office.jobs.find(job_id, None).attempts == 2)
    sim.release()

    assert office.ended(job_id).status == "succeeded"
    assert [each.path for each in sim.requests].count("/prompt") == 1


def test_an_agent_that_is_stopped_leaves_its_prompt_to_its_next_start(office: Office, sim: Simulator) -> None:
    sim.hold()
    first = office.hire(sim.url, "agent")
    job_id = office.queue(asked())
    sim.wait_until_running(job_id)
    first.agent.stop(0.0)
    assert office.jobs.find(job_id, None).status == "queued"
    assert sim.running == [job_id]
    office.hire(sim.url, "agent")
    office.until_running(job_id)
    sim.release()

    state = office.ended(job_id)

    assert (state.status, state.attempts) == ("succeeded", 1)
    assert [each.path for each in sim.requests].count("/prompt") == 1


def test_an_agent_that_is_stopped_cancels_what_another_one_runs_instead(office: Office, sim: Simulator) -> None:
    with Simulator() as other:
        sim.hold_steps()
        first = office.hire(sim.url, "first")
        job_id = office.queue(asked(graph=graphs.txt2img(sim.checkpoints[0], steps=3)))
        sim.wait_until_running(job_id)
        office.hire(other.url, "second")
        until_true(lambda: len(office.jobs.parts().presence.living()) == 2)
        until_true(lambda: len(first.agent.queue.presence.living()) == 2)
        first.agent.stop(0.0)

        assert office.ended(job_id).agent == "second"
        until_true(lambda: "/interrupt" in [each.path for each in sim.requests])
        sim.release()
        sim.wait_until_idle()
        assert sim.history[job_id]["status"]["status_str"] == "error"


def test_a_job_that_loses_its_agent_each_time_fails(office: Office, sim: Simulator) -> None:
    office.settings.__dict__["job_attempts"] = 2
    sim.hold()
    for name in ("first", "second"):
        if name == "first":
            hand = office.hire(sim.url, name)
            job_id = office.queue(asked())
        else:
            hand = office.hire(sim.url, name)
        office.until_running(job_id, name)
        sim.wait_until_running(job_id)
        hand.vanish()
    office.hire(sim.url, "third")

    state = office.ended(job_id)

    assert (state.status, state.attempts) == ("failed", 2)
    assert state.error is not None
    assert state.error.message == "The job was begun 2 times, and its agent ended while it ran each time."


def test_a_comfyui_that_restarts_in_mid_job_runs_it_again_under_its_id(office: Office, sim: Simulator) -> None:
    sim.hold()
    office.hire(sim.url)
    job_id = office.queue(asked())
    sim.wait_until_running(job_id)
    sim.restart()
    sim.release()

    assert office.ended(job_id).status == "succeeded"
    assert list(sim.history) == [job_id]


def test_without_a_comfyui_jobs_wait_uncounted_and_the_agent_says_so(office: Office, sim: Simulator) -> None:
    sim.kill()
    office.hire(sim.url, "agent")
    job_id = office.queue(asked())
    until_true(lambda: [each.servers for each in office.jobs.parts().presence.living()] == [{sim.url: False}])
    assert office.jobs.find(job_id, None).status == "queued"
    sim.revive()

    state = office.ended(job_id)

    assert (state.status, state.attempts) == ("succeeded", 1)
    until_true(lambda: [each.servers for each in office.jobs.parts().presence.living()] == [{sim.url: True}])


def test_a_comfyui_that_went_away_unnoticed_costs_a_job_no_attempt(office: Office, sim: Simulator) -> None:
    office.hire(sim.url, "agent")
    office.ended(office.queue(asked()))
    sim.kill()
    job_id = office.queue(asked())
    until_true(lambda: [each.servers for each in office.jobs.parts().presence.living()] == [{sim.url: False}])
    sim.revive()

    state = office.ended(job_id)

    assert (state.status, state.attempts) == ("succeeded", 1)


def test_a_job_that_brings_comfyui_down_each_time_fails(office: Office, sim: Simulator) -> None:
    office.settings.__dict__["job_attempts"] = 2
    office.hire(sim.url)
    sim.hold()
    job_id = office.queue(asked())
    for _ in range(2):
        sim.wait_until_running(job_id, timeout=60)
        sim.restart()

    state = office.ended(job_id)

    assert (state.status, state.attempts) == ("failed", 2)
    assert state.error is not None
    assert state.error.type in ("prompt_lost", "comfyui_unreachable")


def test_a_cancelled_job_stops_in_comfyui(office: Office, sim: Simulator) -> None:
    sim.hold_steps()
    office.hire(sim.url)
    job_id = office.queue(asked(graph=graphs.txt2img(sim.checkpoints[0], steps=9), idempotency_key="k"))
    sim.wait_until_running(job_id)

    _, after = office.jobs.cancel(job_id, None)

    assert after.status == "cancelled"
    until_true(lambda: "/interrupt" in [each.path for each in sim.requests])  # although it has a key
    sim.release()
    sim.wait_until_idle()
    assert sim.history[job_id]["status"]["status_str"] == "error"


def test_an_agent_stops_what_was_given_to_another_one(office: Office, sim: Simulator) -> None:
    """As one that slept: it goes on with its run, and learns then that the job is another's."""
    with Simulator() as other:
        sim.hold_steps()
        first = office.hire(sim.url, "first")
        job_id = office.queue(asked(graph=graphs.txt2img(sim.checkpoints[0], steps=9)))
        sim.wait_until_running(job_id)
        first.agent._announcer.goodbye()  # so that it seems to be dead
        office.hire(other.url, "second")

        assert office.ended(job_id).agent == "second"
        until_true(lambda: "/interrupt" in [each.path for each in sim.requests])
        sim.release()
        sim.wait_until_idle()
        assert sim.history[job_id]["status"]["status_str"] == "error"


def test_a_job_waits_for_an_agent_that_has_its_node_class(office: Office, sim: Simulator) -> None:
    office.hire(sim.url)
    lacking = asked(graph={**graphs.picture(), "99": graphs.node("NoSuchClass")})
    job_id = office.queue(lacking)
    done = office.ended(office.queue(asked()))
    assert done.status == "succeeded"
    until_true(lambda: office.jobs.find(job_id, None).held_up == "No agent has the node class NoSuchClass.")
    waiting = office.jobs.find(job_id, None)
    assert (waiting.status, waiting.eta_seconds) == ("queued", None)
    other = office.jobs.find(office.queue(asked()), None)
    assert other.held_up is None


def test_a_job_for_which_there_is_no_agent_says_so(office: Office, sim: Simulator) -> None:
    job_id = office.queue(asked())
    assert "No agent is connected" in str(office.jobs.find(job_id, None).held_up)
    office.hire("http://127.0.0.1:9")
    until_true(lambda: office.jobs.find(job_id, None).held_up == "None of the agents reaches its ComfyUI.")
    office.hire(sim.url)
    assert (office.ended(job_id).status, office.ended(job_id).held_up) == ("succeeded", None)


def test_a_job_goes_on_to_an_agent_that_has_the_model_of_its_template(office: Office) -> None:
    with Simulator(checkpoints=["a.safetensors", "b.safetensors"]) as first, Simulator() as second:
        second.checkpoints[:] = ["v1-5-pruned-emaonly-fp16.safetensors", "c.safetensors"]
        office.hire(first.url)
        office.hire(second.url)
        office.until_all_know_each_other()
        jobs = [office.queue(GenerationRequest(workflow="txt2img", params={"steps": 1})) for _ in range(4)]
        assert [office.ended(each).status for each in jobs] == ["succeeded"] * 4


def test_an_agent_that_has_just_begun_does_not_fail_what_another_one_can_run(office: Office) -> None:
    with Simulator(checkpoints=["a.safetensors", "b.safetensors"]) as new, Simulator() as busy:
        busy.checkpoints[:] = ["v1-5-pruned-emaonly-fp16.safetensors", "c.safetensors"]
        office.hire(busy.url)
        busy.hold()
        office.until_running(office.queue(asked()))
        job_id = office.queue(GenerationRequest(workflow="txt2img", params={"steps": 1}))
        office.hire(new.url)
        until_true(lambda: office.lacks(job_id))
        assert office.jobs.find(job_id, None).held_up is None  # it waits for the busy one
        busy.release()
        assert (office.ended(job_id).status, office.ended(job_id).agent) == ("succeeded", "agent-1")


def test_progress_is_told_always_and_events_while_somebody_watches(
    office: Office, sim: Simulator, server: Server, make_engine: Callable[..., Engine]
) -> None:
    heard: list[str] = []
    listener = make_engine(engine=server.url)
    listener.listen("comfybridge.progress.*", lambda subject, _: heard.append(subject))
    listener.listen("comfybridge.event.*", lambda subject, _: heard.append(subject))
    sim.hold_steps(3)
    office.hire(sim.url)
    job_id = office.queue(asked(graph=graphs.txt2img(sim.checkpoints[0], steps=6)))
    until_true(lambda: heard)
    assert set(heard) == {f"comfybridge.progress.{job_id}"}
    listener.tell(f"comfybridge.watching.{job_id}", b"")
    until_true(lambda: office.agents[0].agent._watched.has(job_id))
    sim.release()
    office.ended(job_id)
    until_true(lambda: f"comfybridge.event.{job_id}" in heard)


def test_an_agent_runs_as_many_jobs_at_once_as_it_has_slots(office: Office, sim: Simulator) -> None:
    sim.hold()
    office.hire(sim.url, agent_slots=2)
    jobs = [office.queue(asked()) for _ in range(3)]
    until_true(lambda: [office.jobs.find(each, None).status for each in jobs].count("running") == 2)
    sim.release()
    assert {office.ended(each).status for each in jobs} == {"succeeded"}


def test_several_prompts_are_found_again_one_by_one(office: Office, sim: Simulator) -> None:
    first = office.hire(sim.url, "agent")
    sim.hold()
    graph = graphs.txt2img(sim.checkpoints[0], steps=1, seed=1)
    job_id = office.queue(asked(graph=graph, n=3))
    sim.wait_until_queued(3)
    first.vanish()
    office.hire(sim.url, "agent")
    until_true(lambda: office.jobs.find(job_id, None).attempts == 2)
    sim.release()

    made = office.generation(job_id)

    assert [part.seed for part in made.parts] == [1, 2, 3]
    assert len(sim.history) == 3
    assert job_id in sim.history


def test_a_job_whose_time_is_up_fails(office: Office, sim: Simulator) -> None:
    sim.hold()
    office.hire(sim.url)
    job_id = office.queue(asked(timeout=0.5))

    error = office.ended(job_id).error

    assert error is not None
    assert error.type == "timeout"
    assert error.message.startswith("The prompt did not finish within 0.5 s")
    sim.release()
    sim.wait_until_idle()
    assert sim.history[job_id]["status"]["status_str"] == "error"


def test_pictures_from_urls_are_fetched_by_the_agent(office: Office, sim: Simulator, site: SlowSite) -> None:
    office.hire(sim.url, fetch_allow_hosts=("127.0.0.1",))
    graph = {"1": graphs.node("LoadImage", image="mine"), "2": graphs.node("PreviewImage", images=["1", 0])}
    site.go_on.set()
    linked = LinkedFile("mine", url=site.url)

    assert office.generation(office.queue(asked(graph=graph, images=[linked]))).images


def test_one_process_of_a_machine_runs_the_bridge_s_own_agent(server: Server, tmp_path: Path, sim: Simulator) -> None:
    office = Office(server.url, tmp_path / "office")
    chosen = load_settings(engine=server.url, comfyui_url=sim.url, state_dir=tmp_path)
    bridges = [Bridge(chosen) for _ in range(2)]
    engines = [Engine(chosen, each.state) for each in bridges]
    agents = [EmbeddedAgent(bridge, engine) for bridge, engine in zip(bridges, engines, strict=True)]
    living = office.jobs.parts().presence.living
    try:
        agents[0].need()
        until_true(living)
        agents[1].need()
        assert office.ended(office.queue(asked())).status == "succeeded"
        [only] = living()
        agents[0].close()
        agents[0].need()  # too late
        assert office.ended(office.queue(asked())).status == "succeeded"
        until_true(lambda: [each.session for each in living()] not in ([], [only.session]))
        [other] = living()
        assert only.id == other.id
    finally:
        for part in (*agents, *engines, *bridges, office):
            part.close()


def test_a_job_whose_files_have_no_room_fails_and_says_so(tmp_path: Path, sim: Simulator) -> None:
    alone = Server(tmp_path)
    office = Office(alone.url, tmp_path, job_disk_bytes=64 * 1024 * 1024)
    try:
        office.hire(sim.url)
        engine = office.jobs.parts().engine
        graph = {
            "1": graphs.node("LoadImage", image="mine"),
            "2": graphs.node("SaveImage", images=["1", 0], filename_prefix="x"),
        }
        noise = encoded(Image.effect_noise((800, 800), 100))
        sim.hold()
        job_id = office.queue(asked(graph=graph, images=[InputFile("mine", noise)]))
        sim.wait_until_running()
        with contextlib.suppress(Full):
            for number in range(1000):
                engine.put_blob("other", f"in-{number}", [bytes(256 * 1024)], ttl=None)
        sim.release()

        state = office.ended(job_id)

        assert state.status == "failed"
        assert state.error is not None
        assert state.error.type == "busy"
        assert state.error.message.startswith("The store for the files of jobs is full")
        engine.drop_blobs("other")
        until_true(lambda: not engine.subjects(FILES, "comfybridge.file.>"))  # what had been stored is gone again
        time.sleep(LOOK_SECONDS)
        assert office.ended(office.queue(asked())).status == "succeeded"
    finally:
        office.close()
        alone.kill()

"""The faults that tests can order."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable

import pytest
import requests
import websocket
from PIL import Image

from comfybridge.simulator import Simulator
from tests.contract import graphs
from tests.contract.ear import Ear
from tests.contract.server import Server


def test_a_node_can_be_made_to_fail(sim: Simulator, server: Server, ear: Ear) -> None:
    sim.fail_node("SaveImage", "disk full", times=1, exception_type="OSError")

    failed = server.queue(graphs.saved(), ear)
    error = ear.until("execution_error", failed).data
    ear.until_done(failed)
    healthy = server.run(graphs.saved(), ear)

    assert (error["node_id"], error["exception_type"], error["exception_message"]) == ("2", "OSError", "disk full\n")
    assert error["executed"] == ["1"]
    assert any("/srv/comfyui/" in line for line in error["traceback"])
    assert server.entry(healthy)["status"]["completed"] is True


def test_a_node_fails_until_it_is_healed(sim: Simulator, server: Server, ear: Ear) -> None:
    sim.fail_node("SaveImage", "disk full")
    for _ in range(2):
        ear.until("execution_error", server.queue(graphs.saved(), ear))

    sim.heal()

    assert server.entry(server.run(graphs.saved(), ear))["status"]["completed"] is True


def test_a_blocking_node_sends_an_error_and_the_run_succeeds(sim: Simulator, server: Server, ear: Ear) -> None:
    sim.block_node("KSampler", "the picture is not wanted")

    prompt_id = server.run(graphs.txt2img("demo.safetensors"), ear)

    kinds = [frame.type for frame in ear.of(prompt_id)]
    error = next(frame.data for frame in ear.of(prompt_id) if frame.type == "execution_error")
    assert kinds.count("execution_error") == 1
    assert kinds[-2:] == ["execution_success", "executing"]
    assert (error["node_id"], error["node_type"]) == ("8", "VAEDecode")
    assert error["exception_type"] == "ExecutionBlocked"
    assert error["exception_message"] == "Execution Blocked: the picture is not wanted"
    assert server.entry(prompt_id)["outputs"] == {}


def test_what_was_blocked_runs_again_once_healed(sim: Simulator, server: Server, ear: Ear) -> None:
    graph = graphs.txt2img("demo.safetensors")
    sim.block_node("KSampler", "no")
    server.run(graph, ear)

    sim.heal()

    assert server.files(server.run(graph, ear), "9")


def test_a_route_can_answer_wrongly_for_a_while(sim: Simulator, server: Server) -> None:
    sim.fail_route("/view", 503, b"busy", times=2, headers={"Retry-After": "1"})

    answers = [server.get("/view", filename="example.png", type="input") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [503, 503, 200]
    assert (answers[0].content, answers[0].headers["Retry-After"]) == (b"busy", "1")


def test_a_route_can_fail_for_one_method_only(sim: Simulator, server: Server) -> None:
    sim.fail_route("/prompt", method="POST")

    assert server.get("/prompt").status_code == 200
    assert server.post("/prompt", {"prompt": {}}).status_code == 500


def test_a_route_includes_what_is_below_it(sim: Simulator, server: Server) -> None:
    sim.fail_route("/history", times=None)

    assert server.get("/history/x").status_code == 500
    assert server.get("/api/history").status_code == 500
    assert server.get("/queue").status_code == 200


def test_a_route_can_cut_the_connection(sim: Simulator, server: Server) -> None:
    sim.fail_route("/queue", close=True)

    with pytest.raises(requests.ConnectionError):
        server.get("/queue")


def test_a_route_can_stop_in_the_middle_of_its_answer(sim: Simulator, server: Server) -> None:
    sim.fail_route("/view", body=b"x" * 1000, cut=10)

    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        server.get("/view", filename="example.png", type="input")


def test_a_route_can_be_late(sim: Simulator, server: Server) -> None:
    sim.fail_route("/queue", delay=0.1)
    begun = time.monotonic()

    assert server.get("/queue").json() == {"queue_running": [], "queue_pending": []}
    assert time.monotonic() - begun >= 0.1


def test_a_late_route_can_be_healed(sim: Simulator, server: Server) -> None:
    sim.fail_route("*", times=None)
    assert server.get("/queue").status_code == 500

    sim.heal()

    assert server.get("/queue").status_code == 200


def test_sockets_can_be_dropped(sim: Simulator, listen: Callable[..., Ear]) -> None:
    ears = [listen(), listen()]
    sim.wait_for_sockets(2)

    sim.drop_sockets()

    sim.wait_for_sockets(0)
    for ear in ears:
        with pytest.raises((AssertionError, OSError, websocket.WebSocketException)):
            ear.next()


def test_a_mute_server_works_and_says_nothing(sim: Simulator, server: Server, ear: Ear) -> None:
    sim.mute()
    prompt_id = server.queue(graphs.saved(), ear)
    server.wait_until_gone(prompt_id)
    assert ear.quiet(0.1)

    sim.unmute()
    server.run(graphs.saved(), ear)

    assert sim.sockets == 1
    assert ear.of(prompt_id) == []
    assert server.entry(prompt_id)["status"]["completed"] is True


def test_a_restart_forgets_all_but_files(sim: Simulator, server: Server, ear: Ear) -> None:
    graph = graphs.saved()
    finished = server.run(graph, ear)
    [file] = server.files(finished, "2")
    sim.hold()
    running, pending = server.queue(graphs.saved(), ear), server.queue(graphs.saved(), ear)
    sim.wait_until_running(running)
    url = sim.url

    sim.restart()
    sim.release()

    assert sim.url == url
    assert sim.sockets == 0
    assert server.get("/queue").json() == {"queue_running": [], "queue_pending": []}
    assert server.get("/history").json() == {}
    assert not server.in_queue(pending)
    assert server.get("/view", **file).status_code == 200
    with pytest.raises((AssertionError, OSError, websocket.WebSocketException)):
        ear.until("execution_success", running)


def test_nobody_answers_during_the_downtime(sim: Simulator, server: Server) -> None:
    sim.kill()

    with pytest.raises(requests.ConnectionError):
        server.get("/queue")

    sim.revive()
    assert server.get("/queue").status_code == 200


def test_a_restart_empties_the_temp_folder_and_the_cache(
    sim: Simulator, server: Server, listen: Callable[..., Ear]
) -> None:
    graph = {"1": graphs.plain(), "2": graphs.node("PreviewImage", images=["1", 0])}
    [file] = server.files(server.run(graph, listen()), "2")

    sim.restart()

    assert server.get("/view", **file).status_code == 404
    ear = listen()
    ran = server.run(graph, ear)
    assert [frame.data["nodes"] for frame in ear.of(ran) if frame.type == "execution_cached"] == [[]]


def test_freeing_memory_empties_the_cache(server: Server, ear: Ear) -> None:
    graph = graphs.saved()
    server.run(graph, ear)
    server.post("/free", {"free_memory": True})

    again = server.run(graph, ear)

    assert [frame.data["nodes"] for frame in ear.of(again) if frame.type == "execution_cached"] == [[]]


def test_a_deleted_file_of_a_cached_node_is_missing_for_good(sim: Simulator, server: Server, ear: Ear) -> None:
    graph = graphs.saved()
    [file] = server.files(server.run(graph, ear), "2")
    (sim.output_directory / file["subfolder"] / file["filename"]).unlink()

    [again] = server.files(server.run(graph, ear), "2")

    assert again == file
    assert server.get("/view", **again).status_code == 404


def test_a_socket_that_is_not_read_stops_the_events_of_all(
    sim: Simulator, server: Server, listen: Callable[..., Ear]
) -> None:
    # Incompressible noise, more than any socket buffer holds.
    noise = io.BytesIO()
    Image.merge("RGB", [Image.effect_noise((1000, 1000), 99) for _ in range(3)]).save(noise, "PNG", compress_level=0)
    name = server.upload(noise.getvalue(), "noise.png").json()["name"]
    reader, idler = listen(), listen()
    for number in range(6):
        graph = {
            "1": graphs.node("LoadImage", image=name),
            "2": graphs.node(
                "ImageScale", image=["1", 0], upscale_method="area", width=1000 - number, height=1000, crop="disabled"
            ),
            "3": graphs.node("SaveImageWebsocket", images=["2", 0]),
        }
        server.queue(graph, idler)
    sim.wait_until_idle()

    prompt_id = server.queue(graphs.saved(), reader)
    server.wait_until_gone(prompt_id)
    assert reader.quiet(0.2)
    drain = threading.Thread(target=lambda: [idler.until("execution_success") for _ in range(6)])
    drain.start()
    reader.until_done(prompt_id)
    drain.join(10)

    assert server.entry(prompt_id)["status"]["completed"] is True


# This is not a contract test, because a real server has to be restarted after it.
@pytest.mark.parametrize(
    ("version", "what"),
    [
        ("0.3.64", "extra_data of null"),
        ("0.3.64", "a skipped node without inputs"),
        ("0.33.0", "a skipped node without inputs"),
    ],
)
def test_some_accepted_prompts_end_the_worker_for_good(version: str, what: str) -> None:
    with Simulator(step_seconds=0, version=version) as sim:
        server = Server(sim.url)
        if what == "extra_data of null":
            response = server.post("/prompt", {"prompt": graphs.saved(), "extra_data": None})
        else:
            response = server.post("/prompt", {"prompt": {**graphs.saved(), "3": {"class_type": "SaveImage"}}})
        deadly = response.json()["prompt_id"]
        sim.wait_until_running(deadly)

        later = server.queue(graphs.saved())

        assert response.status_code == 200
        with pytest.raises(TimeoutError):
            sim.wait_until_idle(timeout=0.2)
        assert (sim.running, sim.pending) == ([deadly], [later])
        sim.restart()
        server.wait_until_gone(server.queue(graphs.saved()))

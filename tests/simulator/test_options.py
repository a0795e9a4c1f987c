"""What a simulator can be told when it is made."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from comfybridge.simulator import Simulator
from comfybridge.simulator.__main__ import main
from tests.contract import graphs
from tests.contract.ear import Ear
from tests.contract.server import Server


def test_requests_are_kept_as_they_came(sim: Simulator, server: Server) -> None:
    server.post("/interrupt", {"prompt_id": "x"})
    requests.get(f"{sim.url}/history?max_items=3", headers={"X-Test": "yes"}, timeout=10)
    server.upload(b"x", "name.png", overwrite="true")

    interrupt, history, upload = sim.requests

    assert (interrupt.method, interrupt.path, interrupt.body) == ("POST", "/interrupt", {"prompt_id": "x"})
    assert (history.path, history.query, history.body) == ("/history", {"max_items": "3"}, None)
    assert history.headers["x-test"] == "yes"
    assert (upload.path, upload.form) == ("/upload/image", {"image": "name.png", "overwrite": "true"})
    sim.forget_requests()
    assert sim.requests == []


def test_the_checkpoints_can_be_chosen() -> None:
    with Simulator(checkpoints=["a.safetensors", "b.ckpt"]) as sim:
        assert Server(sim.url).get("/models/checkpoints").json() == ["a.safetensors", "b.ckpt"]


def test_below_a_prefix_everything_is_there_and_beside_it_nothing() -> None:
    with Simulator(prefix="/comfy") as sim:
        server, ear = Server(sim.url), Ear(sim.url)

        server.run(graphs.saved(), ear)

        assert sim.url.endswith("/comfy")
        assert requests.get(sim.url.removesuffix("/comfy") + "/queue", timeout=10).status_code == 404
        assert sim.requests[-1].path == "/queue"
        ear.close()


@pytest.mark.parametrize("path", ["/prompt", "/api/queue", "/ws", "/view", "/nonsense"])
def test_without_the_authorization_every_route_is_401(path: str) -> None:
    with Simulator(authorization="Bearer secret") as sim:
        refused = requests.get(sim.url + path, timeout=10)
        wrong = requests.get(sim.url + path, headers={"Authorization": "Bearer guess"}, timeout=10)
        right = requests.get(sim.url + path, headers={"Authorization": "Bearer secret"}, timeout=10)

    assert (refused.status_code, wrong.status_code) == (401, 401)
    assert right.status_code != 401


def test_an_old_version_stops_whatever_runs(listen: object) -> None:
    with Simulator(version="0.3.50") as sim:
        server, ear = Server(sim.url), Ear(sim.url)
        sim.hold()
        prompt_id = server.queue(graphs.saved(), ear)
        sim.wait_until_running(prompt_id)

        server.post("/interrupt", {"prompt_id": "another"})

        ear.until("execution_interrupted", prompt_id)
        ear.close()


def test_versions_that_name_prompts_themselves_are_refused() -> None:
    with pytest.raises(ValueError, match="is older than"):
        Simulator(version="0.3.44")


@pytest.mark.parametrize("version", ["", "new", "0.33.x", "v0.33"])
def test_what_is_no_version_is_refused(version: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="is not a version number"):
        Simulator(version=version)
    with pytest.raises(SystemExit):
        main(["--version", version])
    assert "is not a version number such as 0.33.0" in capsys.readouterr().err


def test_it_speaks_the_newest_version_unless_told_otherwise(sim: Simulator) -> None:
    def poses_as(server: Server) -> tuple[str, bool]:
        version = server.get("/system_stats").json()["system"]["comfyui_version"]
        return version, bool(server.get("/object_info/SaveImageAdvanced").json())

    with Simulator(version="0.3.64") as older:
        assert poses_as(Server(older.url)) == ("0.3.64", False)
    assert poses_as(Server(sim.url)) == ("0.33.0", True)


def test_its_own_folder_goes_and_a_given_one_stays(tmp_path: Path) -> None:
    with Simulator() as own, Simulator(directory=tmp_path) as given:
        folders = [own.output_directory, given.output_directory]
        assert all(folder.is_dir() for folder in folders)

    assert [folder.exists() for folder in folders] == [False, True]
    assert folders[1] == tmp_path.resolve() / "output"


def test_it_can_be_stopped_twice_and_started_again() -> None:
    sim = Simulator().start()
    url = sim.url
    sim.stop()
    sim.stop()

    with sim:
        assert sim.url == url
        assert Server(url).get("/queue").status_code == 200


def test_a_port_that_is_taken_is_an_error(sim: Simulator) -> None:
    port = int(sim.url.rpartition(":")[2])

    with pytest.raises(OSError, match="address"):
        Simulator(port=port).start()


def test_without_previews_a_sampler_only_counts() -> None:
    with Simulator(step_seconds=0, previews=False) as sim:
        ear = Ear(sim.url)

        prompt_id = Server(sim.url).run(graphs.txt2img("demo.safetensors"), ear)

        assert ear.pictures() == []
        assert len([frame for frame in ear.of(prompt_id) if frame.type == "progress"]) == 2
        ear.close()


def test_it_runs_alone_and_ends_when_told(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "comfybridge.simulator", "--port", "0", "--directory", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=os.getcwd()) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+", line)
        try:
            assert found is not None
            assert Server(found[0]).get("/queue").status_code == 200
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.stdout.read() == ""
        code = process.wait(10)

    if sys.platform != "win32":
        assert code == 0
    assert (tmp_path / "output").is_dir()

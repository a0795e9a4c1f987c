"""The servers, started as a user starts them, asked over HTTP and stopped while they work."""

from __future__ import annotations

import gzip
import http.client
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import requests

from comfybridge.simulator import Simulator
from tests import ROOT, graphs
from tests.serving.servers import EVERY_SERVER, GUNICORN, PYTHON_APP, WAITRESS, Start, Started, free_port
from tests.waiting import SECONDS, until_true


@pytest.mark.parametrize("arguments", EVERY_SERVER)
def test_it_says_what_it_found_and_serves(common: Started, common_sim: Simulator, arguments: list[str]) -> None:
    server = common(arguments)
    assert f"listens on {server.url}" in server.said
    assert f"ComfyUI 0.33.0 found at {common_sim.url}" in server.said
    assert "txt2img (the default)" in server.said
    answer = requests.post(f"{server.url}/generate", json={"workflow": graphs.picture()}, timeout=SECONDS)
    assert answer.json()["status"] == "success"


@pytest.mark.parametrize("arguments", EVERY_SERVER)
def test_answers_without_a_body_end_where_the_next_begins(common: Started, arguments: list[str]) -> None:
    server = common(arguments)
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=SECONDS)
    preflight = {"Origin": "https://shop.example", "Access-Control-Request-Method": "POST"}
    for method, headers, status in (("HEAD", {}, 200), ("OPTIONS", preflight, 204), ("GET", {}, 200)):
        connection.request(method, "/workflows", headers=headers)
        answer = connection.getresponse()
        assert (answer.status, bool(answer.read())) == (status, method == "GET")


@pytest.mark.parametrize("arguments", EVERY_SERVER)
def test_compressed_bodies_come_through_whether_or_not_their_length_is_told(
    common: Started, arguments: list[str]
) -> None:
    server = common(arguments)
    headers = {"Content-Encoding": "gzip"}
    with requests.Session() as session:  # one connection: a refused body must be read to its end, too
        for content, status in ((json.dumps({"workflow": graphs.picture()}), 200), (" " * 5_000_000, 413)):
            body = gzip.compress(content.encode())
            for data in (body, iter([body[:20], body[20:]])):
                answer = session.post(f"{server.url}/generate", data=data, headers=headers, timeout=SECONDS)
                assert answer.status_code == status, answer.text
        answer = session.post(
            f"{server.url}/generate", data=body, headers={"Content-Encoding": "br"}, timeout=SECONDS
        )
        assert (answer.status_code, answer.headers["Accept-Encoding"]) == (415, "gzip, deflate")


def test_a_body_that_nobody_wants_holds_up_no_answer(common: Started) -> None:
    server = common(PYTHON_APP)
    host, _, port = server.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), 3) as caller:
        caller.sendall(f"HEAD /health HTTP/1.1\r\nHost: {host}\r\nContent-Length: 10\r\n\r\n".encode())
        assert caller.recv(65536).startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize("arguments", EVERY_SERVER)
# the second: as much as gunicorn takes at a time
@pytest.mark.parametrize("size", [0, 8192, 14_000], ids="the first of {} bytes".format)
def test_requests_that_come_in_one_go_are_all_answered(common: Started, arguments: list[str], size: int) -> None:
    server = common(arguments)
    host, _, port = server.url.removeprefix("http://").partition(":")
    body = json.dumps({"workflow": graphs.picture()}).encode()
    head = f"POST /generate HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: %5d\r\n\r\n"
    body = body.ljust(size - len(head % 0))
    following = f"GET /health HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    received = b""
    with socket.create_connection((host, int(port)), SECONDS) as caller:
        caller.sendall((head % len(body)).encode() + body + following.encode())
        while piece := caller.recv(65536):
            received += piece
    assert received.count(b"HTTP/1.1 200 OK") == 2
    assert b'"status":"success"' in received.replace(b" ", b"")
    assert b'"status":"ok"' in received.replace(b" ", b"")


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="Only Linux schedules so, and tells of it.")
def test_its_threads_give_way_to_comfyui_s(common: Started) -> None:
    server = common(PYTHON_APP)
    success = requests.post(f"{server.url}/generate", json={"workflow": graphs.picture()}, timeout=SECONDS)
    assert success.status_code == 200
    master = server.process.pid
    (worker,) = Path(f"/proc/{master}/task/{master}/children").read_text().split()
    threads = [int(each.name) for each in Path(f"/proc/{worker}/task").iterdir()]
    assert len(threads) > 2
    assert {os.sched_getscheduler(each) for each in threads} == {os.SCHED_BATCH}


@pytest.mark.parametrize("arguments", EVERY_SERVER)
def test_probes_answer_while_every_slot_is_blocked(
    common: Started, common_sim: Simulator, arguments: list[str]
) -> None:
    server = common(arguments)
    common_sim.hold()
    ask = {"url": f"{server.url}/generate", "json": {"workflow": graphs.picture()}, "timeout": SECONDS}
    callers = [threading.Thread(target=requests.post, kwargs=ask) for _ in range(4)]
    for caller in callers:
        caller.start()
    common_sim.wait_until_queued(4)
    assert requests.get(f"{server.url}/health", timeout=SECONDS).status_code == 200
    assert requests.get(f"{server.url}/ready", timeout=SECONDS).json()["type"] == "busy"
    assert requests.post(**ask).status_code == 503  # type: ignore[arg-type]
    common_sim.release()
    for caller in callers:
        caller.join(SECONDS)
    assert requests.get(f"{server.url}/ready", timeout=SECONDS).status_code == 200


@pytest.mark.skipif(os.name == "nt", reason="Windows ends processes without a word")
@pytest.mark.parametrize(
    ("arguments", "number"),
    [
        pytest.param(PYTHON_APP, signal.SIGTERM, id="python app.py, SIGTERM"),
        pytest.param(PYTHON_APP, signal.SIGINT, id="python app.py, Ctrl-C"),
        pytest.param(WAITRESS, signal.SIGTERM, id="waitress, SIGTERM"),
        pytest.param(WAITRESS, signal.SIGINT, id="waitress, Ctrl-C"),
    ],
)
def test_a_stop_lets_running_requests_finish(
    start: Start, sim: Simulator, arguments: list[str], number: signal.Signals
) -> None:
    server = start(arguments)
    sim.hold()
    answers = []
    ask = {"url": f"{server.url}/generate", "json": {"workflow": graphs.picture()}, "timeout": SECONDS}
    caller = threading.Thread(target=lambda: answers.append(requests.post(**ask)))  # type: ignore[arg-type]
    caller.start()
    sim.wait_until_running()
    server.stop(number)
    sim.release()
    caller.join(SECONDS)
    assert answers[0].json()["status"] == "success"
    assert server.process.wait(SECONDS) == 0


@pytest.mark.skipif(os.name == "nt", reason="Windows ends processes without a word")
def test_the_demo_s_own_comfyui_lives_until_the_last_request_is_answered(start: Start, tmp_path: Path) -> None:
    server = start(["app.py", "--demo"], COMFYUI_URL="", TMPDIR=str(tmp_path))
    assert list(tmp_path.iterdir())
    answers = []
    ask = {"url": f"{server.url}/generate", "json": {"prompt": "a cat", "steps": 60}, "timeout": SECONDS}
    caller = threading.Thread(target=lambda: answers.append(requests.post(**ask)))  # type: ignore[arg-type]
    caller.start()
    while requests.get(f"{server.url}/ready", timeout=SECONDS).json()["queue_remaining"] == 0:
        assert caller.is_alive(), "the request was over before the server was stopped"
    server.stop(signal.SIGINT)
    caller.join(SECONDS)
    assert answers[0].json()["status"] == "success"
    assert server.process.wait(SECONDS) == 0
    assert not list(tmp_path.glob("comfyui-simulator-*"))


def test_gunicorn_s_own_options_win_and_the_announcement_tells_them(start: Start) -> None:
    port = free_port()
    server = start([*GUNICORN, "-b", f"127.0.0.1:{port}"])
    assert f"listens on http://127.0.0.1:{port}" in server.said


@pytest.mark.parametrize("arguments", EVERY_SERVER)
def test_a_name_that_the_terminal_cannot_show_is_no_reason_not_to_start(
    start: Start, tmp_path: Path, arguments: list[str]
) -> None:
    (tmp_path / "日本.json").write_text(json.dumps(graphs.picture()))
    server = start(arguments, COMFYBRIDGE_WORKFLOWS_DIR=str(tmp_path), PYTHONIOENCODING="cp1252")
    assert "u65e5" in server.said


def test_a_wrong_setting_stops_the_start_with_a_sentence() -> None:
    for arguments in (["app.py", "--port", "http"], GUNICORN):
        ended = subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT,
            env={**os.environ, "COMFYBRIDGE_PORT": "http"},
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
        assert ended.returncode != 0
        assert "ComfyBridge can't start: COMFYBRIDGE_PORT is 'http'; it must be an integer." in ended.stderr
        assert "Traceback" not in ended.stderr


EVERY_HOST = {"COMFYBRIDGE_HOST": "0.0.0.0"}


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        pytest.param(["app.py"], EVERY_HOST, id="python app.py"),
        pytest.param(["app.py", "--host", "0.0.0.0"], {}, id="python app.py --host"),
        pytest.param(["app.py", "--demo"], EVERY_HOST, id="python app.py --demo"),
        pytest.param(GUNICORN, EVERY_HOST, id="gunicorn app:app"),
        pytest.param([*GUNICORN, "-b", "0.0.0.0:0"], {}, id="gunicorn app:app -b"),
    ],
)
def test_other_machines_are_not_let_in_by_mistake(arguments: list[str], environment: dict[str, str]) -> None:
    ended = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, "COMFYBRIDGE_PORT": free_port(), **environment},
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert ended.returncode != 0
    assert "ComfyBridge can't start: Other machines can reach 0.0.0.0" in ended.stderr
    assert "COMFYBRIDGE_ALLOW_ANONYMOUS=true (--allow-anonymous)" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "environment", "said"),
    [
        (["app.py", "--host", "0.0.0.0", "--allow-anonymous"], {}, "No API key is required"),
        (["app.py", "--allow-anonymous", "--demo"], EVERY_HOST, "No API key is required"),
        ([*GUNICORN, "-b", "0.0.0.0:{port}"], {"COMFYBRIDGE_ALLOW_ANONYMOUS": "true"}, "No API key is required"),
        (GUNICORN, {**EVERY_HOST, "COMFYBRIDGE_API_KEYS": "shop=secret"}, "API keys: shop"),
        (WAITRESS, {**EVERY_HOST, "COMFYBRIDGE_API_KEYS": "shop=secret"}, "API keys: shop"),
    ],
)
def test_they_are_where_that_is_said(
    start: Start, arguments: list[str], environment: dict[str, str], said: str
) -> None:
    port = free_port()
    asked = {"COMFYBRIDGE_PORT": port, **environment}
    if "--demo" in arguments:
        asked["COMFYUI_URL"] = ""
    server = start([each.format(port=port) for each in arguments] if arguments is not WAITRESS else WAITRESS, **asked)
    assert said in server.said
    assert "secret" not in server.said
    answer = requests.get(f"{server.url}/queue", headers={"X-API-Key": "secret"}, timeout=SECONDS)
    assert answer.status_code == 200


@pytest.mark.parametrize("arguments", EVERY_SERVER)
def test_who_is_not_let_in_is_told_so_though_much_was_sent(start: Start, arguments: list[str]) -> None:
    server = start(arguments, COMFYBRIDGE_API_KEYS="secret")
    body = b"{" + b" " * 3_000_000
    for connection in ("keep-alive", "close") * 3:
        headers = {"Connection": connection}
        answer = requests.post(f"{server.url}/generate", data=body, headers=headers, timeout=SECONDS)
        assert answer.json()["type"] == "unauthorized"


def test_a_port_that_is_taken_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        ended = subprocess.run(
            [sys.executable, "app.py", "--demo", "--port", port],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
    assert ended.returncode != 0
    assert f"Cannot listen on 127.0.0.1 port {port}" in ended.stderr


@pytest.mark.parametrize("accept", ["application/json", "image/*", "application/zip", "text/event-stream"])
@pytest.mark.parametrize("arguments", [EVERY_SERVER[0], EVERY_SERVER[2]])
def test_an_answer_that_can_t_be_finished_is_not_taken_for_a_whole_one(
    common: Started, common_sim: Simulator, arguments: list[str], accept: str
) -> None:
    server = common(arguments)
    common_sim.fail_route("/view", 200, b"\x89PNG\r\n\x1a\n" + bytes(20_000_000), times=None, cut=15_000_000)
    ask = {"json": {"workflow": graphs.picture()}, "headers": {"Accept": accept}, "timeout": SECONDS}
    with requests.post(f"{server.url}/generate", stream=True, **ask) as answer:  # type: ignore[arg-type]
        assert answer.status_code == 200
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            answer.content  # noqa: B018  # never comes to its end


@pytest.mark.parametrize("arguments", [EVERY_SERVER[0], EVERY_SERVER[2]])
def test_callers_who_leave_early_take_no_slot_with_them(start: Start, sim: Simulator, arguments: list[str]) -> None:
    server = start(arguments, COMFYBRIDGE_MAX_CONCURRENT="1", COMFYBRIDGE_CANCEL_ON_HANGUP="false")
    for accept, leaves_at_once in itertools.product(["application/json", "text/event-stream"], [True, False]):
        body = json.dumps({"workflow": graphs.picture(), "keepalive": 0.1})
        head = f"POST /generate HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\n"
        head += f"Content-Length: {len(body)}\r\n\r\n"
        sim.hold()
        with socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2])), SECONDS) as caller:
            caller.sendall(f"{head}{body}".encode())
            if not leaves_at_once:
                assert caller.recv(4096).startswith(b"HTTP/1.1 200 ")
        sim.wait_until_running()
        assert requests.get(f"{server.url}/ready", timeout=SECONDS).status_code == 503
        sim.release()
        until_true(lambda: requests.get(f"{server.url}/ready", timeout=SECONDS).status_code == 200)


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux tells the most that was used")
@pytest.mark.parametrize("arguments", [EVERY_SERVER[0], EVERY_SERVER[2]])
def test_a_large_output_takes_no_more_memory_than_a_small_one(
    common: Started, common_sim: Simulator, arguments: list[str]
) -> None:
    server = common(arguments)
    large = common_sim.output_directory / "large.glb"
    large.touch()
    os.truncate(large, 100_000_000)
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
    worker = Path("/proc", children[0] if children else str(server.process.pid))
    asked = {"workflow": {"1": graphs.node("Preview3D", model_file=large.name)}}
    requests.post(f"{server.url}/generate", json={"workflow": graphs.picture()}, timeout=SECONDS)
    (worker / "clear_refs").write_text("5")  # resets the peak
    before = kilobytes(worker, "VmRSS")
    with requests.post(f"{server.url}/generate", json=asked, timeout=SECONDS, stream=True) as answer:
        length = sum(map(len, answer.iter_content(2**20)))
        assert length == int(answer.headers["Content-Length"]) > 133_000_000
    assert kilobytes(worker, "VmHWM") - before < 32_000


def kilobytes(process: Path, name: str) -> int:
    [line] = [line for line in (process / "status").read_text().splitlines() if line.startswith(f"{name}:")]
    return int(line.split()[1])

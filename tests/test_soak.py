"""Everything at once, for a while: 50 callers, two ComfyUI servers, and whatever can go wrong with them.

Every request must come to an answer that makes sense for it, in time, and nothing may be left behind. How long it
goes on (not at all, unless that is said) and what it draws by lot:
`pytest tests/test_soak.py --soak-seconds 600 --soak-seed 7`.
"""

from __future__ import annotations

import base64
import io
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests
from PIL import Image

from comfybridge.simulator import Simulator
from tests import ROOT, graphs

CALLERS = 50
SLOTS = 64
PATIENCE = 60.0
# Seconds that a request may take beyond its timeout: ComfyUI may hang while it is cancelled, and machines are slow.
GRACE = 15.0

# Valid outcomes of a correct request, with servers that go away, prompts that are cancelled, and little time.
MISFORTUNES = {
    (409, "interrupted"),
    (500, "execution_failed"),
    (502, "comfyui_error"),
    (502, "prompt_lost"),
    (503, "comfyui_unreachable"),
    (504, "timeout"),
}

pytestmark = [pytest.mark.alone, pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="looks into /proc")]


@dataclass(frozen=True)
class Kind:
    """One kind of request, by what makes its body and what its answer may be besides a misfortune."""

    body: Callable[[random.Random], dict[str, Any]]
    status: int = 200
    size: tuple[int, int] = (64, 48)


KINDS = {
    "picture": Kind(lambda _: {"workflow": graphs.picture()}),
    "batch": Kind(lambda _: {"workflow": graphs.picture(batch=3)}),
    "polled": Kind(lambda _: {"workflow": graphs.picture(), "wait": "poll"}),
    "own socket": Kind(lambda _: {"workflow": graphs.picture(), "wait": "websocket"}),
    "over the socket": Kind(lambda _: {"workflow": graphs.picture(save="SaveImageWebsocket")}),
    "again": Kind(lambda _: {"workflow": graphs.picture(), "retries": 3}),
    "converted": Kind(lambda _: {"workflow": graphs.picture(), "output": {"format": "webp"}}),
    "template": Kind(lambda _: {"prompt": "a cat", "width": 64, "height": 64, "steps": 3}, size=(64, 64)),
    "hasty": Kind(lambda lot: {"workflow": graphs.picture(), "timeout": lot.choice([0.001, 0.05, 0.5])}),
    "kept": Kind(lambda lot: {"workflow": graphs.picture(), "timeout": lot.uniform(0.1, 1), "on_timeout": "keep"}),
    "no such node": Kind(lambda _: {"workflow": {"1": graphs.node("Nonsense")}}, 400),
    "no such workflow": Kind(lambda _: {"workflow": "nonsense"}, 404),
    "nothing at all": Kind(lambda _: {"workflow": {}}, 400),
}


@dataclass
class Story:
    """What came of all requests."""

    endings: Counter[tuple[str, str]] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def tell(self, kind: str, ending: str, wrong: str = "") -> None:
        with self.lock:
            self.endings[kind, ending] += 1
            if wrong:
                self.wrong.append(f"{kind}: {wrong}")


class Caller:
    """Asks again and again until told to stop."""

    def __init__(self, url: str, story: Story, lot: random.Random, stop: threading.Event) -> None:
        self._url, self._story, self._lot, self._stop = url, story, lot, stop

    def run(self) -> None:
        while not self._stop.is_set():
            try:
                self._ask_something()
            except Exception as error:  # an answer that can't be read
                self._story.tell("any", "unreadable", repr(error))

    def _ask_something(self) -> None:
        name = self._lot.choice(list(KINDS))
        if self._lot.random() < 0.1:
            self._hang_up()
        elif self._lot.random() < 0.1:
            self._ask_twice()
        else:
            self._judge(name, *self._ask({"timeout": 20, **KINDS[name].body(self._lot)}))

    def _ask(self, body: dict[str, Any], **headers: str) -> tuple[requests.Response | None, str]:
        """The answer, or why there is none."""
        began = time.monotonic()
        try:
            answer = requests.post(f"{self._url}/generate", json=body, headers=headers, timeout=PATIENCE)
        except requests.RequestException as error:
            return None, f"no answer: {error!r}"
        took = time.monotonic() - began
        late = took - body["timeout"]
        return answer, f"{answer.status_code} came {late:.1f} s after its timeout" if late > GRACE else ""

    def _judge(self, name: str, answer: requests.Response | None, wrong: str) -> None:
        kind = KINDS[name]
        if answer is None:
            self._story.tell(name, "no answer", wrong)
            return
        said = answer.json()
        ending = (answer.status_code, said.get("type", "success"))
        if answer.status_code == 200:
            wrong = wrong or ("" if _is_picture(said, kind.size) else f"200 with something else: {answer.text[:200]}")
        elif ending not in MISFORTUNES and (kind.status == 200 or answer.status_code != kind.status):
            wrong = wrong or answer.text[:300]
        self._story.tell(name, str(ending), wrong)

    def _ask_twice(self) -> None:
        """With one key: both get the same picture, where both get one."""
        body = {"workflow": graphs.picture(), "timeout": 20}
        key = self._lot.randbytes(8).hex()
        answers = [self._ask(body, **{"Idempotency-Key": key}) for _ in range(2)]
        for each in answers:
            self._judge("picture", *each)
        ids = [each.json()["prompt_id"] for each, _ in answers if each is not None and each.status_code == 200]
        if len(set(ids)) > 1:
            self._story.tell("twice", "two prompts", f"{ids}")

    def _hang_up(self) -> None:
        """Ask, and go away before there is an answer."""
        body = b'{"prompt": "a cat", "width": 64, "height": 64, "steps": 20}'
        host, port = self._url.removeprefix("http://").split(":")
        head = f"POST /generate HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        whole = head + body
        with socket.create_connection((host, int(port)), PATIENCE) as connection:
            connection.sendall(whole[: self._lot.choice([len(whole), len(whole), len(head), 20])])
            self._stop.wait(self._lot.choice([0, 0.01, 0.1]))
        self._story.tell("hung up", "-")


def _is_picture(said: dict[str, Any], size: tuple[int, int]) -> bool:
    """Whether an answer has pictures, each whole and of that size."""
    images = [Image.open(io.BytesIO(base64.b64decode(each))) for each in said["images"]]
    for each in images:
        each.load()
    return bool(images) and all(each.size == size for each in images)


class Weather:
    """What goes wrong with a ComfyUI, one thing after the other."""

    def __init__(self, sim: Simulator, lot: random.Random, stop: threading.Event) -> None:
        self._sim, self._lot, self._stop = sim, lot, stop
        self.seen: Counter[str] = Counter()

    def run(self) -> None:
        while not self._stop.wait(self._lot.uniform(0, 0.3)):
            fault = self._lot.choice([each for each in dir(self) if each.startswith("fault_")])
            getattr(self, fault)()
            self.seen[fault] += 1

    def _a_while(self) -> None:
        self._stop.wait(self._lot.uniform(0, 1.5))

    def fault_sockets_drop(self) -> None:
        self._sim.drop_sockets()

    def fault_sockets_say_nothing(self) -> None:
        self._sim.mute()
        self._a_while()
        self._sim.unmute()

    def fault_killed(self) -> None:
        self._sim.kill()
        self._a_while()
        self._sim.revive()

    def fault_asleep(self) -> None:
        self._sim.suspend()
        self._a_while()
        self._sim.resume()

    def fault_nodes_fail(self) -> None:
        self._sim.fail_node("EmptyImage", "out of paint", times=2)
        self._a_while()
        self._sim.heal()

    def fault_routes_fail(self) -> None:
        path = self._lot.choice(["/prompt", "/history", "/view", "/queue", "/ws"])
        how = self._lot.choice([{}, {"close": True}, {"status": 200, "body": b"<html>"}, {"delay": 0.5}])
        self._sim.fail_route(path, times=3, **how)
        self._a_while()
        self._sim.heal()

    def fault_odd_frames(self) -> None:
        self._sim.say(self._lot.choice([b"\0\0\0\1", "{", '{"type": "status", "data": 1}', b"x" * 1_000_000]))

    def fault_interrupted(self) -> None:
        self._post("/interrupt", {})

    def fault_queue_cleared(self) -> None:
        self._post("/queue", {"clear": True})

    def fault_history_cleared(self) -> None:
        self._post("/history", {"clear": True})

    def _post(self, path: str, body: dict[str, Any]) -> None:
        requests.post(f"{self._sim.url}{path}", json=body, timeout=10)


@dataclass(frozen=True)
class Footprint:
    """What a process takes."""

    threads: int
    files: int
    megabytes: float

    @classmethod
    def of(cls, pid: int) -> Footprint:
        status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        files = len(list(Path(f"/proc/{pid}/fd").iterdir()))
        return cls(int(status["Threads"]), files, int(status["VmRSS"].split()[0]) / 1024)


class Server:
    """The bridge, as `python app.py` runs it."""

    def __init__(self, comfyui_url: str, log: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        settings = {
            "COMFYUI_URL": comfyui_url,
            "COMFYBRIDGE_PORT": str(port),
            "COMFYBRIDGE_MAX_CONCURRENT": str(SLOTS),
            "COMFYBRIDGE_CONNECT_TIMEOUT": "2",
            "COMFYBRIDGE_READ_TIMEOUT": "5",
        }
        self._log = log.open("wb")
        self.process = subprocess.Popen(
            [sys.executable, "app.py"],
            cwd=ROOT,
            env={**os.environ, **settings},
            stdout=subprocess.DEVNULL,
            stderr=self._log,
        )
        _until(lambda: self._answers("/ready"), PATIENCE)

    @property
    def worker(self) -> int:
        """The process that does the work."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return int(children[0]) if children else pid

    def _answers(self, path: str) -> bool:
        try:
            return requests.get(self.url + path, timeout=PATIENCE).status_code == 200
        except requests.RequestException:
            return False

    def in_flight(self) -> int:
        """Requests under way at the ComfyUI servers."""
        said = requests.get(f"{self.url}/stats", timeout=PATIENCE).json()
        return sum(each["in_flight"] for each in said["servers"])

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(PATIENCE)
        self._log.close()
        return code


def _until(is_so: Callable[[], bool], seconds: float) -> None:
    until = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < until, "it never came to that"
        time.sleep(0.05)


@contextmanager
def _running(works: list[Callable[[], None]]) -> Iterator[None]:
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    yield
    for thread in threads:
        thread.join(2 * PATIENCE)
        assert not thread.is_alive(), "a caller still waits for its answer"


def _storm(server: Server, sims: list[Simulator], seconds: float, seed: int) -> Story:
    """All of it for so many seconds, then quiet."""
    story, calm, done = Story(), threading.Event(), threading.Event()
    weathers = [Weather(sim, random.Random(seed + index), calm) for index, sim in enumerate(sims)]
    callers = [Caller(server.url, story, random.Random(seed * 1000 + index), done) for index in range(CALLERS)]
    with _running([each.run for each in callers]):
        with _running([each.run for each in weathers]):
            time.sleep(seconds)
            calm.set()
        done.set()
    for sim in sims:
        sim.heal()
    _until(lambda: server.in_flight() == 0, PATIENCE)
    return story


def _ask_at_once(server: Server, count: int) -> list[int]:
    """The statuses of so many requests that come together."""
    statuses: list[int] = []
    body = {"workflow": graphs.picture(), "timeout": 30}

    def ask() -> None:
        statuses.append(requests.post(f"{server.url}/generate", json=body, timeout=PATIENCE).status_code)

    with _running([ask] * count):
        pass
    return statuses


def test_nothing_is_lost_and_nothing_is_left_behind(pytestconfig: pytest.Config, tmp_path: Path) -> None:
    seconds, seed = pytestconfig.getoption("--soak-seconds"), pytestconfig.getoption("--soak-seed")
    if not seconds:
        pytest.skip("only with --soak-seconds, as in CI")
    with ExitStack() as stack:
        sims = [stack.enter_context(Simulator(step_seconds=0.005)) for _ in range(2)]
        server = Server(",".join(sim.url for sim in sims), tmp_path / "log")
        stack.callback(server.process.kill)
        first = _storm(server, sims, seconds / 2, seed)
        before = Footprint.of(server.worker)
        second = _storm(server, sims, seconds / 2, seed + 1)
        after = Footprint.of(server.worker)

        endings = first.endings + second.endings
        print(f"\nseed {seed}: {sum(endings.values())} requests; {before} and then {after}")
        for (kind, ending), count in sorted(endings.items()):
            print(f"{count:6} {kind}: {ending}")
        assert not first.wrong + second.wrong
        assert sum(count for (_, ending), count in endings.items() if "success" in ending) > CALLERS

        _until(lambda: requests.get(f"{server.url}/ready", timeout=PATIENCE).status_code == 200, PATIENCE)
        assert _ask_at_once(server, SLOTS) == [200] * SLOTS  # each slot is free
        # threads that are idle end once it is quiet, which it may have been before one of the two looks only
        _until(lambda: Footprint.of(server.worker).threads <= before.threads + 8, PATIENCE)
        assert after.files <= before.files + SLOTS  # connections that are kept
        assert after.megabytes <= before.megabytes + 25
        assert server.stop() == 0
    assert "Traceback" not in (tmp_path / "log").read_text()

"""All faults of a fleet at random for a while, with every job accounted for.

`pytest tests/fleet/test_soak.py --soak-seconds 600 --soak-seed 7`.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
import requests

from tests.fleet.accounts import PATIENCE, body_of, check_picture, state
from tests.fleet.engine import Engine
from tests.fleet.fleet import Bridge, ComfyUI, Fleet
from tests.fleet.footprint import Footprint
from tests.fleet.processes import Process
from tests.fleet.proxy import Proxy
from tests.waiting import until_true

pytestmark = pytest.mark.alone

CALLERS = 8
AGENTS = 3
ATTEMPTS = 20  # more than any job can be unlucky
HOOK_PAUSE = 12.0  # seconds between two times that the receiver is down: a refused webhook comes again within them
# What a blocked caller may be told while everything around it fails.
MISFORTUNES = {
    (502, "comfyui_error"),
    (502, "prompt_lost"),
    (503, "comfyui_unreachable"),
    (503, "engine_unreachable"),
    (503, "busy"),
    (503, "no_agent"),
    (504, "timeout"),
}


@dataclass
class World:
    """The fleet of the soak. The first bridge and the first agent are never killed, so that they can grow."""

    fleet: Fleet
    engine: Engine
    bridges: list[Bridge]
    agents: list[Process]
    comfyuis: list[ComfyUI]
    proxies: list[Proxy]

    @classmethod
    def of(cls, fleet: Fleet) -> World:
        engine = fleet.engine()
        settings = {"job_attempts": ATTEMPTS, "max_concurrent": 64}
        bridges = [fleet.bridge(engine, **settings) for _ in range(2)]
        comfyuis = [fleet.comfyui() for _ in range(AGENTS)]
        proxies = [Proxy(engine.port) for _ in range(AGENTS)]
        for each in proxies:
            fleet.keep(each.close)
        agents = [
            fleet.agent(engine, comfyui, port=proxy.port) for comfyui, proxy in zip(comfyuis, proxies, strict=True)
        ]
        fleet.wait_for_agents(bridges[0], AGENTS)
        return cls(fleet, engine, bridges, agents, comfyuis, proxies)

    def footprints(self) -> list[Footprint]:
        """Of the processes that are never killed."""
        return [Footprint.of(each.pid) for each in (self.bridges[0], self.agents[0])]


class Weather:
    """What goes wrong, one thing after the other, each mended after a while."""

    def __init__(self, world: World, lot: random.Random, stop: threading.Event) -> None:
        self._world, self._lot, self._stop = world, lot, stop
        self._receiver_up_at = 0.0
        self.seen: Counter[str] = Counter()

    def run(self) -> None:
        while not self._stop.wait(self._lot.uniform(0, 1)):
            fault = self._lot.choice([each for each in dir(self) if each.startswith("fault_")])
            getattr(self, fault)()
            self.seen[fault] += 1

    def _a_while(self, most: float = 1.5) -> None:
        self._stop.wait(self._lot.uniform(0, most))

    def fault_engine_killed(self) -> None:
        self._world.engine.kill()
        self._a_while()
        self._world.engine.start()
        self._world.engine.wait_until_ready()

    def fault_engine_asleep(self) -> None:
        self._world.engine.suspend()
        self._a_while(4)
        self._world.engine.resume()

    def fault_bridge_killed(self) -> None:
        self._world.bridges[1].kill()
        self._a_while()
        self._world.bridges[1].start()
        self._world.bridges[1].wait_until_up()

    def fault_agent_killed(self) -> None:
        agent = self._lot.choice(self._world.agents[1:])
        agent.kill()
        self._a_while(2 * self._world.fleet.lease)
        agent.start()

    def fault_agent_stopped(self) -> None:
        agent = self._lot.choice(self._world.agents[1:])
        agent.stop()
        self._a_while()
        agent.start()

    def fault_agent_asleep(self) -> None:
        agent = self._lot.choice(self._world.agents)
        agent.suspend()
        self._a_while(2 * self._world.fleet.lease)
        agent.resume()

    def fault_comfyui_killed(self) -> None:
        comfyui = self._lot.choice(self._world.comfyuis)
        comfyui.kill()
        self._a_while()
        comfyui.start()
        comfyui.wait_until_up()

    def fault_comfyui_forgets(self) -> None:
        comfyui = self._lot.choice(self._world.comfyuis)
        requests.post(f"{comfyui.url}/history", json={"clear": True}, timeout=PATIENCE)

    def fault_sockets_drop(self) -> None:
        self._lot.choice(self._world.comfyuis).drop_sockets()

    def fault_network_cut(self) -> None:
        proxy = self._lot.choice(self._world.proxies)
        proxy.cut()
        self._a_while(2 * self._world.fleet.lease)
        proxy.heal()

    def fault_network_reset(self) -> None:
        self._lot.choice(self._world.proxies).reset()

    def fault_receiver_down(self) -> None:
        if time.monotonic() < self._receiver_up_at + HOOK_PAUSE:
            return
        self._world.fleet.receiver.down()
        self._a_while()
        self._world.fleet.receiver.up()
        self._receiver_up_at = time.monotonic()

    def fault_clock_set(self) -> None:
        self._world.fleet.clock.set_back(self._lot.choice([0, 60, 3600]))


@dataclass
class Story:
    """What callers were told."""

    endings: Counter[tuple[str, str]] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    unknown: int = 0  # jobs of which the answer was lost
    cancelled: set[str] = field(default_factory=set)  # labels of those that somebody cancelled
    lock: threading.Lock = field(default_factory=threading.Lock)

    def tell(self, kind: str, ending: object, wrong: str = "") -> None:
        with self.lock:
            self.endings[kind, str(ending)] += 1
            if wrong:
                self.wrong.append(f"{kind}: {wrong}")


class Caller:
    """Asks again and again until told to stop."""

    def __init__(self, world: World, story: Story, number: int, lot: random.Random, stop: threading.Event) -> None:
        self._world, self._story, self._lot, self._stop = world, story, lot, stop
        self._name, self._number = f"caller{number}", 0
        self._own: list[tuple[str, str]] = []  # (id, label)

    def run(self) -> None:
        kinds = [self._submit] * 4 + [self._block] * 4 + [self._repeat, self._cancel, self._cancel, self._look]
        while not self._stop.is_set():
            kind = self._lot.choice(kinds)
            try:
                kind()
            except requests.RequestException as error:
                self._story.tell(kind.__name__, type(error).__name__)
                self._stop.wait(0.05)
            except Exception as error:  # an answer that makes no sense
                self._story.tell(kind.__name__, "wrong", repr(error))
            self._stop.wait(self._lot.uniform(0, 0.2))

    def _label(self) -> str:
        self._number += 1
        return f"{self._name}-{self._number}"

    @property
    def _url(self) -> str:
        return self._lot.choice(self._world.bridges).url

    def _body(self, label: str) -> dict[str, object]:
        webhook = self._world.fleet.receiver.url if self._lot.random() < 0.5 else None
        return body_of(label, steps=self._lot.choice([0, 1, 5, 30]), webhook=webhook)

    def _accepted(self, answer: requests.Response, label: str, body: dict[str, object]) -> bool:
        if answer.status_code != 202:
            wrong = "" if _ending(answer) in MISFORTUNES else answer.text[:300]
            self._story.tell("submit", _ending(answer), wrong)
            return False
        job_id = answer.json()["id"]
        webhook = body.get("webhook")
        with self._story.lock:
            self._world.fleet.jobs.accepted(job_id, label, str(webhook) if webhook else None)
        self._own.append((job_id, label))
        self._story.tell("submit", 202)
        return True

    def _submit(self) -> None:
        label = self._label()
        body = self._body(label)
        try:
            answer = requests.post(f"{self._url}/jobs", json=body, timeout=PATIENCE)
        except requests.RequestException:
            with self._story.lock:
                self._story.unknown += 1
            raise
        self._accepted(answer, label, body)

    def _repeat(self) -> None:
        """The same request with a key until it is accepted, and once more."""
        label = self._label()
        body, headers = self._body(label), {"Idempotency-Key": label}
        times = 0
        until = time.monotonic() + PATIENCE
        while times < 2 and time.monotonic() < until:
            try:
                answer = requests.post(f"{self._url}/jobs", json=body, headers=headers, timeout=PATIENCE)
            except requests.RequestException:
                self._stop.wait(0.2)
                continue
            times += self._accepted(answer, label, body)
        ids = {job_id for job_id, each in self._own if each == label}
        if len(ids) != 1:
            self._story.tell("repeat", "wrong", f"{label} became {len(ids)} jobs")

    def _block(self) -> None:
        label = self._label()
        body = {**body_of(label, steps=self._lot.choice([0, 5, 30])), "timeout": 30}
        headers = {"Accept": "image/*, application/json;q=0.5"}
        began = time.monotonic()
        answer = requests.post(f"{self._url}/generate", json=body, headers=headers, timeout=PATIENCE)
        late = time.monotonic() - began - 30
        if answer.status_code == 200:
            check_picture(answer)
            self._story.tell("block", 200)
        else:
            wrong = "" if _ending(answer) in MISFORTUNES else answer.text[:300]
            self._story.tell("block", _ending(answer), wrong or (f"{late:.0f} s late" if late > 15 else ""))

    def _cancel(self) -> None:
        if not self._own:
            return
        job_id, label = self._lot.choice(self._own[-5:])
        with self._story.lock:
            self._story.cancelled.add(label)
        answer = requests.post(f"{self._url}/jobs/{job_id}/cancel", timeout=PATIENCE)
        self._story.tell("cancel", answer.status_code, "" if answer.status_code in (200, 503) else answer.text[:300])

    def _look(self) -> None:
        if not self._own:
            return
        job_id, label = self._lot.choice(self._own)
        answer = requests.get(f"{self._url}/jobs/{job_id}", timeout=PATIENCE)
        wrong = "" if answer.status_code in (200, 503) else f"{label}: {answer.text[:300]}"
        self._story.tell("look", answer.status_code, wrong)


def _ending(answer: requests.Response) -> tuple[int, str]:
    return answer.status_code, answer.json().get("type", "")


@contextmanager
def _running(works: list[Callable[[], None]]) -> Iterator[None]:
    threads = [threading.Thread(target=work, name="soak") for work in works]
    for thread in threads:
        thread.start()
    yield
    for thread in threads:
        thread.join(3 * PATIENCE)
        assert not thread.is_alive(), "a caller still waits for its answer"


def _storm(world: World, story: Story, seconds: float, seed: int) -> Counter[str]:
    """All of it for so many seconds, then quiet. Returns what went wrong how often."""
    calm, done = threading.Event(), threading.Event()
    weather = Weather(world, random.Random(seed), calm)
    callers = [
        Caller(world, story, seed * 100 + number, random.Random(seed * 1000 + number), done)
        for number in range(CALLERS)
    ]
    with _running([each.run for each in callers]):
        with _running([weather.run]):
            time.sleep(seconds)
            calm.set()
        done.set()
    began = time.monotonic()
    world.fleet.settle(world.bridges[0], 2 * PATIENCE)
    print("settled", time.monotonic() - began)
    until_true(lambda: world.engine.records.open_jobs("live") == 0, PATIENCE)
    until_true(lambda: all(each.queue_length() == 0 for each in world.comfyuis), PATIENCE)
    print("quiet", time.monotonic() - began)
    return weather.seen


def test_no_job_is_lost_whatever_happens(pytestconfig: pytest.Config, fleet: Fleet) -> None:
    seconds, seed = pytestconfig.getoption("--soak-seconds"), pytestconfig.getoption("--soak-seed")
    if not seconds:
        pytest.skip("only with --soak-seconds, as in CI")
    world, story = World.of(fleet), Story()
    seen = _storm(world, story, seconds / 2, seed)
    before = world.footprints()
    seen += _storm(world, story, seconds / 2, seed + 1)
    after = world.footprints()

    print(f"\nseed {seed}: {len(fleet.jobs.labels)} jobs, {sum(story.endings.values())} requests, {dict(seen)}")
    for (kind, ending), count in sorted(story.endings.items()):
        print(f"{count:6} {kind}: {ending}")
    print(f"ran again: {fleet.runs().again().total()}; {before} and then {after}")
    assert not story.wrong
    assert len(fleet.jobs.labels) > seconds / 2

    found = fleet.settle(world.bridges[0])
    for label, each in found.items():
        usual = {"succeeded", "cancelled"} if label in story.cancelled else {"succeeded"}
        assert each["status"] in usual, f"{label}: {each}"
    gone = {label for label, each in found.items() if each["status"] == "cancelled"}
    fleet.check(world.bridges[1], cancelled=gone, unknown=story.unknown, again=seen.total() * AGENTS)
    for was, now in zip(before, after, strict=True):
        assert now.threads <= was.threads + 8
        assert now.files <= was.files + 40
        assert now.megabytes <= was.megabytes + 30
    for each in fleet.jobs.labels:
        assert state(world.bridges[0].url, each)["status"] == state(world.bridges[1].url, each)["status"]

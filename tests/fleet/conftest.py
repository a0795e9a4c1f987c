"""A fleet of processes for each test, of which nothing is left at the end."""

from __future__ import annotations

import signal
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.fleet.fleet import Fleet

PASSED = pytest.StashKey[bool]()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent not in item.path.parents:
            continue
        if not hasattr(signal, "SIGSTOP") or not Path("/proc/self/environ").exists():
            item.add_marker(pytest.mark.skip(reason="stops processes and looks into /proc"))
        if not config.getoption("--faults") and item.path.name != "test_soak.py":  # which has an option of its own
            item.add_marker(pytest.mark.skip(reason="only with --faults"))
        if item.get_closest_marker("by_hand") and not config.getoption("--by-hand"):
            item.add_marker(pytest.mark.skip(reason="takes a minute: only with --by-hand"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when == "call":
        item.stash[PASSED] = report.passed
    return report


@pytest.fixture
def fleet(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Fleet]:
    made = Fleet(tmp_path)
    try:
        yield made
        if request.node.stash.get(PASSED, False):
            made.check_end()
    finally:
        made.end()

"""A browser, bridges for it to open, and pages that are watched for faults which a person does not see.

They need playwright, which requirements-dev.txt lists, and a Chromium of the system. Without these they are skipped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from comfybridge.serving.demo_comfyui import demo_comfyui
from tests import ROOT
from tests.page.bridges import Bridge
from tests.page.chromium import launched, path_of_chromium
from tests.page.guarded import API_KEYS, POLICIES
from tests.page.watch import Watch

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

    from comfybridge.simulator import Simulator
    from tests.page.driving import Open

SLOWEST = 60_000  # milliseconds; only a failing test waits so long
DESKTOP = {"width": 1280, "height": 900}


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """One for all tests of this folder. It ends with them: its event loop would be in the way of other tests."""
    api = pytest.importorskip("playwright.sync_api")
    path = path_of_chromium()
    if path is None:
        pytest.skip("no Chromium is installed")
    api.expect.set_options(timeout=SLOWEST)
    with api.sync_playwright() as playwright:
        browser = launched(playwright, path)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def _common_comfyui() -> Iterator[Simulator]:
    with demo_comfyui(ROOT / "workflows") as simulator:
        simulator.step_seconds = 0
        yield simulator


@pytest.fixture(scope="package")
def _common_bridge(_common_comfyui: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bridge]:
    bridge = Bridge(_common_comfyui.url, tmp_path_factory.mktemp("state"), LOG_LEVEL="WARNING")
    yield bridge
    bridge.kill()


@pytest.fixture
def comfyui(_common_comfyui: Simulator) -> Iterator[Simulator]:
    """The ComfyUI behind all bridges. It loses no time on sampling, and after each test it is as it was."""
    yield _common_comfyui
    _common_comfyui.release()
    _common_comfyui.heal()
    _common_comfyui.wait_until_idle()
    _common_comfyui.forget_requests()


@pytest.fixture
def bridge(_common_bridge: Bridge, comfyui: Simulator) -> Bridge:
    """A bridge with the usual settings, which other tests use too."""
    return _common_bridge


@pytest.fixture(scope="package")
def _guarded_bridge(_common_comfyui: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bridge]:
    state = tmp_path_factory.mktemp("guarded")
    (state / "policies.yaml").write_text(POLICIES)
    bridge = Bridge(
        _common_comfyui.url, state, API_KEYS=API_KEYS, POLICY_FILE=str(state / "policies.yaml"), LOG_LEVEL="WARNING"
    )
    yield bridge
    bridge.kill()


@pytest.fixture
def guarded(_guarded_bridge: Bridge, comfyui: Simulator) -> Bridge:
    """A bridge with the keys of `guarded.py`, which other tests use too."""
    return _guarded_bridge


@pytest.fixture
def start_bridge(comfyui: Simulator, tmp_path: Path) -> Iterator[Callable[..., Bridge]]:
    """Starts bridges with settings of their own (`API_KEYS="shop=s3cret"`)."""
    started: list[Bridge] = []

    def start(**settings: str) -> Bridge:
        started.append(Bridge(comfyui.url, tmp_path / f"state{len(started)}", **settings))
        return started[-1]

    yield start
    for each in started:
        each.kill()


@pytest.fixture
def open_context(browser: Browser) -> Iterator[Callable[..., tuple[BrowserContext, Watch]]]:
    """Opens a browser's window for a URL, with a storage of its own; what it must not do is told at the end."""
    opened: list[tuple[BrowserContext, Watch]] = []

    def open_it(url: str, **options: Any) -> tuple[BrowserContext, Watch]:
        context = browser.new_context(**{"base_url": url, "viewport": DESKTOP, "locale": "en-GB", **options})
        context.set_default_timeout(SLOWEST)
        context.grant_permissions(["clipboard-read", "clipboard-write"], origin=url)
        opened.append((context, Watch(context, url)))
        return opened[-1]

    yield open_it
    for context, _ in opened:
        context.close()
    assert [fault for _, watch in opened for fault in watch.faults] == []


@pytest.fixture
def open_page(open_context: Callable[..., tuple[BrowserContext, Watch]]) -> Open:
    """Opens the page of a bridge or of a URL in a window of its own; `options` are those of playwright's contexts."""

    def open_it(bridge: Bridge | str, path: str = "/", **options: Any) -> Page:
        context, _ = open_context(bridge if isinstance(bridge, str) else bridge.url, **options)
        page = context.new_page()
        page.goto(path)
        return page

    return open_it


@pytest.fixture
def page(open_page: Open, bridge: Bridge) -> Page:
    """The page of the usual bridge."""
    return open_page(bridge)

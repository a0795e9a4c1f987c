"""Files that are changed or deleted after they were chosen, which browsers no longer read."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest

from tests.fleet.proxy import Proxy
from tests.page.driving import make, picture_of, start
from tests.page.expecting import expect
from tests.page.pictures import png
from tests.page.runs import last_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Page

    from comfybridge.simulator import Simulator
    from tests.page.bridges import Bridge
    from tests.page.driving import Open

LONG_AGO = 1_000_000_000


def paint_over(file: Path) -> None:
    file.write_bytes(png((64, 64), "plum"))
    os.utime(file, (LONG_AGO, LONG_AGO))  # browsers compare times in whole seconds


@pytest.fixture
def pond(tmp_path: Path) -> Path:
    file = tmp_path / "pond.png"
    file.write_bytes(png())
    return file


def choose(page: Page, file: Path) -> None:
    page.get_by_label("Image", exact=True).set_input_files(file)
    expect(page.get_by_role("button", name="Remove pond.png")).to_be_visible()


@pytest.mark.parametrize("change", [paint_over, os.unlink], ids=["changed", "deleted"])
def test_a_file_that_cannot_be_read_any_more_is_told_at_its_field(
    open_page: Open, bridge: Bridge, comfyui: Simulator, pond: Path, change: Callable[[Path], None]
) -> None:
    page = open_page(bridge, "/?workflow=img2img")
    choose(page, pond)
    change(pond)
    start(page, "a pond")
    field = page.get_by_label("Image", exact=True)
    expect(field).to_have_accessible_description(re.compile("pond.png cannot be read.*Choose it again"))
    expect(page.get_by_role("article")).to_have_count(0)
    pond.write_bytes(png((64, 64), "gold"))
    choose(page, pond)
    make(page, "a golden pond")
    assert last_file(comfyui, "LoadImage").read_bytes() == pond.read_bytes()


def test_a_file_may_change_once_it_was_sent(open_page: Open, bridge: Bridge, comfyui: Simulator, pond: Path) -> None:
    network = Proxy(int(bridge.url.rpartition(":")[2]))
    try:
        page = open_page(f"http://127.0.0.1:{network.port}", "/?workflow=img2img")
        choose(page, pond)
        comfyui.hold_steps(after=2)
        card = start(page, "sent")
        expect(card).to_contain_text("step 2")
        paint_over(pond)
        network.reset()
        expect(card).to_contain_text("The connection to the bridge is lost")
        expect(card).to_contain_text("Running")
        comfyui.release()
        expect(picture_of(card)).to_be_visible()
    finally:
        network.close()

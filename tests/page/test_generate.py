"""From an empty page to a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.page.expecting import expect

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from comfybridge.simulator import Simulator


def test_a_prompt_becomes_a_picture(page: Page, comfyui: Simulator) -> None:
    page.get_by_label("Prompt", exact=True).fill("a lighthouse at dusk")
    page.get_by_role("button", name="Generate").click()
    picture = page.get_by_role("img", name="a lighthouse at dusk")
    expect(picture).to_be_visible()
    assert picture.evaluate("each => each.decode().then(() => each.naturalWidth)") == 512

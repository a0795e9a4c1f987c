"""What the form or the bridge refuses stands at its field."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.page.driving import make, start
from tests.page.expecting import expect

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from comfybridge.simulator import Simulator


def test_a_value_out_of_range_is_told_at_its_field(page: Page, comfyui: Simulator) -> None:
    field = page.get_by_label("Steps", exact=True)
    field.fill("0")
    page.get_by_role("button", name="Generate").click()
    expect(field).to_be_focused()
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_have_accessible_description(re.compile("Steps is 0; it must be an integer from 1 to 10000"))
    assert sent(comfyui) == []
    field.fill("2")
    expect(field).to_have_attribute("aria-invalid", "false")
    make(page, "mended")


def test_the_bridges_own_sentence_stands_at_the_field(page: Page, comfyui: Simulator) -> None:
    kept = comfyui.checkpoints
    model = page.get_by_label("Model", exact=True)
    expect(model).to_be_visible()
    try:
        comfyui.checkpoints = ["another.safetensors"]  # it was removed while the page was open
        page.get_by_label("Prompt", exact=True).fill("refused")
        with page.expect_response("**/generate") as answer:
            page.get_by_role("button", name="Generate").click()
        said = answer.value.json()
        assert said["field"] == "model"
        expect(model).to_have_accessible_description(re.compile(re.escape(said["error"])))
    finally:
        comfyui.checkpoints = kept
    expect(model).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_role("article")).to_have_count(0)


def test_what_no_field_is_to_blame_for_stands_in_the_gallery(page: Page, comfyui: Simulator) -> None:
    comfyui.fail_node("KSampler", "out of memory", times=1)
    card = start(page, "too much")
    expect(card).to_contain_text("out of memory")
    card.get_by_role("button", name="Run again").click()
    make(page, "enough")


def test_a_proxy_that_takes_no_large_requests_is_named(page: Page) -> None:
    page.route("**/generate", lambda route: route.fulfill(status=413, body="<h1>Request Entity Too Large</h1>"))
    expect(start(page, "large")).to_contain_text("A proxy before the bridge lets no request pass that is as large")


def sent(comfyui: Simulator) -> list[str]:
    """The prompts that ComfyUI was sent."""
    return [each.path for each in comfyui.requests if each.method == "POST" and each.path == "/prompt"]

"""axe-core finds nothing wrong with any page, in any state, light or dark, wide or as narrow as a phone.

It comes with npm: `npm install` in this folder, or `--page-tools`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.page.driving import give_key, make, picture_of, start
from tests.page.expecting import expect
from tests.page.pictures import png

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Page

    from comfybridge.simulator import Simulator
    from tests.page.bridges import Bridge
    from tests.page.driving import Open

PHONE = {"width": 320, "height": 568}
RUN = """async (options) => {
    const { violations } = await axe.run(document, { resultTypes: ["violations"], ...options });
    return violations.flatMap(({ id, nodes }) => nodes.map(({ html, failureSummary }) => [id, html, failureSummary]));
}"""


@pytest.fixture(scope="module")
def axe(request: pytest.FixtureRequest) -> str:
    file: Path = request.config.getoption("--page-tools") / "axe-core" / "axe.min.js"
    if not file.exists():
        pytest.skip("axe-core is not installed: npm install in tests/page, or --page-tools")
    return file.read_text("utf-8")


@pytest.fixture
def check(axe: str) -> Callable[[Page], None]:
    """Checks a page as it is at the moment, in light, in the dark and on a phone."""

    def check(page: Page) -> None:
        wide = page.viewport_size
        page.evaluate(axe)
        page.emulate_media(color_scheme="dark", reduced_motion="reduce")
        found = page.evaluate(RUN, {"runOnly": ["color-contrast"]})
        page.emulate_media(color_scheme="light", reduced_motion="reduce")
        found += page.evaluate(RUN, {})
        page.set_viewport_size(PHONE)
        found += page.evaluate(RUN, {})
        page.set_viewport_size(wide)
        assert found == []

    return check


def test_the_form(open_page: Open, bridge: Bridge, check: Callable[[Page], None]) -> None:
    page = open_page(bridge)
    expect(page.get_by_label("Prompt", exact=True)).to_be_visible()
    page.get_by_text("More settings").click()
    check(page)
    page.get_by_role("combobox", name="Sampler name").fill("dpm")
    expect(page.get_by_role("option", name="dpm_fast")).to_be_visible()
    check(page)
    page.keyboard.press("Escape")
    page.get_by_label("Steps", exact=True).fill("0")
    page.get_by_role("button", name="Generate").click()
    expect(page.get_by_label("Steps", exact=True)).to_have_attribute("aria-invalid", "true")
    check(page)


def test_runs_and_their_results(
    open_page: Open, bridge: Bridge, comfyui: Simulator, check: Callable[[Page], None]
) -> None:
    page = open_page(bridge)
    comfyui.hold_steps(after=2)
    card = start(page, "a mill")
    expect(card).to_contain_text("step 2")
    start(page, "behind")
    comfyui.wait_until_pending(1)
    check(page)
    comfyui.release()
    expect(picture_of(card)).to_be_visible()
    card.get_by_text("Parameters", exact=True).click()
    card.get_by_text("Copy request").click()
    check(page)
    card.get_by_text("Copy request").click()
    comfyui.fail_node("KSampler", "out of memory", times=1)
    expect(start(page, "failed")).to_contain_text("out of memory")
    card.get_by_label("Compare").check()
    make(page, "another", Steps=2).get_by_label("Compare").check()
    check(page)
    page.get_by_role("button", name="side by side").click()
    expect(page.get_by_role("dialog").get_by_role("img")).to_have_count(2)
    check(page)


def test_files_and_masks(open_page: Open, bridge: Bridge, check: Callable[[Page], None]) -> None:
    page = open_page(bridge, "/?workflow=inpaint")
    expect(page.get_by_label("Prompt", exact=True)).to_be_visible()
    check(page)
    page.get_by_label("Image", exact=True).set_input_files(
        {"name": "garden.png", "mimeType": "image/png", "buffer": png((256, 192))}
    )
    page.get_by_role("button", name="Generate").click()  # without the mask
    expect(page.get_by_label("Mask", exact=True)).to_have_attribute("aria-invalid", "true")
    check(page)
    page.get_by_role("button", name="Paint a mask").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    check(page)


def test_questions_and_notices(
    open_page: Open, guarded: Bridge, bridge: Bridge, check: Callable[[Page], None]
) -> None:
    page = open_page(guarded)
    expect(page.get_by_role("dialog")).to_be_visible()
    check(page)
    give_key(page, "wrong")
    expect(page.get_by_role("dialog", name="not known")).to_be_visible()
    check(page)
    page.keyboard.press("Escape")
    expect(page.get_by_role("main").get_by_role("button", name="Enter a key")).to_be_visible()
    check(page)
    other = open_page(bridge, "/?workflow=unknown")
    expect(other.get_by_role("alert")).to_be_visible()
    check(other)


def test_the_page_of_workflows(open_page: Open, bridge: Bridge, check: Callable[[Page], None]) -> None:
    page = open_page(bridge, "/workflows")
    card = page.get_by_role("article").first
    expect(card).to_contain_text("Ready")
    card.get_by_text("Parameters", exact=True).click()
    card.get_by_text("Request", exact=True).click()
    page.get_by_label("Find a workflow").fill(str(card.get_by_role("heading").text_content()))
    expect(page.get_by_role("article")).to_have_count(1)
    check(page)


def test_the_page_of_figures(
    open_page: Open, bridge: Bridge, comfyui: Simulator, check: Callable[[Page], None]
) -> None:
    page = open_page(bridge, "/stats")
    expect(page.get_by_role("article").first).to_be_visible()
    check(page)

"""On a phone of 320 pixels, nothing stands outside the screen, and fingers find what they press."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.page.driving import make, picture_of, start
from tests.page.expecting import expect
from tests.page.pictures import png

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

    from comfybridge.simulator import Simulator
    from tests.page.bridges import Bridge
    from tests.page.driving import Open

PHONE = {"viewport": {"width": 320, "height": 568}, "is_mobile": True, "has_touch": True, "device_scale_factor": 2}
# elements that stand outside the screen, and in nothing that scrolls by itself
OUTSIDE = """() => {
    const scrolls = (each) => each && (getComputedStyle(each).overflowX !== "visible" || scrolls(each.parentElement));
    const outside = [...document.querySelectorAll("body *")].filter((each) => {
        const { left, right, width } = each.getBoundingClientRect();
        return width > 0 && (left < -1 || right > innerWidth + 1) && !scrolls(each.parentElement);
    });
    return outside.map((each) => each.outerHTML.slice(0, 100));
}"""
# what is to be pressed, and neither itself nor its label has 24 by 24 pixels
SMALL = """() => {
    const pressed = "button, select, input:not([type=file]), summary, nav a, a.button";
    const small = [...document.querySelectorAll(pressed)].filter((each) => {
        const boxes = [each, ...(each.labels ?? [])].map((one) => one.getBoundingClientRect());
        return each.checkVisibility() && !boxes.some(({ width, height }) => width >= 24 && height >= 24);
    });
    return small.map((each) => each.outerHTML.slice(0, 100));
}"""


@pytest.fixture
def open_phone(open_page: Open) -> Callable[..., Page]:
    return lambda bridge, path="/": open_page(bridge, path, **PHONE)


def fits(page: Page) -> None:
    """Check the page as it is now."""
    assert page.evaluate("() => document.scrollingElement.scrollWidth") <= 320
    assert page.evaluate(OUTSIDE) == []
    assert page.evaluate(SMALL) == []


def test_a_picture_is_made_on_a_phone(open_phone: Callable[..., Page], bridge: Bridge, comfyui: Simulator) -> None:
    page = open_phone(bridge)
    expect(page.get_by_label("Prompt", exact=True)).to_be_visible()
    page.get_by_text("More settings").tap()
    fits(page)
    comfyui.hold_steps(after=2)
    card = start(page, "a-very-long-word-without-any-place-to-break-it-in-the-whole-of-its-length")
    expect(card).to_contain_text("step 2")
    fits(page)
    comfyui.release()
    picture = picture_of(card)
    expect(picture).to_be_in_viewport()  # the page has gone there by itself
    card.get_by_text("Parameters", exact=True).tap()
    card.get_by_text("Copy request").tap()
    fits(page)
    card.get_by_text("Copy request").tap()
    comfyui.fail_node("KSampler", "out of memory", times=1)
    expect(start(page, "failed")).to_contain_text("out of memory")
    fits(page)
    page.get_by_label("Steps", exact=True).fill("0")
    page.get_by_role("button", name="Generate").tap()
    expect(page.get_by_label("Steps", exact=True)).to_be_in_viewport()
    fits(page)


def test_pictures_are_compared_on_a_phone(open_phone: Callable[..., Page], bridge: Bridge) -> None:
    page = open_phone(bridge)
    make(page, "left").get_by_label("Compare").check()
    make(page, "right", Steps=3).get_by_label("Compare").check()
    page.get_by_role("button", name="side by side").tap()
    expect(page.get_by_role("dialog")).to_be_visible()
    fits(page)


def test_a_mask_is_painted_on_a_phone(open_phone: Callable[..., Page], bridge: Bridge) -> None:
    page = open_phone(bridge, "/?workflow=inpaint")
    picture = {"name": "garden.png", "mimeType": "image/png", "buffer": png((1024, 768))}
    page.get_by_label("Image", exact=True).set_input_files(picture)
    fits(page)
    page.get_by_role("button", name="Paint a mask").tap()
    dialog = page.get_by_role("dialog", name="Paint")
    fits(page)
    dialog.get_by_role("application").tap()
    dialog.get_by_role("button", name="Use this mask").tap()
    expect(dialog).to_have_count(0)
    fits(page)


@pytest.mark.parametrize("path", ["/workflows", "/stats"])
def test_the_other_pages_fit_a_phone(open_phone: Callable[..., Page], bridge: Bridge, path: str) -> None:
    page = open_phone(bridge, path)
    expect(page.get_by_role("article").first).to_be_visible()
    for each in page.get_by_role("article").first.locator("summary").all():
        each.tap()
    fits(page)


def test_a_key_is_given_on_a_phone(open_phone: Callable[..., Page], guarded: Bridge) -> None:
    page = open_phone(guarded)
    expect(page.get_by_role("dialog")).to_be_visible()
    fits(page)

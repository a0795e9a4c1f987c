"""Everything is done with the keyboard alone, and what happens is told to screen readers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.page.driving import card_of, drop, make, picture_of, start
from tests.page.expecting import expect

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

    from comfybridge.simulator import Simulator
    from tests.page.bridges import Bridge
    from tests.page.driving import Open

MOST_STOPS = 80


def go_to(page: Page, wanted: Locator) -> None:
    """Press Tab until an element has the focus, which must be seen all the way."""
    for _ in range(MOST_STOPS):
        page.keyboard.press("Tab")
        outline = page.evaluate(
            """() => {
                const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(document.activeElement);
                return outlineStyle !== "none" && outlineWidth !== "0px" || boxShadow !== "none";
            }"""
        )
        assert outline, page.evaluate("() => document.activeElement.outerHTML.slice(0, 200)")
        if wanted.evaluate("each => each === document.activeElement"):
            return
    raise AssertionError(f"{wanted} is never reached")


def test_a_picture_is_made_with_the_keyboard_alone(page: Page, comfyui: Simulator) -> None:
    expect(page.get_by_label("Prompt", exact=True)).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    go_to(page, page.get_by_label("Prompt", exact=True))
    page.keyboard.press("Control+a")
    page.keyboard.type("a lamp")
    go_to(page, page.get_by_label("Steps", exact=True))
    page.keyboard.type("3")
    go_to(page, page.get_by_role("button", name="Generate"))
    page.keyboard.press("Enter")
    card = card_of(page, "a lamp")
    expect(picture_of(card)).to_be_visible()
    go_to(page, card.get_by_role("button", name="Run again"))
    page.keyboard.press("Space")
    expect(page.get_by_label("Prompt", exact=True)).to_be_focused()


def test_a_request_is_sent_from_the_prompt(page: Page) -> None:
    page.get_by_label("Prompt", exact=True).fill("quickly")
    page.keyboard.press("Control+Enter")
    expect(picture_of(card_of(page, "quickly"))).to_be_visible()


def test_the_menu_that_copies_is_used_with_the_keyboard(page: Page) -> None:
    card = make(page, "a menu", Steps=1)
    menu = card.get_by_text("Copy request")
    menu.focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(card.get_by_role("button", name="As curl")).to_be_focused()
    page.keyboard.press("Enter")
    expect(menu).to_be_focused()
    assert "a menu" in page.evaluate("() => navigator.clipboard.readText()")
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    expect(card.get_by_role("button", name="As curl")).to_be_hidden()


def test_the_focus_stays_when_a_run_ends(page: Page, comfyui: Simulator) -> None:
    comfyui.hold_steps(after=1)
    card = start(page, "focused")
    expect(card).to_contain_text("Running")
    card.get_by_role("button", name="Cancel").focus()
    comfyui.release()
    expect(picture_of(card)).to_be_visible()
    assert card.evaluate("each => each.contains(document.activeElement)")


def test_the_focus_stays_on_what_was_pressed(page: Page, comfyui: Simulator) -> None:
    comfyui.hold_steps(after=1)
    page.get_by_label("Prompt", exact=True).fill("pressed")
    page.get_by_role("button", name="Generate").press("Enter")
    card = card_of(page, "pressed")
    expect(card).to_contain_text("Running")
    expect(page.get_by_role("button", name="Generate")).to_be_focused()
    card.get_by_role("button", name="Cancel").press("Enter")
    expect(card.get_by_role("button", name="Remove")).to_be_visible()
    assert card.evaluate("each => each.contains(document.activeElement)")


def test_the_focus_goes_back_when_a_notice_is_dismissed(page: Page) -> None:
    opener = page.get_by_role("button", name="Open a workflow")
    opener.focus()
    drop(page, "notes.json", b"{", "application/json")
    page.get_by_role("button", name="Dismiss").press("Enter")
    expect(page.get_by_role("alert")).to_have_count(0)
    expect(opener).to_be_focused()


def test_what_happens_is_told_politely(page: Page, comfyui: Simulator) -> None:
    said = page.get_by_role("status")
    comfyui.hold_steps(after=1)
    start(page, "heard")
    expect(said.filter(has_text="heard: Running")).to_have_count(1)
    comfyui.release()
    expect(said.filter(has_text="heard: Ready")).to_have_count(1)


def test_what_happens_at_the_same_time_is_told_together(page: Page, comfyui: Simulator) -> None:
    comfyui.hold()
    for prompt in ("one", "two"):
        expect(start(page, prompt).get_by_role("button", name="Cancel")).to_be_visible()
    comfyui.wait_until_pending(1)
    page.evaluate(
        """() => {
            window.heard = "";
            const region = document.querySelector("[aria-live]");
            new MutationObserver(() => (window.heard += region.textContent)).observe(region, { childList: true });
            for (const each of document.querySelectorAll(".run button")) each.click();
        }"""
    )
    for prompt in ("one", "two"):
        page.wait_for_function("(prompt) => window.heard.includes(`${prompt}: Cancelled`)", arg=prompt)


def test_motion_is_reduced_where_a_person_wants_it(open_page: Open, bridge: Bridge, comfyui: Simulator) -> None:
    page = open_page(bridge, reduced_motion="reduce")
    comfyui.hold_steps(after=1)
    expect(start(page, "still")).to_contain_text("step 1")
    moving = "() => document.getAnimations().filter((each) => each.effect.getComputedTiming().duration > 10).length"
    assert page.evaluate(moving) == 0

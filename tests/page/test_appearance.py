"""What a person has chosen, opened or is to read stands where it can be seen, also in the colours of their system."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.page.driving import choose_workflow
from tests.page.expecting import expect
from tests.page.pictures import png

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

    from tests.page.bridges import Bridge
    from tests.page.driving import Open

PHONE = {"viewport": {"width": 320, "height": 568}, "is_mobile": True, "has_touch": True}
BACKGROUND = "each => getComputedStyle(each).backgroundColor"


def top_of(element: Locator) -> float:
    box = element.bounding_box()
    assert box is not None
    return box["y"]


def bottom_of(element: Locator) -> float:
    box = element.bounding_box()
    assert box is not None
    return box["y"] + box["height"]


def test_a_list_opens_above_the_button_at_the_end(page: Page) -> None:
    choose_workflow(page, "inpaint")
    page.get_by_text("More settings").click()
    box = page.get_by_role("combobox", name="Sampler name")
    box.evaluate("each => each.scrollIntoView({ block: 'end' })")
    box.press("ArrowDown")
    choices = page.get_by_role("listbox", name="Choices")
    expect(choices.get_by_role("option").first).to_be_visible()
    assert bottom_of(choices) <= top_of(page.get_by_role("button", name="Generate"))


def test_what_is_chosen_differs_in_the_colours_of_the_system(open_page: Open, bridge: Bridge) -> None:
    page = open_page(bridge, "/?workflow=inpaint", forced_colors="active")
    page.get_by_label("Image", exact=True).set_input_files(
        {"name": "garden.png", "mimeType": "image/png", "buffer": png()}
    )
    generate, workflows = (page.get_by_role("link", name=name, exact=True) for name in ("Generate", "Workflows"))
    assert generate.evaluate(BACKGROUND) != workflows.evaluate(BACKGROUND)
    page.get_by_role("button", name="Paint a mask").click()
    paint, erase = (page.get_by_role("button", name=name, exact=True) for name in ("Paint", "Erase"))
    assert paint.evaluate(BACKGROUND) != erase.evaluate(BACKGROUND)


def test_a_phone_shows_no_place_for_samples_that_are_not_there(open_page: Open, bridge: Bridge) -> None:
    page = open_page(bridge, "/workflows", **PHONE)
    card = page.get_by_role("article", name="edit", exact=True)
    expect(card).to_contain_text("Ready")
    expect(card.get_by_role("link", name="Use it")).to_be_visible()
    expect(card.get_by_text("No sample yet")).to_be_hidden()
    assert bottom_of(card) - top_of(card) < 400

"""What a person does on the page, by what a screen reader would call the things that are used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.page.expecting import expect

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page


def start(page: Page, prompt: str, **numbers: int) -> Locator:
    """Fill the form in, and start it; returns the card in the gallery.

    Args:
        numbers: other fields by their labels, with `_` for spaces.
    """
    page.get_by_label("Prompt", exact=True).fill(prompt)
    for name, value in numbers.items():
        page.get_by_label(name.replace("_", " "), exact=True).fill(str(value))
    page.get_by_role("button", name="Generate").click()
    return card_of(page, prompt)


def make(page: Page, prompt: str, **numbers: int) -> Locator:
    """As `start`; waits until the picture is there."""
    card = start(page, prompt, **numbers)
    expect(picture_of(card)).to_be_visible()
    return card


def card_of(page: Page, prompt: str) -> Locator:
    """The newest card with a prompt."""
    return page.get_by_role("article").filter(has=page.get_by_role("heading", name=prompt, exact=True)).first


def picture_of(card: Locator) -> Locator:
    """The first picture that a card shows, of the finished ones."""
    return card.locator("img:not(.run-preview)").first


def width_of(picture: Locator) -> int:
    """The width of a loaded picture, in pixels."""
    return int(picture.evaluate("each => each.decode().then(() => each.naturalWidth)"))


def choose_workflow(page: Page, name: str) -> None:
    page.get_by_label("Workflow", exact=True).select_option(name)


def chosen_workflow(page: Page) -> Locator:
    """The choice that stands in the list of workflows."""
    return page.get_by_label("Workflow", exact=True).locator("option:checked")

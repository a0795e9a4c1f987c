"""What a person does on the page, by what a screen reader would call the things that are used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.page.expecting import expect

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Locator, Page

    Open = Callable[..., Page]  # what the fixture `open_page` gives


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


def copied(card: Locator, language: str) -> str:
    """What the clipboard holds after a request was copied."""
    card.get_by_text("Copy request").click()
    card.get_by_role("button", name=f"As {language}").click()
    expect(card.page.get_by_role("status").filter(has_text=f"Copied as {language}")).to_have_count(1)
    return str(card.page.evaluate("() => navigator.clipboard.readText()"))


def give_key(page: Page, key: str) -> None:
    """Answer the question for a key."""
    page.get_by_role("dialog").get_by_label("API key").fill(key)
    page.get_by_role("button", name="Use this key").click()


def drop(page: Page, name: str, data: bytes, media_type: str, onto: Locator | None = None) -> None:
    """Drop a file onto the page, or onto a field."""
    drop_all(page, {name: data}, media_type, onto)


def drop_all(page: Page, files: dict[str, bytes], media_type: str, onto: Locator | None = None) -> None:
    """Drop several files at once, given by their names."""
    expect(page.get_by_role("button", name="Generate")).to_be_visible()
    place = page.get_by_role("main") if onto is None else onto
    given = page.evaluate_handle(
        """([files, type]) => {
            const given = new DataTransfer();
            for (const [name, bytes] of files) given.items.add(new File([new Uint8Array(bytes)], name, { type }));
            return given;
        }""",
        [[[name, list(data)] for name, data in files.items()], media_type],
    )
    for kind in ("dragenter", "dragover", "drop"):
        place.dispatch_event(kind, {"dataTransfer": given, "bubbles": True, "cancelable": True})

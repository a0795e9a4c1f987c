"""Browsers may keep a page that was left as it is, and show it again when a person goes back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.page.chromium import path_of_chromium
from tests.page.driving import give_key, make
from tests.page.expecting import expect
from tests.page.guarded import SHOP

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, BrowserContext

    from tests.page.bridges import Bridge

# playwright switches it off
PAGES_KEPT = "--disable-back-forward-cache"


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A window of a browser that keeps pages which were left."""
    started = browser.browser_type.launch(executable_path=path_of_chromium(), ignore_default_args=[PAGES_KEPT])
    yield started.new_context(locale="en-GB")
    started.close()


def test_a_key_that_was_forgotten_stays_forgotten(context: BrowserContext, guarded: Bridge) -> None:
    page = context.new_page()
    page.goto(guarded.url)
    give_key(page, SHOP)
    make(page, "of the shop", Steps=1)
    page.get_by_role("link", name="Workflows").click()
    page.get_by_role("button", name="Forget key").click()
    expect(page.get_by_role("dialog", name="This bridge wants an API key")).to_be_visible()
    page.evaluate("() => history.back()")
    expect(page).to_have_title("ComfyBridge")
    expect(page.get_by_role("dialog", name="This bridge wants an API key")).to_be_visible()
    expect(page.get_by_role("article")).to_have_count(0)

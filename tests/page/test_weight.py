"""The page is light, and comes from the browser's cache when it is opened again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from comfybridge.web.page.files import page_files
from tests.page.expecting import expect

if TYPE_CHECKING:
    from playwright.sync_api import Page

MOST = 150_000  # bytes
FILES = """() => performance.getEntriesByType("resource").filter(({ name }) => name.includes("/page/"))
    .map(({ transferSize, encodedBodySize }) => [transferSize, encodedBodySize])"""


def test_all_that_is_sent_is_light(page: Page) -> None:
    expect(page.get_by_label("Prompt", exact=True)).to_be_visible()
    loaded = page.evaluate(FILES)
    assert 0 < sum(encoded for _, encoded in loaded) < MOST
    files = page_files()
    everything = [*files.pages.values(), *files.others.values()]
    assert sum(len(each.compressed or each.content) for each in everything) < MOST


def test_files_are_sent_once(page: Page) -> None:
    expect(page.get_by_label("Prompt", exact=True)).to_be_visible()
    page.reload()
    expect(page.get_by_label("Prompt", exact=True)).to_be_visible()
    assert {transferred for transferred, _ in page.evaluate(FILES)} == {0}

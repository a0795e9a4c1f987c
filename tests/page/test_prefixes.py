"""The page works wherever a proxy puts it, also if the bridge was not told of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.page.driving import card_of, choose_workflow, make, picture_of, width_of
from tests.page.expecting import expect
from tests.page.prefixes import PrefixProxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import BrowserContext

    from tests.page.bridges import Bridge
    from tests.page.watch import Watch


@pytest.fixture
def proxy(bridge: Bridge) -> Iterator[PrefixProxy]:
    proxy = PrefixProxy(int(bridge.url.rpartition(":")[2]))
    yield proxy
    proxy.close()


def test_everything_works_below_a_path(
    open_context: Callable[..., tuple[BrowserContext, Watch]], proxy: PrefixProxy
) -> None:
    context, _ = open_context(proxy.url.partition("/pictures")[0])
    page = context.new_page()
    page.goto(f"{proxy.url}/")
    card = make(page, "below a path", Steps=2)
    assert width_of(picture_of(card)) == 512
    link = str(card.get_by_role("link", name="Download").get_attribute("href"))
    assert link.startswith(f"{proxy.url}/files/")
    assert page.request.get(link).body()[:4] == b"\x89PNG"
    choose_workflow(page, "sdxl")
    expect(page).to_have_url(f"{proxy.url}/?workflow=sdxl")
    page.reload()
    assert width_of(picture_of(card_of(page, "below a path"))) == 512
    for name in ("Workflows", "Stats", "Generate"):
        page.get_by_role("link", name=name, exact=True).click()
        expect(page.get_by_role("article").first).to_be_visible()

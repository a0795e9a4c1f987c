"""Where the bridge wants a key, the page asks for it, and keeps it in its tab only."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.page.driving import card_of, copied, give_key, make, picture_of, start
from tests.page.expecting import expect
from tests.page.guarded import API_KEYS, GUEST, POLICIES, PRESS, SHOP

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import BrowserContext

    from tests.page.bridges import Bridge
    from tests.page.driving import Open
    from tests.page.watch import Watch


def test_a_key_is_asked_for_and_used(open_page: Open, guarded: Bridge) -> None:
    page = open_page(guarded)
    dialog = page.get_by_role("dialog", name="This bridge wants an API key")
    expect(dialog.get_by_label("API key")).to_be_focused()
    give_key(page, "wrong")
    expect(page.get_by_role("dialog", name="not known")).to_be_visible()
    give_key(page, SHOP)
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("banner")).to_contain_text("shop")
    make(page, "with a key", Steps=1)


def test_the_key_stays_in_its_tab_and_in_headers(
    open_context: Callable[..., tuple[BrowserContext, Watch]], guarded: Bridge
) -> None:
    context, watch = open_context(guarded.url)
    page = context.new_page()
    page.goto("/")
    give_key(page, SHOP)
    card = make(page, "a secret", Steps=1)
    assert SHOP not in copied(card, "curl")
    assert SHOP in page.evaluate("() => JSON.stringify(sessionStorage)")
    assert SHOP not in page.evaluate("() => JSON.stringify(localStorage) + document.cookie + location.href")
    assert not [each.url for each in watch.requests if SHOP in each.url]
    with_key = {urlsplit(each.url).path for each in watch.requests if has_key(each.headers)}
    assert {"/policy", "/workflows", "/generate"} <= with_key
    assert not [path for path in with_key if path.startswith(("/page/", "/files/"))]
    page.reload()
    expect(picture_of(card_of(page, "a secret"))).to_be_visible()  # without asking again
    other = context.new_page()
    other.goto("/")
    expect(other.get_by_role("dialog", name="This bridge wants an API key")).to_be_visible()


def has_key(headers: dict[str, str]) -> bool:
    return headers.get("authorization") == f"Bearer {SHOP}"


def test_a_key_is_forgotten(open_page: Open, guarded: Bridge) -> None:
    page = open_page(guarded)
    give_key(page, SHOP)
    page.get_by_role("button", name="Forget key").click()
    expect(page.get_by_role("dialog", name="This bridge wants an API key")).to_be_visible()
    assert SHOP not in page.evaluate("() => JSON.stringify(sessionStorage)")


def test_whoever_gives_no_key_may_give_one_later(open_page: Open, guarded: Bridge) -> None:
    page = open_page(guarded)
    expect(page.get_by_role("dialog").get_by_label("API key")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.get_by_role("main").get_by_role("button", name="Enter a key").click()
    give_key(page, SHOP)
    make(page, "later", Steps=1)


def test_each_owner_has_a_gallery(open_page: Open, guarded: Bridge) -> None:
    page = open_page(guarded)
    give_key(page, SHOP)
    make(page, "of the shop", Steps=1)
    page.get_by_role("button", name="Forget key").click()
    give_key(page, PRESS)
    expect(page.get_by_role("banner")).to_contain_text("press")
    expect(page.get_by_role("heading", name="Gallery")).to_be_visible()
    expect(page.get_by_role("article")).to_have_count(0)


def test_the_page_is_that_of_the_key_which_takes_the_place_of_another(
    open_page: Open, start_bridge: Callable[..., Bridge], tmp_path: Path
) -> None:
    (tmp_path / "policies.yaml").write_text(POLICIES)
    bridge = start_bridge(API_KEYS=API_KEYS, POLICY_FILE=str(tmp_path / "policies.yaml"))
    page = open_page(bridge)
    give_key(page, SHOP)
    make(page, "of the shop", Steps=1)
    bridge.kill()
    bridge.start_again(API_KEYS=f"shop=another-long-key-of-the-shop,guest={GUEST}")
    start(page, "with a new key", Steps=1)
    give_key(page, "another-long-key-of-the-shop")
    expect(picture_of(card_of(page, "with a new key"))).to_be_visible()
    expect(page.get_by_role("banner")).to_contain_text("Key: shop")
    bridge.kill()
    bridge.start_again(API_KEYS=f"guest={GUEST}")
    start(page, "of the guest", Steps=1)
    give_key(page, GUEST)
    expect(page.get_by_role("banner")).to_contain_text("Key: guest")
    expect(page.get_by_label("Workflow", exact=True).locator("option")).to_have_text(["txt2img"])
    expect(page.get_by_role("article").filter(has_text="shop")).to_have_count(0)


@pytest.mark.parametrize("path", ["/workflows", "/stats"])
def test_the_other_pages_ask_too(open_page: Open, guarded: Bridge, path: str) -> None:
    page = open_page(guarded, path)
    give_key(page, SHOP)
    expect(page.get_by_role("article").first).to_be_visible()

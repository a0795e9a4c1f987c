"""The rules that a browser holds the page to: no script but the bridge's own, and no origin but the bridge's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.page.driving import card_of, make
from tests.page.expecting import expect

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import BrowserContext, Page

    from tests.page.bridges import Bridge
    from tests.page.watch import Watch

MARKUP = "<img src=x onerror=document.title='run'><script>document.title='run'</script>"


def test_texts_of_callers_are_texts(page: Page) -> None:
    make(page, MARKUP, Steps=1)
    page.reload()
    expect(card_of(page, MARKUP)).to_be_visible()
    expect(page).to_have_title("ComfyBridge")


def test_foreign_scripts_and_origins_are_stopped(
    open_context: Callable[..., tuple[BrowserContext, Watch]], bridge: Bridge
) -> None:
    context, watch = open_context(bridge.url)
    page = context.new_page()
    page.goto("/")
    expect(page.get_by_label("Prompt", exact=True)).to_be_visible()
    assert watch.faults == []
    page.evaluate(
        """() => {
            const script = document.createElement("script");
            script.textContent = "document.title = 'run'";
            document.body.append(script);
            const styled = document.createElement("p");
            styled.setAttribute("style", "color: red");
            document.body.append(styled);
        }"""
    )
    refused = page.evaluate("() => fetch('http://localhost:9/').then(() => '', (error) => error.name)")
    assert refused == "TypeError"
    expect(page).to_have_title("ComfyBridge")
    for rule in ("script-src", "style-src", "connect-src"):
        assert any("Content Security Policy" in fault and rule in fault for fault in watch.faults)
    watch.faults.clear()


def test_the_page_is_not_shown_in_frames_of_others(
    open_context: Callable[..., tuple[BrowserContext, Watch]], bridge: Bridge
) -> None:
    context, watch = open_context(bridge.url)
    page = context.new_page()
    page.goto("/health")
    with page.expect_console_message(lambda said: "frame-ancestors" in said.text):
        page.set_content(f"<iframe src='{bridge.url}/'></iframe>")
    watch.faults.clear()

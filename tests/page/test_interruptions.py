"""Runs that are cancelled, and runs that outlive their connection, their bridge or their page."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.fleet.proxy import Proxy
from tests.page.bridges import Bridge
from tests.page.driving import card_of, make, picture_of, start, width_of
from tests.page.expecting import expect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Page

    from comfybridge.simulator import Simulator
    from tests.page.driving import Open


def test_a_running_prompt_is_cancelled(page: Page, comfyui: Simulator) -> None:
    comfyui.hold_steps(after=2)
    card = start(page, "unwanted")
    expect(card).to_contain_text("step 2")
    card.get_by_role("button", name="Cancel").click()
    expect(card).to_contain_text("Cancelled")
    expect(card.get_by_role("progressbar")).to_have_count(0)
    comfyui.wait_until_idle()


def test_a_waiting_prompt_is_cancelled(page: Page, comfyui: Simulator) -> None:
    before = len(comfyui.history)
    comfyui.hold()
    ahead = start(page, "ahead")
    comfyui.wait_until_queued(1)
    behind = start(page, "unwanted")
    comfyui.wait_until_pending(1)
    behind.get_by_role("button", name="Cancel").click()
    expect(behind).to_contain_text("Cancelled")
    comfyui.release()
    expect(picture_of(ahead)).to_be_visible()
    comfyui.wait_until_idle()
    assert len(comfyui.history) == before + 1


def test_a_bridge_is_killed_and_started_again_while_it_runs(
    open_page: Open, start_bridge: Callable[..., Bridge], comfyui: Simulator
) -> None:
    bridge = start_bridge()
    page = open_page(bridge)
    before = len(comfyui.history)
    comfyui.hold_steps(after=3)
    card = start(page, "patience")
    expect(card).to_contain_text("step 3")
    bridge.kill()
    expect(card).to_contain_text("The connection to the bridge is lost")
    bridge.start_again()
    expect(card).not_to_contain_text("The connection to the bridge is lost")
    comfyui.release()
    expect(picture_of(card)).to_be_visible()
    assert len(comfyui.history) == before + 1  # it was queued once


def test_a_bridge_is_started_again_after_the_prompt_has_ended(
    open_page: Open, start_bridge: Callable[..., Bridge], comfyui: Simulator
) -> None:
    bridge = start_bridge()
    page = open_page(bridge)
    before = len(comfyui.history)
    comfyui.hold_steps(after=3)
    card = start(page, "meanwhile")
    expect(card).to_contain_text("step 3")
    bridge.kill()
    comfyui.release()
    comfyui.wait_until_idle()
    bridge.start_again()
    expect(picture_of(card)).to_be_visible()
    assert len(comfyui.history) == before + 1


@pytest.fixture
def network(bridge: Bridge) -> Iterator[Proxy]:
    """What lies between the browser and the bridge."""
    proxy = Proxy(int(bridge.url.rpartition(":")[2]))
    yield proxy
    proxy.close()


def test_a_lost_connection_goes_on_by_itself(open_page: Open, network: Proxy, comfyui: Simulator) -> None:
    page = open_page(f"http://127.0.0.1:{network.port}")
    before = len(comfyui.history)
    comfyui.hold_steps(after=3)
    card = start(page, "far away")
    expect(card).to_contain_text("step 3")
    network.reset()
    expect(card).to_contain_text("The connection to the bridge is lost")
    expect(card).to_contain_text("Running")
    comfyui.release()
    expect(picture_of(card)).to_be_visible()
    assert len(comfyui.history) == before + 1


def test_a_page_that_is_loaded_again_follows_what_runs(page: Page, comfyui: Simulator) -> None:
    before = len(comfyui.history)
    comfyui.hold_steps(after=3)
    expect(start(page, "long")).to_contain_text("step 3")
    page.reload()
    card = card_of(page, "long")
    expect(card).to_contain_text("Running")
    comfyui.release()
    expect(picture_of(card)).to_be_visible()
    assert len(comfyui.history) == before + 1


def test_the_form_stays_free_while_it_runs(page: Page, comfyui: Simulator) -> None:
    comfyui.hold()
    first = start(page, "one")
    second = start(page, "two")
    comfyui.release()
    expect(picture_of(first)).to_be_visible()
    expect(picture_of(second)).to_be_visible()
    make(page, "three")


def test_a_run_of_a_tab_that_was_closed_shows_its_result_in_another(
    open_page: Open, bridge: Bridge, comfyui: Simulator
) -> None:
    page = open_page(bridge)
    page.clock.install()
    page.reload()
    other = page.context.new_page()
    other.goto("/")
    comfyui.hold_steps(after=2)
    expect(start(other, "left alone")).to_contain_text("step 2")
    card = card_of(page, "left alone")
    expect(card).to_contain_text("It runs in another tab")
    other.close()
    comfyui.release()
    comfyui.wait_until_idle()
    page.clock.fast_forward(61_000)
    expect(picture_of(card)).to_be_visible()


def test_what_came_is_shown_once_the_bridge_answers_again(page: Page) -> None:
    make(page, "kept", Steps=1)
    go_away(page)
    page.reload()
    card = card_of(page, "kept")
    expect(card).to_contain_text("The bridge does not answer")
    page.unroute_all()
    assert width_of(picture_of(card)) == 512
    expect(card).not_to_contain_text("does not answer")


def test_a_picture_that_does_not_come_is_no_broken_one(page: Page) -> None:
    page.clock.install()
    page.reload()
    expect(page.get_by_label("Prompt", exact=True)).to_be_visible()
    go_away(page)
    card = start(page, "lost", Steps=1)
    expect(card).to_contain_text("The bridge does not answer")
    expect(card).not_to_contain_text("can't show it")
    page.unroute_all()
    page.clock.fast_forward(61_000)
    expect(card).not_to_contain_text("does not answer")
    assert width_of(picture_of(card)) == 512


def go_away(page: Page) -> None:
    """Lose all calls that tell whether the bridge is there, and what was made."""
    page.route(re.compile(r"/(ready|results/[\w-]+|files/.*)$"), lambda route: route.abort())

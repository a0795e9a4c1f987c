"""More runs at a time than a browser opens connections to a host."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.page.driving import picture_of, start
from tests.page.expecting import expect

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from comfybridge.simulator import Simulator

RUNS = 7  # browsers open six connections


def test_one_of_many_runs_is_cancelled_at_once_and_the_others_end(page: Page, comfyui: Simulator) -> None:
    comfyui.hold()
    cards = [start(page, f"picture {number}", Steps=2, Seed=number) for number in range(RUNS)]
    comfyui.wait_until_queued(RUNS)
    cards[-2].get_by_role("button", name="Cancel").click()
    expect(cards[-2].get_by_text("Cancelled while it waited in the queue.")).to_be_visible()
    comfyui.release()
    for card in [*cards[:-2], cards[-1]]:
        expect(picture_of(card)).to_be_visible()
    expect(cards[-2].get_by_role("button", name="Remove")).to_be_visible()

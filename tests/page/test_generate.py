"""From an empty page to a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import requests

from tests.page.driving import card_of, make, picture_of, start, width_of
from tests.page.expecting import expect
from tests.page.runs import last_inputs, last_texts

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from comfybridge.simulator import Simulator
    from tests.page.bridges import Bridge


def test_a_prompt_becomes_a_picture(page: Page) -> None:
    page.get_by_label("Prompt", exact=True).fill("a lighthouse at dusk")
    page.get_by_role("button", name="Generate").click()
    picture = page.get_by_role("img", name="a lighthouse at dusk")
    expect(picture).to_be_visible()
    assert width_of(picture) == 512


def test_what_the_form_holds_is_what_runs(page: Page, comfyui: Simulator) -> None:
    page.get_by_text("More settings").click()
    page.get_by_role("combobox", name="Sampler name").fill("heunpp")
    page.get_by_role("option", name="heunpp2").click()
    page.get_by_label("CFG").fill("6.5")
    page.get_by_label("Negative prompt").fill("fog")
    card = make(page, "a pier", Steps=7, Width=256, Height=192)
    assert width_of(picture_of(card)) == 256
    sampler = last_inputs(comfyui, "KSampler")
    assert (sampler["steps"], sampler["cfg"], sampler["sampler_name"]) == (7, 6.5, "heunpp2")
    assert last_texts(comfyui) == {"a pier", "fog"}


def test_a_preset_fills_the_fields_that_it_sets(page: Page, comfyui: Simulator) -> None:
    quality, steps = page.get_by_label("Quality", exact=True), page.get_by_label("Steps", exact=True)
    expect(quality.locator("option:checked")).to_have_text("medium")
    quality.select_option("high")
    expect(steps).to_have_value("40")
    expect(quality.locator("option:checked")).to_have_text("high")
    make(page, "fine")
    assert last_inputs(comfyui, "KSampler")["steps"] == 40
    steps.fill("7")
    expect(quality.locator("option:checked")).to_have_text("As set below")
    quality.focus()
    page.keyboard.press("ArrowDown")
    expect(steps).to_have_value("10")


def test_a_seed_is_drawn_or_kept(page: Page, comfyui: Simulator) -> None:
    def seed() -> int:
        return int(last_inputs(comfyui, "KSampler")["seed"])

    make(page, "first", Steps=1)
    drawn = seed()
    make(page, "second")
    assert seed() != drawn
    drawn = seed()
    page.get_by_label("Draw a new one each time").uncheck()  # which keeps the last one
    make(page, "third")
    assert seed() == drawn
    largest = 2**64 - 1  # JavaScript's numbers can't hold it
    make(page, "fourth", Seed=largest)
    assert seed() == largest
    expect(card_of(page, "fourth")).to_contain_text(str(largest))


def test_progress_is_told_while_it_runs(page: Page, comfyui: Simulator) -> None:
    comfyui.hold_steps(after=5)
    card = start(page, "a slow one", Steps=20)
    bar = card.get_by_role("progressbar")
    expect(card).to_contain_text("step 5 of 20")
    assert 0 < float(bar.get_attribute("value") or 0) < 100
    expect(card.get_by_alt_text("Preview")).to_be_visible()
    expect(card).to_contain_text("The bridge gives up at")
    comfyui.release()
    expect(picture_of(card)).to_be_visible()
    expect(bar).to_have_count(0)


def test_the_place_in_the_queue_is_told(page: Page, comfyui: Simulator, bridge: Bridge) -> None:
    comfyui.hold()
    ahead = start(page, "ahead")
    comfyui.wait_until_queued(1)
    expect(ahead).to_contain_text("Running")
    behind = start(page, "behind")
    expect(behind).to_contain_text("Waiting in the queue, place 1")
    comfyui.release()
    expect(picture_of(behind)).to_be_visible()
    assert requests.get(f"{bridge.url}/queue", timeout=10).json()["pending"] == []

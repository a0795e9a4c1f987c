"""What stands in the form stays there over a reload, and over a visit to another page of the bridge."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests import ROOT
from tests.page.driving import choose_workflow, chosen_workflow, drop, give_key, make
from tests.page.expecting import expect
from tests.page.guarded import PRESS, SHOP
from tests.page.runs import last_inputs

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from comfybridge.simulator import Simulator
    from tests.page.bridges import Bridge
    from tests.page.driving import Open

GRAPH = json.loads((ROOT / "workflows" / "txt2img.json").read_text())
LARGE_SEED = 2**63 + 1  # which a JavaScript number cannot hold


def test_the_form_of_a_dropped_graph_stays_over_a_reload(page: Page, comfyui: Simulator) -> None:
    drop(page, "mine.json", json.dumps(GRAPH).encode(), "application/json")
    expect(chosen_workflow(page)).to_have_text("mine.json")
    page.get_by_label("Steps", exact=True).fill("7")
    page.get_by_label("Seed", exact=True).fill(str(LARGE_SEED))
    page.reload()
    expect(chosen_workflow(page)).to_have_text("mine.json")
    expect(page.get_by_label("Steps", exact=True)).to_have_value("7")
    make(page, "after a reload")
    sampler = last_inputs(comfyui, "KSampler")
    assert (sampler["steps"], sampler["seed"]) == (7, LARGE_SEED)


def test_what_was_typed_stays_over_a_visit_to_another_page(page: Page) -> None:
    choose_workflow(page, "sdxl")
    expect(page).to_have_url(f"{page.url.partition('?')[0]}?workflow=sdxl")
    page.get_by_label("Prompt", exact=True).fill("half of a thought")
    page.get_by_role("link", name="Stats").click()
    expect(page.get_by_role("article").first).to_be_visible()
    page.get_by_role("link", name="Generate", exact=True).click()
    expect(chosen_workflow(page)).to_have_text("sdxl")
    expect(page.get_by_label("Prompt", exact=True)).to_have_value("half of a thought")
    page.goto("/?workflow=txt2img")  # a link wins over what was kept
    expect(chosen_workflow(page)).to_have_text("txt2img")
    expect(page.get_by_label("Prompt", exact=True)).not_to_have_value("half of a thought")


def test_what_was_typed_is_forgotten_with_the_key(open_page: Open, guarded: Bridge) -> None:
    page = open_page(guarded)
    give_key(page, SHOP)
    page.get_by_label("Prompt", exact=True).fill("a secret of the shop")
    page.get_by_role("button", name="Forget key").click()
    for key in (PRESS, SHOP):
        give_key(page, key)
        expect(page.get_by_label("Prompt", exact=True)).not_to_have_value("a secret of the shop")
        page.get_by_role("button", name="Forget key").click()
    assert page.evaluate("() => Object.values(sessionStorage).join()") == ""

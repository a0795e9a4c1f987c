"""What a caller may not do is not offered."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.page.driving import drop, give_key, make, start
from tests.page.expecting import expect
from tests.page.guarded import GUEST
from tests.page.pictures import png

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.page.bridges import Bridge
    from tests.page.driving import Open


@pytest.fixture
def narrow(open_page: Open, guarded: Bridge) -> Page:
    """The page with a key that may do little."""
    page = open_page(guarded)
    give_key(page, GUEST)
    expect(page.get_by_label("Prompt", exact=True)).to_be_visible()
    return page


def test_only_the_keys_workflows_are_offered(narrow: Page) -> None:
    expect(narrow.get_by_label("Workflow", exact=True).locator("option")).to_have_text(["txt2img"])
    expect(narrow.get_by_role("button", name="Open a workflow")).to_have_count(0)
    expect(narrow.get_by_role("link", name="Stats")).to_have_count(0)
    drop(narrow, "graph.json", b"{}", "application/json")
    expect(narrow.get_by_role("alert")).to_contain_text("may not")
    narrow.goto("/workflows")
    expect(narrow.get_by_role("article")).to_have_count(1)
    narrow.goto("/stats")
    expect(narrow.get_by_role("main")).to_contain_text("may not")


def test_ranges_are_those_of_the_key(narrow: Page) -> None:
    narrow.get_by_label("Steps", exact=True).fill("31")
    narrow.get_by_role("button", name="Generate").click()
    sentence = re.compile("31.*from 1 to 30")
    expect(narrow.get_by_label("Steps", exact=True)).to_have_accessible_description(sentence)
    make(narrow, "within", Steps=30, Width=64, Height=64)


def test_the_form_begins_with_what_the_key_may_do(narrow: Page) -> None:
    expect(narrow.get_by_label("Width", exact=True)).to_have_value("256")  # the workflow's own is 512
    qualities = narrow.get_by_label("Quality", exact=True).locator("option")
    expect(qualities).to_have_text(["As set below", "low", "medium"])  # the high one takes 40 steps
    narrow.goto("/workflows")
    card = narrow.get_by_role("article")
    card.get_by_text("Parameters", exact=True).click()
    expect(card.get_by_role("row").filter(has_text="sampling steps")).to_contain_text("integer, 1 to 30")


def test_a_limit_of_two_fields_is_told_at_one(narrow: Page) -> None:
    start(narrow, "too many pixels", Width=256, Height=256)
    field = narrow.get_by_label("Width", exact=True)
    expect(field).to_have_accessible_description(re.compile("256 × 256 are 65,536 pixels; at most 16,384"))
    expect(narrow.get_by_role("article")).to_have_count(0)


def test_a_picture_without_a_place_is_refused(narrow: Page) -> None:
    drop(narrow, "pond.png", png(), "image/png")
    expect(narrow.get_by_role("alert")).to_contain_text("pond.png")

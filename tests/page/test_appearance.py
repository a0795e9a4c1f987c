"""What a person has chosen, opened or is to read stands where it can be seen, also in the colours of their system."""

from __future__ import annotations

import json
import re
import shutil
from typing import TYPE_CHECKING

from tests import ROOT
from tests.page.driving import choose_workflow, chosen_workflow, drop, make, picture_of
from tests.page.expecting import expect
from tests.page.pictures import png

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Locator, Page

    from tests.page.bridges import Bridge
    from tests.page.driving import Open

PHONE = {"viewport": {"width": 320, "height": 568}, "is_mobile": True, "has_touch": True}
# how far the end of a line is from the right edge of what it stands in
GAP_AT_THE_RIGHT = """each => {
    const range = document.createRange();
    range.selectNodeContents(each);
    return each.getBoundingClientRect().right - range.getBoundingClientRect().right;
}"""
# how far down a word stands
END_OF_WORD = """(each, word) => {
    const range = document.createRange();
    const start = each.textContent.indexOf(word);
    range.setStart(each.firstChild, start);
    range.setEnd(each.firstChild, start + word.length);
    return range.getBoundingClientRect().bottom;
}"""
# whether nothing lies over the beginning of an element
IS_SEEN = """each => {
    const { left, top, width, height } = each.getBoundingClientRect();
    return document.elementFromPoint(left + width / 2, top + Math.min(height / 2, 16)) === each;
}"""
BACKGROUND = "each => getComputedStyle(each).backgroundColor"


def top_of(element: Locator) -> float:
    box = element.bounding_box()
    assert box is not None
    return box["y"]


def bottom_of(element: Locator) -> float:
    box = element.bounding_box()
    assert box is not None
    return box["y"] + box["height"]


def test_a_list_opens_above_the_button_at_the_end(page: Page) -> None:
    choose_workflow(page, "inpaint")
    page.get_by_text("More settings").click()
    box = page.get_by_role("combobox", name="Sampler name")
    box.evaluate("each => each.scrollIntoView({ block: 'end' })")
    box.press("ArrowDown")
    choices = page.get_by_role("listbox", name="Choices")
    expect(choices.get_by_role("option").first).to_be_visible()
    assert bottom_of(choices) <= top_of(page.get_by_role("button", name="Generate"))


def test_what_is_chosen_differs_in_the_colours_of_the_system(open_page: Open, bridge: Bridge) -> None:
    page = open_page(bridge, "/?workflow=inpaint", forced_colors="active")
    page.get_by_label("Image", exact=True).set_input_files(
        {"name": "garden.png", "mimeType": "image/png", "buffer": png()}
    )
    generate, workflows = (page.get_by_role("link", name=name, exact=True) for name in ("Generate", "Workflows"))
    assert generate.evaluate(BACKGROUND) != workflows.evaluate(BACKGROUND)
    page.get_by_role("button", name="Paint a mask").click()
    paint, erase = (page.get_by_role("button", name=name, exact=True) for name in ("Paint", "Erase"))
    assert paint.evaluate(BACKGROUND) != erase.evaluate(BACKGROUND)


def test_the_only_picture_has_the_whole_width_beside_texts(page: Page) -> None:
    graph = {
        "1": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": 255}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "seen"}},
        "3": {"class_type": "PrimitiveString", "inputs": {"value": "a caption"}},
        "4": {"class_type": "PreviewAny", "inputs": {"source": ["3", 0]}},
    }
    drop(page, "captioned.json", json.dumps(graph).encode(), "application/json")
    expect(chosen_workflow(page)).to_have_text("captioned.json")
    expect(page.get_by_text("How often to run the workflow.")).to_be_visible()  # there is no seed to go on from
    page.get_by_role("button", name="Generate").click()
    card = page.get_by_role("article").first
    expect(picture_of(card)).to_be_visible()
    expect(card.get_by_role("heading")).to_have_text("captioned.json")  # it has no prompt to be called after
    widths = [each.evaluate("each => each.offsetWidth") for each in (picture_of(card), card.get_by_text("a caption"))]
    assert abs(widths[0] - widths[1]) <= 1


def test_texts_run_in_their_own_direction(
    open_page: Open, start_bridge: Callable[..., Bridge], tmp_path: Path
) -> None:
    shutil.copy(ROOT / "workflows" / "txt2img.json", tmp_path / "arabic.json")
    (tmp_path / "arabic.yaml").write_text(
        "description: صورة من نص\n"
        "parameters:\n"
        "  prompt: {node: 6, input: text, description: ما الذي تريد رؤيته في الصورة}\n"
        "  steps: {node: 3, input: steps, description: 步数}\n",
        "utf-8",
    )
    page = open_page(start_bridge(WORKFLOWS_DIR=str(tmp_path)), "/?workflow=arabic")
    card = make(page, "قطة على السطح", Steps=2)
    help_of_prompt = page.get_by_text("ما الذي تريد رؤيته في الصورة.")
    for text in (page.get_by_text("صورة من نص"), help_of_prompt, card.get_by_role("heading")):
        assert text.evaluate(GAP_AT_THE_RIGHT) < 2
    assert page.get_by_text("How often to run").evaluate(GAP_AT_THE_RIGHT) > 2
    expect(page.get_by_text("步数", exact=True)).to_be_visible()  # no full stop of another script


def test_long_texts_of_workflows_are_folded(
    open_page: Open, start_bridge: Callable[..., Bridge], tmp_path: Path
) -> None:
    shutil.copy(ROOT / "workflows" / "txt2img.json", tmp_path / "wordy.json")
    words = "every detail, again and again. " * 100
    (tmp_path / "wordy.yaml").write_text(
        f"description: |\n  First line.\n  Second line.\n  {words}\n"
        f"parameters:\n  prompt: {{node: 6, input: text, description: '{words}'}}\n",
        "utf-8",
    )
    page = open_page(start_bridge(WORKFLOWS_DIR=str(tmp_path)), "/?workflow=wordy")
    box = page.get_by_label("Prompt", exact=True)
    expect(box).to_be_in_viewport()
    expect(box).to_have_accessible_description(re.compile("every detail, again and again"))
    lines = [page.get_by_text("First line.").evaluate(END_OF_WORD, word) for word in ("First line.", "Second line.")]
    assert lines[0] < lines[1]
    text = page.get_by_text(re.compile("^Every detail, again and again"))
    folded = text.evaluate("each => each.offsetHeight")
    page.get_by_role("button", name="Show all of it").nth(1).click()
    assert text.evaluate("each => each.offsetHeight") > 2 * folded
    page.goto("/workflows")
    expect(page.get_by_role("link", name="Use it")).to_be_in_viewport()


def test_nothing_covers_what_has_the_focus_on_an_enlarged_page(open_page: Open, bridge: Bridge) -> None:
    page = open_page(bridge, viewport={"width": 320, "height": 256})  # 1280 by 1024 at 400 %
    page.get_by_label("Prompt", exact=True).focus()
    for label in ("Negative prompt", "Quality", "Model", "Width"):
        page.keyboard.press("Tab")
        box = page.get_by_label(label, exact=True)
        expect(box).to_be_focused()
        assert box.evaluate(IS_SEEN), label


def test_a_phone_shows_no_place_for_samples_that_are_not_there(open_page: Open, bridge: Bridge) -> None:
    page = open_page(bridge, "/workflows", **PHONE)
    card = page.get_by_role("article", name="edit", exact=True)
    expect(card).to_contain_text("Ready")
    expect(card.get_by_role("link", name="Use it")).to_be_visible()
    expect(card.get_by_text("No sample yet")).to_be_hidden()
    assert bottom_of(card) - top_of(card) < 400

"""What was made stays: over a reload, as a request to copy, and as the start of other pictures."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests
from PIL import ImageChops

from tests.page.driving import card_of, choose_workflow, chosen_workflow, copied, make, picture_of, start, width_of
from tests.page.expecting import expect
from tests.page.pictures import opened, png
from tests.page.runs import last_file, last_inputs

if TYPE_CHECKING:
    from playwright.sync_api import Download, Page, Route

    from comfybridge.simulator import Simulator

PROMPT = 'a cat in a "hat" & Zoë\'s $HOME'


def test_the_gallery_stays_over_a_reload(page: Page) -> None:
    make(page, "older", Steps=3, Seed=11)
    make(page, "newer", Steps=4, Seed=12)
    page.reload()
    cards = page.get_by_role("article")
    expect(cards).to_have_count(2)
    expect(cards.first.get_by_role("heading")).to_have_text("newer")
    older = card_of(page, "older")
    assert width_of(picture_of(older)) == 512
    expect(older).to_contain_text("seed 11")
    older.get_by_text("Parameters", exact=True).click()
    expect(older.get_by_role("definition").filter(has_text="older")).to_be_visible()


def test_what_comfyui_has_forgotten_is_told(page: Page, comfyui: Simulator) -> None:
    make(page, "forgotten", Steps=3)
    page.goto("about:blank")  # a page that is open may look meanwhile
    comfyui.restart()
    page.goto("/")
    card = card_of(page, "forgotten")
    expect(card.get_by_role("button", name="Run again")).to_be_visible()
    expect(card.get_by_role("img")).to_have_count(0)
    expect(card).to_contain_text("forgotten")


def test_entries_that_are_damaged_are_left_out(page: Page) -> None:
    make(page, "whole", Steps=1)
    page.evaluate(
        """() => {
            const [name] = Object.keys(localStorage);
            const [whole] = JSON.parse(localStorage[name]);
            const damaged = [null, 1, { id: 1, created: 2, body: 3 }, { ...whole, id: "other", warnings: null }];
            localStorage[name] = JSON.stringify([...damaged, whole]);
        }"""
    )
    page.reload()
    expect(picture_of(card_of(page, "whole"))).to_be_visible()
    expect(page.get_by_role("article")).to_have_count(1)


def test_an_entry_is_removed(page: Page) -> None:
    make(page, "kept")
    make(page, "removed").get_by_role("button", name="Remove").click()
    expect(card_of(page, "removed")).to_have_count(0)
    expect(card_of(page, "kept").get_by_role("heading")).to_be_focused()
    page.reload()
    expect(page.get_by_role("article")).to_have_count(1)


def test_a_request_is_run_again_with_one_thing_changed(page: Page, comfyui: Simulator) -> None:
    card = make(page, "a barn", Steps=6, Seed=77)
    make(page, "something else", Steps=9, Seed=78)
    card.get_by_role("button", name="Run again").click()
    expect(page.get_by_label("Prompt", exact=True)).to_have_value("a barn")
    page.get_by_label("Steps", exact=True).fill("8")
    before = len(comfyui.history)
    page.get_by_role("button", name="Generate").click()
    expect(page.get_by_role("article")).to_have_count(3)
    expect(picture_of(card_of(page, "a barn"))).to_be_visible()
    assert len(comfyui.history) == before + 1
    sampler = last_inputs(comfyui, "KSampler")
    assert (sampler["steps"], sampler["seed"]) == (8, 77)


def test_another_workflow_is_run_again_with_its_own_form(page: Page) -> None:
    choose_workflow(page, "img2img")
    picture = {"name": "pond.png", "mimeType": "image/png", "buffer": png()}
    page.get_by_label("Image", exact=True).set_input_files(picture)
    card = make(page, "a pond")
    page.goto("/?workflow=txt2img")
    card.get_by_role("button", name="Run again").click()
    expect(chosen_workflow(page)).to_have_text("img2img")
    expect(page.get_by_label("Prompt", exact=True)).to_have_value("a pond")
    expect(page.get_by_role("alert")).to_contain_text("Choose the files again, which the page has not kept: pond.png")


def test_what_is_run_again_last_is_in_the_form_whichever_comes_first(page: Page) -> None:
    choose_workflow(page, "sdxl")
    slow = make(page, "slow", Steps=1)
    choose_workflow(page, "flux")
    fast = make(page, "fast", Steps=1)
    choose_workflow(page, "txt2img")
    waiting: list[Route] = []
    page.route("**/workflows/sdxl", lambda route: waiting.append(route))
    slow.get_by_role("button", name="Run again").click()
    fast.get_by_role("button", name="Run again").click()
    prompt = page.get_by_label("Prompt", exact=True)
    expect(prompt).to_have_value("fast")
    with page.expect_response("**/workflows/sdxl") as answer:
        waiting[0].continue_()
    answer.value.finished()
    page.unroute_all()
    page.evaluate("() => fetch('workflows/sdxl').then((answer) => answer.text())")  # the page has the other by now
    expect(chosen_workflow(page)).to_have_text("flux")
    expect(prompt).to_have_value("fast")


def test_files_are_sent_again_as_long_as_the_page_has_them(page: Page, comfyui: Simulator) -> None:
    choose_workflow(page, "inpaint")
    for name, colour in (("Image", "teal"), ("Mask", "white")):
        picture = {"name": f"{colour}.png", "mimeType": "image/png", "buffer": png(colour=colour)}
        page.get_by_label(name, exact=True).set_input_files(picture)
    card = make(page, "a lake")
    choose_workflow(page, "txt2img")
    card.get_by_role("button", name="Run again").click()
    expect(page.get_by_role("button", name="Remove white.png from Mask")).to_be_visible()
    make(page, "a frozen lake")
    assert last_file(comfyui, "LoadImage").read_bytes() == png(colour="teal")
    assert last_file(comfyui, "LoadImageMask").read_bytes() == png(colour="white")
    expect(page.get_by_role("alert")).to_have_count(0)


def test_variations_have_the_following_seeds(page: Page) -> None:
    make(page, "a hill", Steps=2, Seed=100).get_by_role("button", name="Variations").click()
    expect(page.get_by_role("article")).to_have_count(2)
    varied = card_of(page, "a hill")
    expect(varied.locator("img.output")).to_have_count(4)
    expect(varied).to_contain_text("seeds 101, 102, 103, 104")


def test_entries_are_compared_side_by_side(page: Page) -> None:
    make(page, "left", Steps=2, Seed=5).get_by_label("Compare").check()
    make(page, "right", Steps=3, Seed=5).get_by_label("Compare").check()
    page.get_by_role("button", name="side by side").click()
    dialog = page.get_by_role("dialog", name="Side by side")
    expect(dialog.get_by_role("img")).to_have_count(2)
    rows = dialog.get_by_role("row")
    expect(rows.filter(has_text="Steps")).to_have_text(["Steps23"])
    expect(rows.filter(has_text="Seed")).to_have_count(0)  # it is the same
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)


def test_what_is_compared_has_the_same_width_whatever_its_size(page: Page) -> None:
    make(page, "large", Steps=1, Width=512, Height=1024).get_by_label("Compare").check()
    make(page, "small", Steps=1, Width=64, Height=64).get_by_label("Compare").check()
    page.get_by_role("button", name="side by side").click()
    dialog = page.get_by_role("dialog", name="Side by side")
    heads = dialog.get_by_role("columnheader")
    widths = [heads.filter(has_text=name).evaluate("each => each.offsetWidth") for name in ("large", "small")]
    assert abs(widths[0] - widths[1]) <= 1
    assert dialog.evaluate("each => each.scrollHeight <= each.clientHeight")  # its button to close is seen


def test_several_outputs_are_saved_together(page: Page, tmp_path: Path) -> None:
    card = make(page, "twins", Steps=1, Batch_size=2)
    with page.expect_download() as saved:
        card.get_by_role("button", name="Download all").click()
    saved.value.save_as(tmp_path / "twins.zip")
    with __import__("zipfile").ZipFile(tmp_path / "twins.zip") as archive:
        assert len([name for name in archive.namelist() if name.endswith(".png")]) == 2


def test_what_came_is_saved_and_compared_although_a_prompt_beside_it_failed(page: Page, comfyui: Simulator) -> None:
    comfyui.fail_node("KSampler", "out of memory", times=1)
    card = start(page, "triplets", Steps=1, How_many_prompts=3)
    expect(card).to_contain_text("out of memory")
    expect(card.locator("img.output")).to_have_count(2)
    card.get_by_label("Compare").check()
    expect(page.get_by_role("button", name="Compare 2 side by side")).to_be_visible()
    names: list[str] = []

    def is_last(download: Download) -> bool:
        names.append(download.suggested_filename)
        return len(names) == 2

    with page.expect_download(is_last):
        card.get_by_role("button", name="Download all").click()
    expect(page.get_by_role("alert")).to_have_count(0)


def test_one_output_is_saved(page: Page, tmp_path: Path) -> None:
    card = make(page, "alone", Steps=1, Width=64, Height=64)
    with page.expect_download() as saved:
        card.get_by_role("link", name="Download").click()
    saved.value.save_as(tmp_path / "alone.png")
    assert opened((tmp_path / "alone.png").read_bytes()).size == (64, 64)


# -- requests as programs

PROGRAMS = {
    "curl": ("request.sh", ["bash"]),
    "Python": ("request.py", [sys.executable]),
    "JavaScript": ("request.mjs", ["node"]),
}


@pytest.mark.parametrize("language", PROGRAMS)
def test_a_copied_request_makes_the_same_picture(page: Page, tmp_path: Path, language: str) -> None:
    card = make(page, PROMPT, Steps=2, Width=64, Height=64, Seed=2**64 - 1)
    shown = requests.get(str(picture_of(card).get_attribute("src")), timeout=30).content
    answer = run(copied(card, language), tmp_path, language)
    again = requests.get(link_in(answer), timeout=30).content
    assert ImageChops.difference(opened(shown), opened(again)).getbbox() is None


@pytest.mark.parametrize("language", PROGRAMS)
def test_a_copied_request_sends_the_same_file(page: Page, comfyui: Simulator, tmp_path: Path, language: str) -> None:
    choose_workflow(page, "img2img")
    name = "it's; a, pond.png"
    data = png((64, 64))
    page.get_by_label("Image", exact=True).set_input_files({"name": name, "mimeType": "image/png", "buffer": data})
    text = copied(make(page, PROMPT, Steps=2, Seed=3), language)
    other = png((64, 64), "orange")  # which has this name by now
    (tmp_path / name).write_bytes(other)
    run(text, tmp_path, language)
    assert last_file(comfyui, "LoadImage").read_bytes() == other


def run(text: str, folder: Path, language: str) -> str:
    """Run a copied request as a person would, and return what it printed."""
    name, command = PROGRAMS[language]
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    (folder / name).write_text(text)
    ended = subprocess.run([*command, name], cwd=folder, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def link_in(answer: str) -> str:
    """The link to the picture in an answer, however the program printed it."""
    return answer[answer.index("http") :].split("'")[0].split('"')[0]

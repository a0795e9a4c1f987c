"""A graph, or a picture that ComfyUI made, becomes a workflow with a form when it is dropped onto the page."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import requests

from tests import ROOT
from tests.page.driving import choose_workflow, chosen_workflow, drop, drop_all, make, picture_of, start
from tests.page.expecting import expect
from tests.page.pictures import png
from tests.page.runs import last_file, last_inputs

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

    from comfybridge.simulator import Simulator

GRAPH = json.loads((ROOT / "workflows" / "txt2img.json").read_text())


def test_a_dropped_graph_becomes_a_form(page: Page, comfyui: Simulator) -> None:
    graph = {key: {**node, "inputs": {**node["inputs"]}} for key, node in GRAPH.items()}
    sampler = next(node for node in graph.values() if node["class_type"] == "KSampler")
    sampler["inputs"]["steps"] = 13
    expect(page.get_by_label("Prompt", exact=True)).to_be_visible()
    drop(page, "mine.json", json.dumps(graph).encode(), "application/json")
    expect(chosen_workflow(page)).to_have_text("mine.json")
    expect(page.get_by_label("Steps", exact=True)).to_have_value("13")
    make(page, "my own", Seed=4)
    assert last_inputs(comfyui, "KSampler")["steps"] == 13


def test_a_dropped_picture_becomes_its_workflow(page: Page, comfyui: Simulator) -> None:
    card = make(page, "out of a picture", Steps=14, Seed=21)
    made = requests.get(str(picture_of(card).get_attribute("src")), timeout=30).content
    page.get_by_label("Prompt", exact=True).fill("changed")
    drop(page, "made.png", made, "image/png")
    expect(chosen_workflow(page)).to_have_text("made.png")
    expect(page.get_by_label("Prompt", exact=True)).to_have_value("out of a picture")
    expect(page.get_by_label("Steps", exact=True)).to_have_value("14")
    again = start(page, "once more")
    expect(picture_of(again)).to_be_visible()
    sampler = last_inputs(comfyui, "KSampler")
    assert sampler["steps"] == 14


def test_a_dropped_picture_without_a_workflow_is_an_input(page: Page, comfyui: Simulator) -> None:
    choose_workflow(page, "img2img")
    expect(page.get_by_label("Image", exact=True)).to_be_attached()
    data = png((64, 64), "plum")
    drop(page, "plum.png", data, "image/png")
    expect(page.get_by_role("button", name="Remove plum.png")).to_be_visible()
    make(page, "from a plum")
    assert last_file(comfyui, "LoadImage").read_bytes() == data


@pytest.mark.parametrize("content", ["{", "[1]", "{}", '{"name": "a-package"}', '{"1": {"class_type": 3}}'])
def test_a_file_that_is_no_workflow_is_named(page: Page, content: str) -> None:
    drop(page, "notes.json", content.encode(), "application/json")
    expect(page.get_by_role("alert")).to_contain_text("notes.json")
    expect(chosen_workflow(page)).to_have_text("txt2img")


def test_a_file_that_takes_long_to_read_is_told(page: Page) -> None:
    waiting: list[Route] = []
    page.route("**/convert", lambda route: waiting.append(route))
    drop(page, "mine.json", json.dumps(GRAPH).encode(), "application/json")
    shown = page.get_by_role("region", name="Request").get_by_text("Reading mine.json…")
    expect(shown).to_be_visible()
    waiting[0].continue_()
    expect(chosen_workflow(page)).to_have_text("mine.json")
    expect(shown).to_have_count(0)


def test_a_picture_dropped_onto_its_field_is_taken(page: Page, comfyui: Simulator) -> None:
    choose_workflow(page, "inpaint")
    expect(page.get_by_label("Mask", exact=True)).to_be_attached()
    picture, mask = png((64, 64), "plum"), png((64, 64), "white")
    drop(page, "m.png", mask, "image/png", onto=page.get_by_label("Mask", exact=True))
    drop(page, "p.png", picture, "image/png", onto=page.get_by_label("Image", exact=True))
    make(page, "both")
    assert last_file(comfyui, "LoadImage").read_bytes() == picture
    assert last_file(comfyui, "LoadImageMask").read_bytes() == mask


@pytest.mark.parametrize("place", ["page", "field"])
def test_files_that_are_left_out_of_several_are_told(page: Page, place: str) -> None:
    choose_workflow(page, "inpaint")
    image = page.get_by_label("Image", exact=True)
    expect(image).to_be_attached()
    drop_all(page, {"p.png": png(), "m.png": png()}, "image/png", onto=image if place == "field" else None)
    expect(page.get_by_role("button", name="Remove p.png from Image")).to_be_visible()
    expect(page.get_by_role("alert")).to_contain_text("Only p.png is taken of these 2 files")


def test_a_file_dropped_beside_an_open_dialog_does_not_leave_the_page(page: Page) -> None:
    choose_workflow(page, "inpaint")
    picture = {"name": "pond.png", "mimeType": "image/png", "buffer": png()}
    page.get_by_label("Image", exact=True).set_input_files(picture)
    page.get_by_role("button", name="Paint a mask").click()
    dialog = page.get_by_role("dialog", name="Paint")
    expect(dialog).to_be_visible()
    page.evaluate("() => addEventListener('drop', (event) => (window.isTaken = event.defaultPrevented))")
    drop(page, "other.png", png(), "image/png", onto=dialog)
    assert page.evaluate("() => window.isTaken")
    expect(dialog).to_be_visible()
    expect(page.get_by_text("other.png")).to_have_count(0)


def test_what_holds_nothing_is_told(page: Page) -> None:
    expect(page.get_by_label("Prompt", exact=True)).to_be_visible()
    drop(page, "pond.png", png(), "image/png")
    expect(page.get_by_role("alert")).to_be_visible()
    drop(page, "broken.json", b"{", "application/json")
    expect(page.get_by_role("alert")).to_contain_text("JSON")
    expect(chosen_workflow(page)).to_have_text("txt2img")


def test_a_file_is_opened_with_the_button(page: Page) -> None:
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Open a workflow").click()
    chooser.value.set_files({"name": "g.json", "mimeType": "application/json", "buffer": json.dumps(GRAPH).encode()})
    expect(chosen_workflow(page)).to_have_text("g.json")


def test_a_picture_is_pasted(page: Page, comfyui: Simulator) -> None:
    choose_workflow(page, "img2img")
    expect(page.get_by_label("Image", exact=True)).to_be_attached()
    data = png((64, 64), "gold")
    page.evaluate(
        """(bytes) => {
            const given = new DataTransfer();
            given.items.add(new File([new Uint8Array(bytes)], "image.png", { type: "image/png" }));
            const how = { clipboardData: given, bubbles: true, cancelable: true };
            document.body.dispatchEvent(new ClipboardEvent("paste", how));
        }""",
        list(data),
    )
    make(page, "pasted")
    assert last_file(comfyui, "LoadImage").read_bytes() == data

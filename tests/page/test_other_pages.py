"""The pages that show the workflows and the servers, and a bridge without pages."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
import requests

from tests import ROOT
from tests.page.driving import chosen_workflow, make, start
from tests.page.expecting import expect
from tests.page.pictures import opened
from tests.web.saved_files import picture

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Page, Route

    from comfybridge.simulator import Simulator
    from tests.page.bridges import Bridge
    from tests.page.driving import Open


def test_every_workflow_is_shown_with_what_it_takes_and_needs(page: Page, bridge: Bridge, comfyui: Simulator) -> None:
    names = [each["name"] for each in requests.get(f"{bridge.url}/workflows", timeout=30).json()["workflows"]]
    page.get_by_role("link", name="Workflows").click()
    expect(page.get_by_role("article").get_by_role("heading")).to_have_text(names)
    card = page.get_by_role("article", name="inpaint", exact=True)
    card.scroll_into_view_if_needed()  # it is read as soon as it is seen
    expect(card.get_by_text("Ready", exact=True)).to_be_visible()
    expect(card.get_by_role("list", name="What it needs")).to_contain_text("v1-5-pruned-emaonly-fp16.safetensors")
    card.get_by_text("Parameters", exact=True).click()
    expect(card.get_by_role("row", name="mask")).to_contain_text("required")
    page.get_by_label("Find a workflow").fill("upscale")
    expect(page.get_by_role("article").get_by_role("heading")).to_have_text(["upscale", "upscale_model"])


def test_what_comfyui_lacks_is_named_with_its_link(
    open_page: Open, start_bridge: Callable[..., Bridge], comfyui: Simulator
) -> None:
    kept = comfyui.checkpoints
    comfyui.checkpoints = [name for name in kept if not name.startswith("sd_xl")]
    try:
        page = open_page(start_bridge(), "/workflows")
        card = page.get_by_role("article", name="sdxl", exact=True)
        card.scroll_into_view_if_needed()
        needed = card.get_by_role("listitem").filter(has_text="missing")
        model = re.compile("^https://huggingface.co/.*sd_xl_base_1.0.safetensors$")
        expect(needed.get_by_role("link")).to_have_attribute("href", model)
        card.get_by_role("link", name=re.compile("Use.*sdxl")).click()
        expect(page.get_by_role("region", name="Request")).to_contain_text("ComfyUI lacks the model sd_xl_base_1.0")
    finally:
        comfyui.checkpoints = kept


def test_a_model_that_takes_the_place_of_another_is_no_full_match(
    open_page: Open, start_bridge: Callable[..., Bridge], comfyui: Simulator
) -> None:
    kept = comfyui.checkpoints
    comfyui.checkpoints = ["only.safetensors"]
    try:
        card = open_page(start_bridge(), "/workflows").get_by_role("article", name="sdxl", exact=True)
        card.scroll_into_view_if_needed()
        expect(card).to_contain_text("Ready, with another model")
        expect(card.get_by_role("listitem")).to_contain_text("only.safetensors is used instead")
    finally:
        comfyui.checkpoints = kept


def test_the_newest_picture_is_a_workflows_sample(page: Page) -> None:
    make(page, "a sample", Steps=2)
    page.goto("/workflows")
    card = page.get_by_role("article", name="txt2img", exact=True)
    expect(card.get_by_role("img", name="Made with txt2img: a sample")).to_be_visible()
    other = page.get_by_role("article", name="sdxl", exact=True)
    other.get_by_role("link", name="make one").click()
    expect(chosen_workflow(page)).to_have_text("sdxl")


def test_the_smallest_request_works(open_page: Open, bridge: Bridge, tmp_path: Path) -> None:
    page = open_page(bridge, "/workflows")
    card = page.get_by_role("article", name="txt2img", exact=True)
    card.get_by_text("Request", exact=True).click()
    card.get_by_role("button", name="Copy").click()
    expect(card.get_by_role("button", name="Copied")).to_be_visible()
    text = page.evaluate("() => navigator.clipboard.readText()")
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    subprocess.run(["bash", "-c", text], cwd=tmp_path, check=True, capture_output=True, timeout=60)
    assert opened((tmp_path / "result.png").read_bytes()).size == (512, 512)


def test_broken_workflows_are_shown_with_their_error(
    open_page: Open, start_bridge: Callable[..., Bridge], tmp_path: Path
) -> None:
    for name in ("txt2img.json", "txt2img.yaml"):
        shutil.copy(ROOT / "workflows" / name, tmp_path)
    (tmp_path / "bad.json").write_text("{")
    bridge = start_bridge(WORKFLOWS_DIR=str(tmp_path))
    said = requests.get(f"{bridge.url}/workflows", timeout=30).json()["broken"]
    assert [each["name"] for each in said] == ["bad"]
    page = open_page(bridge, "/workflows")
    broken = page.get_by_role("region", name="Broken")
    expect(broken).to_contain_text(said[0]["error"])
    page.goto("/")
    expect(page.get_by_label("Workflow", exact=True).locator("option")).to_have_text(["txt2img"])
    page.goto("/?workflow=bad")
    expect(page.get_by_role("alert")).to_contain_text(said[0]["error"])


def test_a_workflow_that_may_make_anything_is_shown_with_the_others(
    open_page: Open, start_bridge: Callable[..., Bridge], tmp_path: Path
) -> None:
    for name in ("txt2img.json", "txt2img.yaml"):
        shutil.copy(ROOT / "workflows" / name, tmp_path)
    foreign = {"1": {"class_type": "NodeOfAPack", "inputs": {}}}
    (tmp_path / "foreign.json").write_text(json.dumps(foreign))
    bridge = start_bridge(WORKFLOWS_DIR=str(tmp_path))
    said = requests.get(f"{bridge.url}/workflows", timeout=30).json()["workflows"]
    assert said[0]["makes"] is None
    page = open_page(bridge, "/workflows")
    expect(page.get_by_role("article").get_by_role("heading")).to_have_text(["foreign", "txt2img"])
    expect(page.get_by_role("article", name="foreign")).to_contain_text("the node NodeOfAPack")


def test_a_workflow_may_have_a_name_of_several_words(
    open_page: Open, start_bridge: Callable[..., Bridge], tmp_path: Path
) -> None:
    shutil.copy(ROOT / "workflows" / "txt2img.json", tmp_path / "My first one.json")
    page = open_page(start_bridge(WORKFLOWS_DIR=str(tmp_path)), "/workflows")
    page.get_by_role("article", name="My first one", exact=True).get_by_role("link", name="Use it").click()
    expect(chosen_workflow(page)).to_have_text("My first one")
    make(page, "several words", Steps=1)


def test_agents_and_jobs_without_a_comfyui_are_shown(page: Page, bridge: Bridge) -> None:
    agent = {
        "name": "attic",
        "version": "1.0",
        "slots": 2,
        "running": 1,
        "servers": {"http://attic:8188": True, "http://attic:8288": False},
        "mean_seconds": None,
    }
    added = {"stats": {"agents": [agent]}, "queue": {"jobs": [{"prompt_id": "a-job", "position": 1}]}}

    def add(route: Route) -> None:
        if route.request.is_navigation_request():
            return route.fallback()
        path = route.request.url.rpartition("/")[2]
        said = requests.get(route.request.url, timeout=30).json()
        return route.fulfill(json={**said, **added[path]})

    page.route(re.compile("/(stats|queue)$"), add)
    page.get_by_role("link", name="Stats").click()
    row = page.get_by_role("region", name="Agents").get_by_role("row", name="attic")
    expect(row).to_contain_text("http://attic:8188 answers, http://attic:8288 does not answer")
    expect(page.get_by_role("region", name="Queue").get_by_role("row", name="job 1")).to_contain_text("a-job")


def test_servers_queue_and_slots_are_shown_while_they_change(
    open_page: Open, page: Page, bridge: Bridge, comfyui: Simulator
) -> None:
    stats = open_page(bridge, "/stats")
    server = stats.get_by_role("article").first
    expect(server).to_contain_text("answers")
    expect(server).to_contain_text("ComfyUI")
    now = stats.get_by_role("region", name="Now")
    comfyui.hold()
    start(page, "first")
    comfyui.wait_until_queued(1)
    start(page, "second")
    comfyui.wait_until_pending(1)
    expect(stats.get_by_role("region", name="Queue").get_by_role("rowheader")).to_have_text(["runs", "1"])
    expect(now).to_contain_text("slots in use2")
    comfyui.release()
    expect(stats.get_by_role("region", name="Queue").first).to_contain_text("Nothing waits")


def test_a_server_that_is_away_is_told(open_page: Open, bridge: Bridge, comfyui: Simulator) -> None:
    stats = open_page(bridge, "/stats")
    expect(stats.get_by_role("article").first).to_contain_text("answers")
    comfyui.kill()
    try:
        expect(stats.get_by_role("main")).to_contain_text("refuses the connection")
    finally:
        comfyui.revive()
    expect(stats.get_by_role("article").first).to_contain_text("answers")


@pytest.fixture
def saved_workflows(tmp_path: Path) -> Path:
    """A folder with a workflow as the editor saved it, which is read only while a ComfyUI tells of its nodes."""
    folder = tmp_path / "saved"
    folder.mkdir()
    (folder / "drawn.json").write_text(json.dumps(picture()))
    return folder


def test_workflows_are_read_once_comfyui_answers(
    open_page: Open, start_bridge: Callable[..., Bridge], comfyui: Simulator, saved_workflows: Path
) -> None:
    shutil.copy(ROOT / "workflows" / "upscale.json", saved_workflows)
    comfyui.kill()
    try:
        bridge = start_bridge(WORKFLOWS_DIR=str(saved_workflows))
        page = open_page(bridge, "/workflows")
        main = page.get_by_role("main")
        expect(main).to_contain_text("refuses the connection")
        expect(page.get_by_role("region", name="Not read yet")).to_contain_text("drawn")
        expect(page.get_by_role("article", name="upscale")).to_contain_text("ComfyUI does not answer")
        form = open_page(bridge)
        options = form.get_by_label("Workflow", exact=True).locator("option")
        expect(options).to_have_text(["upscale"])
    finally:
        comfyui.revive()
    expect(page.get_by_role("article", name="upscale")).to_contain_text("Ready")
    expect(page.get_by_role("article", name="drawn")).to_contain_text("Ready")
    expect(main).not_to_contain_text("refuses the connection")
    expect(options).to_have_text(["drawn", "upscale"])
    expect(chosen_workflow(form)).to_have_text("upscale")


def test_what_is_searched_for_stays_when_more_workflows_are_read(
    open_page: Open, start_bridge: Callable[..., Bridge], comfyui: Simulator, saved_workflows: Path
) -> None:
    shutil.copytree(ROOT / "workflows", saved_workflows, dirs_exist_ok=True)
    comfyui.kill()
    try:
        page = open_page(start_bridge(WORKFLOWS_DIR=str(saved_workflows)), "/workflows")
        page.get_by_label("Find a workflow").fill("upscale")
        expect(page.get_by_role("region", name="Not read yet")).to_contain_text("drawn")
    finally:
        comfyui.revive()
    expect(page.get_by_role("region", name="Not read yet")).to_have_count(0)
    expect(page.get_by_label("Find a workflow")).to_be_focused()
    expect(page.get_by_label("Find a workflow")).to_have_value("upscale")
    expect(page.get_by_role("article").get_by_role("heading")).to_have_text(["upscale", "upscale_model"])


def test_a_page_without_a_workflow_begins_once_comfyui_answers(
    open_page: Open, start_bridge: Callable[..., Bridge], comfyui: Simulator, saved_workflows: Path
) -> None:
    comfyui.kill()
    try:
        page = open_page(start_bridge(WORKFLOWS_DIR=str(saved_workflows)))
        expect(page.get_by_role("heading", name="The workflows cannot be read yet")).to_be_visible()
    finally:
        comfyui.revive()
    expect(chosen_workflow(page)).to_have_text("drawn")


def test_without_pages_the_root_leads_to_the_api(open_page: Open, start_bridge: Callable[..., Bridge]) -> None:
    bridge = start_bridge(PAGE="false")
    assert requests.get(bridge.url, allow_redirects=False, timeout=30).headers["Location"] == "docs"
    browser_like = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
    for path in ("workflows", "stats"):
        answer = requests.get(f"{bridge.url}/{path}", headers=browser_like, timeout=30)
        assert answer.headers["Content-Type"] == "application/json"
    page = open_page(bridge)
    expect(page.get_by_role("heading", name="ComfyBridge")).to_be_visible()
    assert page.url == f"{bridge.url}/docs"


def test_the_api_is_tried_out_under_its_own_rules(open_page: Open, bridge: Bridge) -> None:
    page = open_page(bridge, "/docs")
    page.locator("#operations-tag-workflows, .opblock").first.wait_for()
    page.locator(".opblock-summary-path").filter(has_text="/health").first.click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()
    expect(page.locator(".live-responses-table")).to_contain_text("200")

"""Pictures to send, and masks painted over them, down to the pixels that ComfyUI gets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.page.driving import card_of, choose_workflow, picture_of, start
from tests.page.expecting import expect
from tests.page.pictures import opened, png
from tests.page.runs import last_file

if TYPE_CHECKING:
    from pathlib import Path

    from PIL import Image
    from playwright.sync_api import Locator, Page

    from comfybridge.simulator import Simulator

SIZE = (256, 192)
WHITE, BLACK = 255, 0


@pytest.fixture
def painter(page: Page) -> Locator:
    """The dialog in which a mask is painted over a picture that was chosen."""
    choose_workflow(page, "inpaint")
    page.get_by_label("Image", exact=True).set_input_files(
        {"name": "garden.png", "mimeType": "image/png", "buffer": png(SIZE)}
    )
    page.get_by_role("button", name="Paint a mask").click()
    dialog = page.get_by_role("dialog", name="Paint")
    expect(dialog).to_be_visible()
    return dialog


def test_a_mask_is_painted_with_the_pointer(page: Page, painter: Locator, comfyui: Simulator) -> None:
    drag(page, painter, (0.25, 0.25), (0.75, 0.25))
    mask = sent_mask(page, painter, comfyui)
    assert shades(mask, (64, 48), (128, 48), (192, 48)) == [WHITE, WHITE, WHITE]
    assert shades(mask, (128, 144), (10, 48), (246, 48), (128, 10)) == [BLACK] * 4


def test_a_painted_mask_is_saved_for_a_copied_request(
    page: Page, painter: Locator, comfyui: Simulator, tmp_path: Path
) -> None:
    drag(page, painter, (0.25, 0.25), (0.75, 0.25))
    sent_mask(page, painter, comfyui)
    with page.expect_download() as saved:
        page.get_by_role("link", name="garden-mask.png").click()
    saved.value.save_as(tmp_path / "mask.png")
    assert (tmp_path / "mask.png").read_bytes() == last_file(comfyui, "LoadImageMask").read_bytes()


def test_a_mask_is_painted_with_a_finger(page: Page, painter: Locator, comfyui: Simulator) -> None:
    box = painter.get_by_role("application").bounding_box()
    assert box is not None
    client = page.context.new_cdp_session(page)

    def touch(kind: str, x: float, y: float) -> None:
        points = [{"x": box["x"] + x * box["width"], "y": box["y"] + y * box["height"]}]
        client.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [] if kind == "touchEnd" else points})

    touch("touchStart", 0.5, 0.25)
    touch("touchMove", 0.5, 0.5)
    touch("touchMove", 0.5, 0.75)
    touch("touchEnd", 0, 0)
    mask = sent_mask(page, painter, comfyui)
    assert shades(mask, (128, 48), (128, 96), (128, 144), (30, 96), (226, 96)) == [WHITE, WHITE, WHITE, BLACK, BLACK]


def test_a_mask_is_painted_with_the_keys(page: Page, painter: Locator, comfyui: Simulator) -> None:
    stage = painter.get_by_role("application")
    expect(stage).to_be_focused()
    press = page.keyboard
    for _ in range(3):
        press.press("]")
    press.down("Space")
    for _ in range(2):
        press.press("Shift+ArrowLeft")  # an eighth of the longer side: from the middle to a quarter
    press.up("Space")
    mask = sent_mask(page, painter, comfyui)
    assert shades(mask, (128, 96), (96, 96), (64, 96)) == [WHITE, WHITE, WHITE]
    assert shades(mask, (200, 96), (10, 96), (96, 20), (96, 170)) == [BLACK] * 4


def test_strokes_are_undone_erased_cleared_and_inverted(page: Page, painter: Locator, comfyui: Simulator) -> None:
    drag(page, painter, (0.1, 0.5), (0.9, 0.5))
    painter.get_by_role("button", name="Clear").click()
    painter.get_by_role("button", name="Undo").click()  # the stroke is back
    drag(page, painter, (0.5, 0.1), (0.5, 0.3))
    page.keyboard.press("Control+z")
    painter.get_by_role("button", name="Erase").click()
    drag(page, painter, (0.8, 0.3), (0.8, 0.7))
    painter.get_by_role("button", name="Invert").click()
    mask = sent_mask(page, painter, comfyui)
    assert shades(mask, (77, 96), (205, 96), (128, 38), (10, 10)) == [BLACK, WHITE, WHITE, WHITE]


def test_a_painted_mask_can_be_changed(page: Page, painter: Locator, comfyui: Simulator) -> None:
    drag(page, painter, (0.25, 0.5), (0.3, 0.5))
    painter.get_by_role("button", name="Use this mask").click()
    page.get_by_role("button", name="Change the mask").click()
    drag(page, painter, (0.7, 0.5), (0.75, 0.5))
    mask = sent_mask(page, painter, comfyui)
    assert shades(mask, (70, 96), (185, 96), (128, 96)) == [WHITE, WHITE, BLACK]


def test_a_painted_mask_comes_back_with_its_picture(page: Page, painter: Locator, comfyui: Simulator) -> None:
    drag(page, painter, (0.25, 0.5), (0.3, 0.5))
    sent_mask(page, painter, comfyui)
    sent = last_file(comfyui, "LoadImageMask").read_bytes()
    small = {"name": "small.png", "mimeType": "image/png", "buffer": png((64, 64))}
    page.get_by_label("Image", exact=True).set_input_files(small)
    page.get_by_role("button", name="Paint a mask").click()
    drag(page, painter, (0.7, 0.5), (0.75, 0.5))
    painter.get_by_role("button", name="Use this mask").click()
    expect(painter).to_have_count(0)
    card_of(page, "a bench").get_by_role("button", name="Run again").click()
    page.get_by_role("button", name="Change the mask").click()  # which waits until it is known whether the mask fits
    painter.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("button", name="Remove garden-mask.png")).to_be_visible()
    expect(picture_of(start(page, "once more"))).to_be_visible()
    assert last_file(comfyui, "LoadImageMask").read_bytes() == sent


def test_a_mask_that_is_called_off_is_not_sent(page: Page, painter: Locator) -> None:
    drag(page, painter, (0.25, 0.5), (0.3, 0.5))
    page.keyboard.press("Escape")
    expect(painter).to_have_count(0)
    expect(page.get_by_role("button", name="Paint a mask")).to_be_focused()


def test_a_file_may_be_the_mask(page: Page, comfyui: Simulator) -> None:
    choose_workflow(page, "inpaint")
    page.get_by_label("Image", exact=True).set_input_files(
        {"name": "a.png", "mimeType": "image/png", "buffer": png(SIZE)}
    )
    data = png(SIZE, "white")
    page.get_by_label("Mask", exact=True).set_input_files({"name": "m.png", "mimeType": "image/png", "buffer": data})
    expect(picture_of(start(page, "all of it"))).to_be_visible()
    assert last_file(comfyui, "LoadImageMask").read_bytes() == data


def drag(page: Page, painter: Locator, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Draw a line with the mouse, between places in shares of the picture."""
    box = painter.get_by_role("application").bounding_box()
    assert box is not None
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in (start, end)]
    page.mouse.move(*places[0])
    page.mouse.down()
    page.mouse.move(*places[1], steps=5)
    page.mouse.up()


def sent_mask(page: Page, painter: Locator, comfyui: Simulator) -> Image.Image:
    """The mask as ComfyUI has it, once a picture was made with it."""
    painter.get_by_role("button", name="Use this mask").click()
    expect(painter).to_have_count(0)
    expect(picture_of(start(page, "a bench"))).to_be_visible()
    mask = opened(last_file(comfyui, "LoadImageMask").read_bytes())
    assert mask.size == SIZE
    assert opened(last_file(comfyui, "LoadImage").read_bytes()).size == SIZE
    return mask


def shades(mask: Image.Image, *places: tuple[int, int]) -> list[int]:
    """The brightness of a mask at places in pixels, as the template reads it."""
    return [mask.convert("RGBA").getchannel("R").getpixel(place) for place in places]

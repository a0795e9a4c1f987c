"""`python -m tests.page.screenshots` makes the README's pictures of the page, from a demo.

Run it again when the page looks different. It needs playwright and a Chromium, as the tests do.
"""

from __future__ import annotations

import io
import re
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from tests import ROOT
from tests.page.chromium import launched, path_of_chromium
from tests.page.driving import make, picture_of, start
from tests.page.expecting import expect
from tests.serving.servers import PYTHON_APP, Server, free_port

DESKTOP = {"viewport": {"width": 1440, "height": 900}}
PHONE = {"viewport": {"width": 390, "height": 780}, "is_mobile": True, "has_touch": True, "color_scheme": "dark"}
COLOURS = 256
STEPS = 300  # of the run that still goes on when its picture is taken, at the demo's 20 ms a step
HALFWAY = re.compile(f"step 1[5-9][0-9] of {STEPS}")
PROMPTS = {
    "a paper boat on a green river": 11,
    "a fox asleep in the snow, seen from above": 23,
    "an observatory on a cliff, long exposure": 8,
    "a still life with three lemons and a blue jug": 42,
}


def main() -> int:
    path = path_of_chromium()
    if path is None:
        print("No Chromium is installed.", file=sys.stderr)
        return 1
    expect.set_options(timeout=60_000)
    with tempfile.TemporaryDirectory() as state, sync_playwright() as playwright:
        demo = Server([*PYTHON_APP, "--demo"], COMFYBRIDGE_PORT=free_port(), COMFYBRIDGE_STATE_DIR=state)
        try:
            browser = launched(playwright, path)
            save(of_desktop(browser, demo.url), ROOT / "docs" / "page.png")
            save(of_phone(browser, demo.url), ROOT / "docs" / "page-phone.png")
            browser.close()
        finally:
            demo.end()
    return 0


def of_desktop(browser: Browser, url: str) -> bytes:
    """Four pictures that were made, and one that is on its way."""
    page = opened(browser, url, DESKTOP)
    for prompt, seed in PROMPTS.items():
        make(page, prompt, Steps=20, Seed=seed)
    card = start(page, "a lighthouse at dusk, gulls, heavy clouds", Steps=STEPS)
    page.get_by_label("Workflow", exact=True).scroll_into_view_if_needed()
    expect(card).to_contain_text(HALFWAY)
    taken = page.screenshot(animations="disabled")
    card.get_by_role("button", name="Cancel").click()
    return taken


def of_phone(browser: Browser, url: str) -> bytes:
    """A mask that is painted over a picture, on a dark phone."""
    page = opened(browser, url, DESKTOP)
    picture = picture_of(make(page, "a garden wall with an empty bench", Steps=20, Seed=5))
    data = page.request.get(str(picture.get_attribute("src"))).body()
    page.context.close()
    phone = opened(browser, f"{url}/?workflow=inpaint", PHONE)
    phone.get_by_label("Image", exact=True).set_input_files(
        {"name": "garden.png", "mimeType": "image/png", "buffer": data}
    )
    phone.get_by_role("button", name="Paint a mask").tap()
    stage = phone.get_by_role("dialog").get_by_role("application")
    box = stage.bounding_box()
    assert box is not None
    left, top, side = box["x"], box["y"], box["width"]
    phone.mouse.move(left + side * 0.25, top + side * 0.4)
    phone.mouse.down()
    for x, y in ((0.6, 0.35), (0.65, 0.45), (0.3, 0.5), (0.3, 0.55), (0.68, 0.54)):
        phone.mouse.move(left + side * x, top + side * y, steps=12)
    phone.mouse.up()
    return phone.screenshot(animations="disabled")


def opened(browser: Browser, url: str, options: dict[str, object]) -> Page:
    page = browser.new_context(locale="en-GB", **options).new_page()
    page.goto(url)
    expect(page.get_by_label("Prompt", exact=True)).to_be_visible()
    return page


def save(screenshot: bytes, path: Path) -> None:
    """Write a screenshot with few colours, which makes it several times smaller."""
    picture = Image.open(io.BytesIO(screenshot)).convert("RGB")
    picture.quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path.relative_to(ROOT)}: {picture.width} x {picture.height}, {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    raise SystemExit(main())

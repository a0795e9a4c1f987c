"""Finds a browser, and starts it."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
# so that pages look the same on every machine
ARGUMENTS = ["--font-render-hinting=none", "--force-color-profile=srgb"]


def path_of_chromium() -> str | None:
    """The Chromium that the system has."""
    return next(filter(None, map(shutil.which, NAMES)), None)


def launched(playwright: Playwright, path: str) -> Browser:
    return playwright.chromium.launch(executable_path=path, args=ARGUMENTS)


if __name__ == "__main__":  # what CI asks before it runs the tests, which are skipped where anything is missing
    from playwright.sync_api import sync_playwright

    found = path_of_chromium()
    if found is None:
        raise SystemExit("No Chromium is installed.")
    with sync_playwright() as playwright:
        print(f"{found}: Chromium {launched(playwright, found).version}")

"""Listens to a page for what a person does not see: errors in scripts, what the CSP has stopped, foreign calls."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Request, Response

# Chromium logs each answer with an error's status, and each lost connection; the page tells of them in its own way.
OF_ANSWERS = "Failed to load resource:"


class Watch:
    """Listens to all pages of a context.

    Args:
        origin: where the pages come from, such as `http://127.0.0.1:8189`.

    Attributes:
        faults: what must not be, each as a sentence.
        requests: all requests of the pages, the oldest first.
    """

    def __init__(self, context: BrowserContext, origin: str) -> None:
        self.origin = origin
        self.faults: list[str] = []
        self.requests: list[Request] = []
        context.on("page", self._watch)
        context.on("request", self._requested)
        context.on("response", self._answered)
        context.on("weberror", lambda raised: self.faults.append(f"a script raised {raised.error}"))

    def _watch(self, page: Page) -> None:
        page.on("console", self._said)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not message.text.startswith(OF_ANSWERS):
            self.faults.append(f"the console says: {message.text}")

    def _requested(self, request: Request) -> None:
        self.requests.append(request)
        address = urlsplit(request.url)
        if address.scheme in ("http", "https") and f"{address.scheme}://{address.netloc}" != self.origin:
            self.faults.append(f"a request went to {request.url}")

    def _answered(self, response: Response) -> None:
        if response.status >= 400 and "/page/" in response.url:
            self.faults.append(f"a file of the page is missing: {response.url}")

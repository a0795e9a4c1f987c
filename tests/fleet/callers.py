"""Callers that block on a bridge while something goes wrong."""

from __future__ import annotations

import threading
from typing import Any

import requests

from tests.fleet.accounts import PATIENCE, body_of, check_picture


class Caller:
    """One blocking request, made in a thread of its own.

    Args:
        headers: beside `Accept`.

    Attributes:
        error: what came instead of an answer.
    """

    def __init__(self, url: str, label: str, body: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        self.label = label
        self._url, self._body = url, body
        self._headers = {"Accept": "image/*, application/json;q=0.5", **(headers or {})}
        self._answer: requests.Response | None = None
        self.error: requests.RequestException | None = None
        self._thread = threading.Thread(target=self._run, name="caller", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._answer = requests.post(
                f"{self._url}/generate", json=self._body, headers=self._headers, timeout=2 * PATIENCE
            )
        except requests.RequestException as error:
            self.error = error

    def join(self) -> Caller:
        self._thread.join(2 * PATIENCE)
        assert not self._thread.is_alive(), f"{self.label}: no answer"
        return self

    @property
    def answer(self) -> requests.Response:
        self.join()
        assert self._answer is not None, f"{self.label}: {self.error}"
        return self._answer

    def check(self) -> None:
        """It has got its picture."""
        check_picture(self.answer)


def call(url: str, labels: list[str], **fields: Any) -> list[Caller]:
    """As many callers at once."""
    return [Caller(url, each, body_of(each, **fields)) for each in labels]

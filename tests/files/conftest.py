"""A web site for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.files.site import Site


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.stop()

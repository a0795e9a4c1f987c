"""What the tests of the page expect with. A module that imports it is skipped where playwright is not installed."""

from __future__ import annotations

import pytest

expect = pytest.importorskip("playwright.sync_api").expect

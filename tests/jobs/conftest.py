from __future__ import annotations

import pytest


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bridges clear away at once after jobs of other bridges too."""
    monkeypatch.setattr("comfybridge.jobs.clearing.PAUSE", 0.01)

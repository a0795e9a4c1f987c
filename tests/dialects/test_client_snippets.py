"""The Python in `docs/clients.md` runs as it stands. Needs what `requirements-dev.txt` brings; CI has it."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests import ROOT

SNIPPETS = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "clients.md").read_text("utf-8"), re.DOTALL)


@pytest.mark.parametrize("snippet", SNIPPETS, ids=lambda snippet: re.search(r"(?:from|import) (\w+)", snippet)[1])
def test_it_runs(url: str, snippet: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = re.search(r"(?:from|import) (\w+)", snippet)
    assert package is not None
    pytest.importorskip(package[1], reason="requirements-dev.txt brings it")
    monkeypatch.chdir(tmp_path)
    exec(snippet.replace("8189", str(urlsplit(url).port)), {})

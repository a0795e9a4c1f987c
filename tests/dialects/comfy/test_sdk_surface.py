"""Whether the tests beside this one call all that the vendor's Python client offers for `/api/v2`."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest

from tests.dialects.comfy.sdk import client, comfy_sdk, make_client

__all__ = ["client", "make_client"]

MODELS = {"models"}  # those go to another host
OFFERED = ("Comfy", "Job", "Asset", "Output", "Workflow", "AssetFactory", "WorkflowFactory")


def names(kind: Any) -> set[str]:
    return {name for name, _ in inspect.getmembers(kind) if not name.startswith("_")}


def test_all_is_called() -> None:
    text = "\n".join(each.read_text() for each in Path(__file__).parent.glob("test_sdk_*.py"))
    offered = set().union(*(names(getattr(comfy_sdk, each)) for each in OFFERED)) - MODELS
    assert {name for name in offered if not re.search(rf"\b{name}\b", text)} == set()


def test_the_asynchronous_client_offers_the_same() -> None:
    for name in ("Comfy", "Job", "Asset", "Output"):
        twin = {each.replace("aclose", "close") for each in names(getattr(comfy_sdk, f"Async{name}"))}
        assert names(getattr(comfy_sdk, name)) == twin


def test_a_client_says_where_it_is(client: Any, url: str) -> None:
    assert url in repr(client)
    getattr(client, "aclose" if "Async" in repr(client) else "close")()


def test_a_key_in_the_environment_is_not_needed(make_client: Any, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFY_API_KEY", "comfyui-of-somebody")
    client = make_client(url, client_info="a-shop", timeout=20)
    assert list(client.list_jobs()) == []

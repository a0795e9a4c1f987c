"""LiteLLM's library, unmodified, against the bridge as a server that speaks OpenAI's API.

Needs what `requirements-dev.txt` brings; CI has it.
"""

from __future__ import annotations

import io
import os
from typing import Any

import pytest
import requests

from comfybridge.simulator import Simulator
from tests.dialects.pictures import HOLE, RED, mask
from tests.web.answers import image

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # else it fetches prices when it is imported
litellm = pytest.importorskip("litellm", reason="requirements-dev.txt brings it")


@pytest.fixture
def bridge(url: str) -> dict[str, Any]:
    return {"api_base": f"{url}/v1", "api_key": "none"}


def test_generate(bridge: dict[str, Any]) -> None:
    answer = litellm.image_generation(
        "a cat", model="openai/gpt-image-2", n=2, size="64x64", extra_body={"steps": 2}, **bridge
    )
    assert [image(each.b64_json).size for each in answer.data] == [(64, 64)] * 2


def test_a_workflow_by_its_name(bridge: dict[str, Any], sim: Simulator) -> None:
    litellm.image_generation("a cat", model="openai/txt2img", size="64x64", extra_body={"steps": 2}, **bridge)
    sim.wait_until_idle()  # the answer may come before the history does
    assert len(sim.history) == 1


def test_links_for_older_models(bridge: dict[str, Any]) -> None:
    [made] = litellm.image_generation("a cat", model="openai/dall-e-3", size="64x64", **bridge).data
    assert requests.get(made.url, timeout=10).headers["Content-Type"] == "image/png"


def test_edit(bridge: dict[str, Any]) -> None:
    files = {name: io.BytesIO(data) for name, data in (("image", RED), ("mask", mask()))}
    answer = litellm.image_edit(model="openai/gpt-image-2", prompt="a hole", **files, **bridge)
    made = image(answer.data[0].b64_json).convert("RGB")
    assert made.getpixel((2, 2)) == (255, 0, 0)
    assert made.getpixel((HOLE[0] + 8, HOLE[1] + 8)) != (255, 0, 0)


def test_errors(bridge: dict[str, Any]) -> None:
    with pytest.raises(litellm.BadRequestError, match="size"):
        litellm.image_generation("a cat", model="openai/gpt-image-2", size="wide", **bridge)
    with pytest.raises(litellm.NotFoundError, match="nothing"):
        litellm.image_generation("a cat", model="openai/nothing", size="64x64", **bridge)

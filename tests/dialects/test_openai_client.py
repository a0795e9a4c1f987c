"""OpenAI's own Python client, unmodified, against the bridge.

Needs what `requirements-dev.txt` brings; CI has it.
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from flask import Flask

from comfybridge.simulator import Simulator
from tests.dialects.pictures import HOLE, RED, mask
from tests.served import served
from tests.web.answers import image
from tests.web.policies import KEYS

openai = pytest.importorskip("openai", reason="requirements-dev.txt brings it")

SMALL: dict[str, Any] = {"prompt": "a cat", "size": "64x64", "extra_body": {"steps": 4}}


@pytest.fixture
def client(url: str) -> Any:
    return openai.OpenAI(base_url=f"{url}/v1", api_key="none")


@pytest.fixture
def locked(make_app: Callable[..., Flask]) -> Iterator[str]:
    """Where a bridge is that needs keys."""
    with served(make_app(api_keys=KEYS)) as url:
        yield url


def sent(sim: Simulator) -> int:
    """How many prompts were sent to ComfyUI, also ones that failed."""
    return sum(each.path.endswith("/prompt") and each.method == "POST" for each in sim.requests)


def test_generate(client: Any) -> None:
    answer = client.images.generate(
        model="gpt-image-2",
        n=2,
        background="opaque",
        moderation="low",
        output_compression=80,
        output_format="webp",
        quality="high",
        user="u1",
        **{**SMALL, "extra_body": {"steps": 2, "seed": 42, "negative_prompt": "blur", "params": {"3.cfg": 5}}},
    )
    assert [image(each.b64_json).size for each in answer.data] == [(64, 64)] * 2
    assert (answer.output_format, answer.size, answer.quality, answer.background) == (
        *("webp", "64x64", "high", "opaque"),
    )
    assert answer.comfybridge["seed"] == 42
    assert answer._request_id


def test_a_url_needs_no_header(locked: str) -> None:
    client = openai.OpenAI(base_url=f"{locked}/v1", api_key="shop-secret")
    [made] = client.images.generate(response_format="url", **SMALL).data
    assert made.b64_json is None
    file = requests.get(made.url, timeout=10)
    assert image(base64.b64encode(file.content).decode()).size == (64, 64)


def test_edit(client: Any) -> None:
    answer = client.images.edit(image=RED, prompt="a sunset", extra_body={"steps": 2, "params": {"denoise": 0.5}})
    assert image(answer.data[0].b64_json).size == (64, 64)


def test_edit_with_a_mask(client: Any) -> None:
    answer = client.images.edit(
        image=[("red.png", RED, "image/png")], mask=mask(), prompt="a hole", extra_body={"steps": 2}
    )
    made = image(answer.data[0].b64_json).convert("RGB")
    assert made.getpixel((2, 2)) == (255, 0, 0)
    assert made.getpixel((HOLE[0] + 8, HOLE[1] + 8)) != (255, 0, 0)


def test_a_stream(client: Any) -> None:
    told = list(client.images.generate(stream=True, partial_images=2, **{**SMALL, "extra_body": {"steps": 8}}))
    assert {each.type for each in told[:-1]} == {"image_generation.partial_image"}
    assert told[-1].type == "image_generation.completed"
    assert image(told[-1].b64_json).size == (64, 64)
    assert told[-1].usage.total_tokens == 0
    *_, last = client.images.edit(image=RED, prompt="x", stream=True, extra_body={"steps": 2})
    assert last.type == "image_edit.completed"


def test_a_failure_in_a_stream(client: Any, sim: Simulator) -> None:
    sim.fail_node("KSampler", "out of paint")
    with pytest.raises(openai.APIError, match="out of paint") as error:
        list(client.images.generate(stream=True, **SMALL))
    assert error.value.code == "execution_failed"
    assert sent(sim) == 1


def test_models(client: Any, sim: Simulator) -> None:
    sim.checkpoints = ["sd/xl base.safetensors"]
    names = [each.id for each in client.models.list()]
    assert {"txt2img", "sd/xl base.safetensors"} <= set(names)
    assert client.models.retrieve("sd/xl base.safetensors").object == "model"
    with pytest.raises(openai.NotFoundError) as error:
        client.models.retrieve("nothing")
    assert error.value.code == "model_not_found"


@pytest.mark.parametrize(
    ("asked", "kind", "code", "param"),
    [
        ({"size": "wide"}, openai.BadRequestError, "invalid_request", "size"),
        ({"n": 11}, openai.BadRequestError, "invalid_request", "n"),
        ({"background": "transparent"}, openai.BadRequestError, "invalid_request", "background"),
        ({"model": "nothing"}, openai.NotFoundError, "model_not_found", "model"),
        ({"prompt": "x" * 2000}, openai.APIStatusError, "too_large", None),
    ],
)
def test_bad_requests(
    make_app: Callable[..., Flask], sim: Simulator, asked: dict[str, Any], kind: Any, code: str, param: str | None
) -> None:
    with served(make_app(max_json_bytes=1000)) as url:
        client = openai.OpenAI(base_url=f"{url}/v1", api_key="none")
        with pytest.raises(kind) as error:
            client.images.generate(**{**SMALL, **asked})
    assert (error.value.code, error.value.param) == (code, param)
    assert error.value.request_id
    assert not sim.history


@pytest.mark.parametrize(
    "call",
    [lambda client: client.chat.completions.create(model="x", messages=[]), lambda client: client.files.list()],
)
def test_what_is_not_there(client: Any, call: Callable[[Any], Any]) -> None:
    with pytest.raises(openai.NotFoundError) as error:
        call(client)
    assert error.value.code == "not_found"


def test_a_wrong_key(locked: str) -> None:
    client = openai.OpenAI(base_url=f"{locked}/v1", api_key="nonsense")
    with pytest.raises(openai.AuthenticationError) as error:
        client.images.generate(**SMALL)
    assert error.value.code == "unauthorized"


def test_a_failed_prompt_is_not_sent_again(client: Any, sim: Simulator) -> None:
    sim.fail_node("KSampler", "out of paint")
    with pytest.raises(openai.InternalServerError, match="out of paint"):
        client.images.generate(**SMALL)
    assert sent(sim) == 1


def test_an_interrupted_prompt_is_not_sent_again(client: Any, sim: Simulator, url: str) -> None:
    sim.hold()
    raised: list[BaseException] = []

    def ask() -> None:
        try:
            client.images.generate(**SMALL)
        except openai.OpenAIError as error:
            raised.append(error)

    waiting = threading.Thread(target=ask)
    waiting.start()
    sim.wait_until_running()
    [prompt_id] = sim.running
    assert requests.post(f"{url}/cancel/{prompt_id}", timeout=10).status_code == 200
    sim.release()
    waiting.join()
    assert isinstance(raised[0], openai.ConflictError)
    assert sent(sim) == 1


def test_a_client_that_waits_shortly_is_told_before_it_leaves(client: Any, sim: Simulator) -> None:
    sim.hold()
    with pytest.raises(openai.InternalServerError) as error:
        client.with_options(timeout=3).images.generate(**SMALL)
    assert (error.value.status_code, error.value.code) == (504, "timeout")
    assert sent(sim) == 1

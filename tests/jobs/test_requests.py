"""Requests as bytes: an agent runs what the bridge admitted, without a template of its own."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comfybridge.bridge import Bridge
from comfybridge.errors import BridgeError
from comfybridge.files.sent import LinkedFile
from comfybridge.files.stored import Place
from comfybridge.jobs.requests import Packed, pack, unpack
from comfybridge.prompts.admitted import Admitted
from comfybridge.request import GenerationRequest, InputFile, OutputOptions
from comfybridge.settings import load_settings
from comfybridge.simulator import Simulator
from tests.graphs import picture
from tests.web.saved_files import in_subgraph, of_unknown_pack

ID = "9a1bb5a5-8bb6-4f6e-a7b3-0c5c8c1f5c11"
texts = st.text(max_size=8)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=4,
)
objects = st.dictionaries(texts, values, max_size=3)
options = st.builds(
    OutputOptions,
    format=st.sampled_from([None, "png", "jpeg", "webp"]),
    quality=st.integers(1, 100),
    lossless=st.booleans(),
    background=st.just("#123456"),
    metadata=st.sampled_from(["keep", "strip"]),
    max_size=st.none() | st.integers(1, 9999),
    nodes=st.none() | st.lists(texts, max_size=2).map(tuple),
    previews=st.booleans(),
    links=st.booleans(),
)
files = st.builds(InputFile, texts, st.binary(max_size=9)) | st.builds(LinkedFile, texts, url=st.just("http://a/b"))
requests = st.builds(
    GenerationRequest,
    workflow=st.none(),
    graph=objects,
    params=objects,
    presets=st.dictionaries(texts, texts, max_size=2),
    timeout=st.floats(1, 100),
    wait=st.sampled_from([None, "hub", "poll"]),
    on_timeout=st.sampled_from(["cancel", "keep"]),
    retries=st.integers(0, 3),
    extra_data=objects,
    front=st.sampled_from([None, True, False]),
    number=st.none() | st.floats(-9, 9),
    partial_execution_targets=st.none() | st.lists(texts, max_size=2),
    images=st.lists(files, max_size=3),
    dynamic_texts=st.booleans(),
    lora_tags=st.booleans(),
    output=options,
    wants_first_image=st.booleans(),
    idempotency_key=st.none() | texts,
    n=st.integers(1, 64),
    seed_step=st.integers(0, 9),
    warnings=st.lists(texts, max_size=2),
)


@pytest.fixture(scope="module")
def bridge() -> Iterator[Bridge]:
    with Bridge(load_settings(comfyui_url="http://127.0.0.1:9")) as bridge:
        yield bridge


def received(packed: Packed, data: bytes | None = None, **given: Any) -> Admitted:
    blobs = dict(packed.files)

    def read_file(name: str) -> bytes:
        return b"".join(blobs[name])

    return unpack(packed.data if data is None else data, read_file, no_place, prompt_id=ID, seconds=60, **given)


def no_place(place: Place) -> Iterable[bytes]:
    raise AssertionError(place)


@given(requests)
def test_a_request_arrives_with_every_field_as_it_was(bridge: Bridge, request: GenerationRequest) -> None:
    for field in dataclasses.fields(GenerationRequest):  # a new field belongs into `requests` too
        assert field.name in requests.__repr__() or field.name == "workflow", field.name
    admitted = bridge.admit(request, "shop")

    arrived = received(pack(admitted, bridge))

    assert arrived.asked == request
    assert (arrived.owner, arrived.fingerprint) == ("shop", admitted.fingerprint)
    assert arrived.prompt_id == ID


def test_what_a_later_version_adds_is_ignored(bridge: Bridge) -> None:
    packed = pack(bridge.admit(GenerationRequest(graph=picture(), output=OutputOptions(quality=7))), bridge)
    told = json.loads(packed.data)
    told["mood"] = told["request"]["mood"] = told["request"]["output"]["mood"] = "good"
    del told["request"]["seed_step"]

    arrived = received(packed, json.dumps(told).encode())

    assert arrived.asked.output.quality == 7
    assert arrived.asked.seed_step == 1


PARAMETERS = """
description: Paints a picture.
task: txt2img
parameters:
  prompt: {node: "6", input: text, required: true}
  seed: {node: "3", input: seed}
  steps: {node: "3", input: steps}
presets:
  quality:
    low: {steps: 1}
    high: {steps: 9}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shipped = Path(__file__).parents[2] / "workflows"
    (tmp_path / "mine.json").write_bytes((shipped / "txt2img.json").read_bytes())
    (tmp_path / "mine.yaml").write_text(PARAMETERS)
    return tmp_path


def on_an_agent(
    sim: Simulator, folder: Path, tmp_path_factory: pytest.TempPathFactory, **asked: Any
) -> tuple[BridgeError | None, dict[str, Any]]:
    """What becomes of a request of a bridge on an agent that has no templates; the error, or the parameters used."""
    empty = tmp_path_factory.mktemp("empty")
    with (
        Bridge(load_settings(comfyui_url=sim.url, workflows_dir=folder, default_workflow="mine")) as bridge,
        Bridge(load_settings(comfyui_url=sim.url, workflows_dir=empty)) as agent,
    ):
        packed = pack(bridge.admit(GenerationRequest(**asked)), bridge)
        try:
            with agent.generating(received(packed)) as generation:
                assert generation.prompt_id == ID
                return None, generation.params
        except BridgeError as error:
            return error, {}


def test_an_agent_runs_a_template_that_only_the_bridge_has(
    sim: Simulator, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    error, params = on_an_agent(
        sim, folder, tmp_path_factory, workflow="mine", params={"prompt": "a cat"}, presets={"quality": "high"}
    )

    assert error is None, error.message
    assert (params["prompt"], params["steps"]) == ("a cat", 9)


def test_the_template_that_no_name_asks_for_is_the_default_of_the_bridge(
    sim: Simulator, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    error, params = on_an_agent(sim, folder, tmp_path_factory, params={"prompt": "a cat", "seed": 3})

    assert error is None, error.message
    assert params["seed"] == 3


def test_errors_name_the_template_on_an_agent_too(
    sim: Simulator, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    error, _ = on_an_agent(sim, folder, tmp_path_factory, workflow="mine")

    assert error is not None
    assert error.message == "The workflow mine needs prompt (what to show): give a text."
    assert error.field == "prompt"


SHIPPED = Path(__file__).parents[2] / "workflows"


@pytest.mark.parametrize("name", sorted(each.stem for each in SHIPPED.glob("*.json")))
def test_a_template_arrives_as_the_bridge_has_it(bridge: Bridge, name: str) -> None:
    arrived = received(pack(bridge.admit(GenerationRequest(workflow=name)), bridge))

    assert arrived.workflow == bridge.library.get(name)


def test_a_template_of_the_editor_s_format_is_converted_by_the_agent(
    sim: Simulator, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (folder / "mine.json").write_text(json.dumps(in_subgraph()))
    (folder / "mine.yaml").write_text("description: Of the editor.\n")

    error, params = on_an_agent(sim, folder, tmp_path_factory, workflow="mine", params={"width": 72})

    assert error is None, error.message
    assert params["width"] == 72
    error, _ = on_an_agent(sim, folder, tmp_path_factory, workflow="mine", params={"depth": 72})
    assert error is not None
    assert error.message.startswith("depth is not a parameter; accepted are")


def test_a_broken_template_is_named_in_the_agent_s_error(
    sim: Simulator, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (folder / "mine.json").write_text(json.dumps(of_unknown_pack()))
    (folder / "mine.yaml").unlink()

    error, _ = on_an_agent(sim, folder, tmp_path_factory, workflow="mine")

    assert error is not None
    assert error.type == "broken_workflow"
    assert error.message.startswith("The workflow mine is broken: Node 7")
    assert error.lacks == "StrangeNode"

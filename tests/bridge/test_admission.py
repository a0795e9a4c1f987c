"""What a program hands to `Bridge`, and what it must have been through before it can be queued."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest

from comfybridge import Bridge, GenerationRequest, load_settings
from comfybridge.errors import InvalidRequest
from comfybridge.request import InputFile
from comfybridge.simulator import Simulator
from comfybridge.workflow import template
from tests import graphs
from tests.web.input_files import loading, png


@pytest.fixture
def bridge(sim: Simulator) -> Iterator[Bridge]:
    with Bridge(load_settings(comfyui_url=sim.url)) as bridge:
        yield bridge


@pytest.fixture
def discoveries(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A number for each time that a graph of a request is looked through for parameters: its nodes."""
    counted = []
    examine = template.examine

    def counting(graph: template.Graph, *others: Any) -> template.Discovery:
        counted.append(len(graph))
        return examine(graph, *others)

    monkeypatch.setattr(template, "examine", counting)
    return counted


def test_a_request_never_changes_and_can_be_made_again(bridge: Bridge) -> None:
    graph = graphs.picture()
    request = GenerationRequest(graph=graph)
    with pytest.raises(dataclasses.FrozenInstanceError):
        request.timeout = 5  # type: ignore[misc]
    ids = {bridge.generate(request).prompt_id for _ in range(2)}
    assert len(ids) == 2
    assert request == GenerationRequest(graph=graph)


def test_the_time_of_a_request_counts_from_when_it_is_admitted(bridge: Bridge) -> None:
    request = GenerationRequest(graph=graphs.picture(), timeout=30)
    first, second = bridge.admit(request, started=5.0), bridge.admit(request, started=7.0)
    assert (first.deadline.started, second.deadline.started) == (5.0, 7.0)
    assert first.trace is not second.trace


def test_what_was_not_admitted_is_not_queued(bridge: Bridge, sim: Simulator) -> None:
    with pytest.raises(TypeError, match=r"bridge\.submit\(bridge\.admit\(request\)\)"):
        bridge.submit(GenerationRequest(graph=graphs.picture()))  # type: ignore[arg-type]
    assert not [each for each in sim.requests if each.path == "/prompt"]
    assert bridge.slots.taken == 0


def test_a_graph_given_as_the_workflow_is_a_graph(bridge: Bridge) -> None:
    graph = graphs.picture()
    request = GenerationRequest(workflow=graph)
    assert request == GenerationRequest(graph=graph)
    assert bridge.generate(request).images
    with pytest.raises(InvalidRequest, match="Either a graph or the name of a workflow"):
        bridge.generate(GenerationRequest(workflow=graph, graph=graph))


def test_a_graph_of_which_nothing_is_named_is_not_looked_through(bridge: Bridge, discoveries: list[int]) -> None:
    assert bridge.generate(GenerationRequest(graph=graphs.picture())).images
    assert discoveries == []


def test_a_graph_is_looked_through_once_whatever_comes_with_it(
    bridge: Bridge, sim: Simulator, discoveries: list[int]
) -> None:
    graph = graphs.txt2img(sim.checkpoints[0])
    assert bridge.generate(GenerationRequest(graph=graph, params={"steps": 1, "width": 64})).images
    assert len(discoveries) == 1
    asked = GenerationRequest(graph=loading("a.png"), images=[InputFile("a.png", png())])
    for request in (asked, dataclasses.replace(asked, params={"11.filename_prefix": "x"})):
        discoveries.clear()
        assert bridge.generate(request).images
        assert len(discoveries) == 1


def test_a_template_is_looked_through_when_it_is_read_only(bridge: Bridge, discoveries: list[int]) -> None:
    text = GenerationRequest(params={"prompt": "x", "width": 64, "height": 64, "steps": 1})
    file = GenerationRequest("img2img", params={"prompt": "x", "steps": 1}, images=[InputFile("image", png())])
    for request in (text, text, file):
        assert bridge.generate(request).images
    assert discoveries == []

"""How many nodes of a graph are done."""

from __future__ import annotations

from typing import Any

import pytest

from tests.graphs import node
from tests.prompts.timed_server import Part, Server, Told, again, txt2img, whole


def nodes(told: Told) -> list[tuple[str, int, int]]:
    return [(each.node_id, each.nodes_done, each.nodes_total) for _, each in told.heard if each.value == 0]


@pytest.mark.parametrize("tells_states", [True, False])
def test_each_node_that_begins_finds_those_before_it_done(server: Server, tells_states: bool) -> None:
    told = server.run(txt2img(), whole(), tells_states=tells_states)
    assert nodes(told) == [(name, done, 7) for done, name in enumerate(("4", "5", "6", "7", "3", "8", "9"))]
    assert {each.nodes_done for each in told.of("KSampler")} == {4}
    last = told.heard[-1][1]
    assert (last.nodes_done, last.nodes_total) == (7, 7)


def test_cached_nodes_are_done_from_the_start(server: Server) -> None:
    assert nodes(server.run(txt2img(), again())) == [("3", 4, 7), ("8", 5, 7), ("9", 6, 7)]


def test_what_a_node_expands_to_is_not_counted(server: Server) -> None:
    graph: dict[str, Any] = {
        "1": node("CheckpointLoaderSimple", ckpt_name="a.safetensors"),
        "2": node("SomebodysSampler", model=["1", 0], seed=1, steps=20),
        "3": node("SaveImage", images=["2", 0]),
    }
    parts = [Part("1", 2), Part("2", 0.1), Part("2.0.0.1", 1, display="2"), Part("2.0.0.2", 1, display="2")]
    told = server.run(graph, [*parts, Part("3", 0.2)])
    assert {each.nodes_total for _, each in told.heard} == {3}
    assert [each.nodes_done for _, each in told.heard if each.node_id == "3"] == [2, 3]


def test_only_the_nodes_that_were_asked_for_count(server: Server) -> None:
    graph = txt2img(20)
    graph["20"] = node("KSampler", seed=1, steps=400, model=["4", 0], latent_image=["5", 0])
    graph["21"] = node("SaveLatent", samples=["20", 0])
    assert nodes(server.run(graph, again(20), targets=["9"])) == [("3", 4, 7), ("8", 5, 7), ("9", 6, 7)]

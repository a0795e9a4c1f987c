"""Progress on a server that has not run such nodes before."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from tests.graphs import node
from tests.prompts.timed_server import Part, Server, again, txt2img, whole


def test_steps_fill_the_bar_on_a_server_that_never_ran_such_nodes(server: Server) -> None:
    told = server.run(txt2img(40), whole(40, load=1))
    sampling = [each.percent for each in told.of("KSampler")]
    assert sampling[0] < 6
    assert sampling[-1] > 95
    gaps = [later - earlier for earlier, later in pairwise(sampling)]
    assert max(gaps) - min(gaps) < 0.3


def test_nodes_that_are_cached_leave_the_bar_to_the_others(server: Server) -> None:
    told = server.run(txt2img(40), again(40))
    assert told.heard[0][1].percent == 0
    assert max(told.deviations) < 4


def test_the_end_is_told(server: Server) -> None:
    last = server.run(txt2img(), whole()).heard[-1][1]
    assert (last.percent, last.eta_seconds, last.class_type, last.value, last.max) == (100, 0, "SaveImage", 1, 1)


def test_a_prompt_that_fails_never_gets_to_its_end(server: Server) -> None:
    told = server.run(txt2img(), whole(), fails=True)
    assert max(each.percent for _, each in told.heard) < 100


def test_a_graph_that_is_cached_as_a_whole_gets_to_its_end(server: Server) -> None:
    told = server.run(txt2img(), [])
    assert [each.percent for _, each in told.heard] == [100]


def test_the_time_left_is_told_from_the_second_step_on(server: Server) -> None:
    told = server.run(txt2img(), whole(warm_up=30))
    etas = [each.eta_seconds for each in told.of("KSampler")]
    assert etas[:2] == [None, None]  # the first step includes loading the model
    assert None not in etas[2:]
    assert max(told.eta_errors) < 1


@pytest.mark.parametrize("tells_states", [True, False])
def test_a_prompt_that_is_joined_in_its_middle_is_not_at_its_beginning(server: Server, tells_states: bool) -> None:
    told = server.run(txt2img(40), whole(40), tells_states=tells_states, heard_from="3")
    first = told.of("KSampler")[0]
    assert (first.value, first.nodes_done) == (20, 4)
    assert 45 < first.percent < 50
    assert told.of("VAEDecode")[0].percent > 90


@pytest.mark.parametrize("tells_states", [True, False])
def test_several_samplers_share_the_bar_by_their_steps(server: Server, tells_states: bool) -> None:
    graph = txt2img(10)
    graph["10"] = node("KSamplerAdvanced", steps=40, start_at_step=10, end_at_step=10_000, latent_image=["3", 0])
    graph["8"]["inputs"]["samples"] = ["10", 0]
    parts = [Part("3", 0, 10, 1), Part("10", 0, 30, 1), Part("8", 0.5), Part("9", 0.5)]
    told = server.run(graph, parts, tells_states=tells_states)
    assert max(told.deviations) < 2
    assert max(told.eta_errors) < 0.6


CUSTOM = {
    "1": node("UNETLoader", unet_name="flux.safetensors"),
    "2": node("BasicScheduler", model=["1", 0], scheduler="simple", steps=["9", 0], denoise=1.0),
    "9": node("PrimitiveInt", value=30),
    "3": node("SamplerCustomAdvanced", noise=["5", 0], guider=["6", 0], sampler=["7", 0], sigmas=["2", 0]),
    "5": node("RandomNoise", noise_seed=1),
    "6": node("BasicGuider", model=["1", 0], conditioning=["8", 0]),
    "7": node("KSamplerSelect", sampler_name="euler"),
    "8": node("CLIPTextEncode", text="a cat", clip=["1", 1]),
    "10": node("SaveLatent", samples=["3", 0]),
}
PIPED = {
    "1": node("easy comfyLoader", ckpt_name="a.safetensors"),
    "2": node("easy preSampling", pipe=["1", 0], steps=30, seed=1),
    "3": node("easy kSampler", pipe=["2", 0]),
    "10": node("SaveImage", images=["3", 1]),
}
VIDEO = {
    "1": node("WanVideoModelLoader", model="wan.safetensors"),
    "3": node("WanVideoSampler", model=["1", 0], text_embeds=["2", 0], steps=30, seed=1, end_step=-1),
    "2": node("WanVideoTextEncode", positive_prompt="a cat"),
    "10": node("WanVideoDecode", samples=["3", 0]),
}
UNKNOWN_STEPS = {
    "1": node("UNETLoader", unet_name="flux.safetensors"),
    "2": node("SomebodysSigmas", model=["1", 0]),
    "3": node("SamplerCustomAdvanced", model=["1", 0], sigmas=["2", 0]),
    "10": node("SaveLatent", samples=["3", 0]),
}


@pytest.mark.parametrize("graph", [CUSTOM, PIPED, VIDEO, UNKNOWN_STEPS], ids=["custom", "piped", "video", "unknown"])
def test_the_steps_are_found_wherever_the_graph_holds_them(server: Server, graph: dict[str, Any]) -> None:
    before = [Part(name, 0.01) for name in graph if name not in ("3", "10")]
    told = server.run(graph, [*before, Part("3", 0, 30, 1), Part("10", 0.2)])
    sampling = [each for each in told.heard if each[1].node_id == "3"]
    assert sampling[0][1].percent < 15
    assert sampling[-1][1].percent > 95
    assert max(told.eta_errors) < 1


@pytest.mark.parametrize("tells_states", [True, False])
def test_what_a_node_expands_to_counts_as_its_own(server: Server, tells_states: bool) -> None:
    graph = {
        "1": node("CheckpointLoaderSimple", ckpt_name="a.safetensors"),
        "2": node("SomebodysSampler", model=["1", 0], seed=1, steps=20),
        "3": node("SaveImage", images=["2", 0]),
    }
    parts = [Part("1", 2), Part("2", 0.1), Part("2.0.0.1", 0, 20, 1, display="2"), Part("2.0.0.2", 1, display="2")]
    parts.append(Part("3", 0.2))
    for deviation in (20, 2):
        told = server.run(graph, parts, tells_states=tells_states)
        assert {each.node_id for _, each in told.heard} == {"1", "2", "3"}
        assert max(told.deviations) < deviation


def test_only_what_was_asked_for_counts(server: Server) -> None:
    graph = txt2img(20)
    graph["20"] = node("KSampler", seed=1, steps=400, model=["4", 0], latent_image=["5", 0])
    graph["21"] = node("SaveLatent", samples=["20", 0])
    told = server.run(graph, again(20), targets=["9"])
    assert max(told.deviations) < 6

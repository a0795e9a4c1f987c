"""Any JSON as a graph, and graphs that are made to take long."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st

from comfybridge.errors import BridgeError
from comfybridge.workflow.discovery import examine
from comfybridge.workflow.filling import fill
from comfybridge.workflow.graph import MOST_INPUTS, MOST_NODES, check_graph
from comfybridge.workflow.template import Template
from tests import graphs as good
from tests.growth import grows_evenly
from tests.properties.contract import kept
from tests.properties.made_up import graphs, json_values, params, targets
from tests.web.answers import failure

TIMEOUT = 20  # seconds: nothing may take long, except on a busy machine


@given(value=json_values(), field=st.sampled_from(["workflow", "prompt"]))
def test_anything_as_a_graph(api: FlaskClient, value: Any, field: str) -> None:
    body = json.dumps({field: value, "timeout": TIMEOUT})
    kept(lambda: api.post("/generate", data=body))


@given(graph=graphs, given_params=params, nodes=st.none() | st.lists(st.sampled_from("1234"), max_size=2))
def test_graphs_of_known_and_unknown_nodes(
    api: FlaskClient, graph: Any, given_params: Any, nodes: list[str] | None
) -> None:
    asked = {"workflow": graph, "params": given_params, "partial_execution_targets": nodes, "timeout": TIMEOUT}
    kept(lambda: api.post("/generate", data=json.dumps(asked)))


@given(
    name=targets,
    value=json_values(leaves=4),
    wait=st.sampled_from(["hub", "websocket", "poll"]),
)
def test_a_good_graph_with_any_input_overridden(api: FlaskClient, name: str, value: Any, wait: str) -> None:
    asked = {"workflow": good.picture(), "params": {name: value}, "wait": wait, "timeout": TIMEOUT}
    kept(lambda: api.post("/generate", data=json.dumps(asked)))


@given(value=graphs)
def test_what_is_checked_can_be_walked_and_filled(value: Any) -> None:
    try:
        graph = check_graph(value)
    except BridgeError:
        return
    found = examine(graph).parameters
    assert all(target.input in graph[target.node]["inputs"] for each in found.values() for target in each.targets)
    assert fill(Template.of_graph(graph), {}).graph == check_graph(graph)


# -- made to take long


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}


def sampler(**inputs: Any) -> dict[str, Any]:
    return node("KSampler", seed=1, steps=2, cfg=7.0, **inputs)


def each_asks_where_a_chain_ends(name: str, count: int) -> dict[str, Any]:
    """Nodes in a row, each with a link to the end of a row of others that only pass something on."""
    graph: dict[str, Any] = {f"p{n}": node("Pass", x=[f"p{n - 1}", 0]) for n in range(1, count)}
    graph["p0"] = node("Pass", x=[0, 0])
    for n in range(1, count):
        graph[f"c{n}"] = node("Step", conditioning=[f"c{n - 1}", 0], pixels=[f"c{n - 1}", 0])
        graph[f"c{n}"]["inputs"] |= {each: [f"p{count - 1}", 0] for each in name.split()}
    graph["c0"] = node("Start")
    graph["s"] = sampler(positive=[f"c{count - 1}", 0], latent_image=[f"c{count - 1}", 0])
    return graph


def many_samplers(count: int) -> dict[str, Any]:
    chain = {f"c{n}": node("A", conditioning=[f"c{n - 1}", 0]) for n in range(1, count)}
    samplers = {
        f"s{n}": sampler(positive=[f"c{count - 1 - n}", 0], negative=[f"c{count // 2 - n}", 0])
        for n in range(count // 20)
    }
    return {"c0": node("CLIPTextEncode", text="x"), **chain, **samplers}


def one_node_of_many_links(count: int) -> dict[str, Any]:
    fan = node("Join", **{f"conditioning{n}": [f"c{n % 900}", n % 7] for n in range(count)})
    return {"s": sampler(positive=["j", 0]), "j": fan, **{f"c{n}": node("A", x=1) for n in range(900)}}


@pytest.mark.parametrize(
    ("make", "size"),
    [
        (partial(each_asks_where_a_chain_ends, "guidance"), 200),
        (partial(each_asks_where_a_chain_ends, "text text_g text_l clip_g"), 200),
        (partial(each_asks_where_a_chain_ends, "width height batch_size amount"), 200),
        (many_samplers, 200),
        (one_node_of_many_links, 1500),
    ],
    ids=["guidance", "texts", "sizes", "samplers", "links"],
)
def test_what_it_takes_to_walk_a_graph_grows_with_the_graph(make: Callable[[int], dict[str, Any]], size: int) -> None:
    grows_evenly(lambda count: check_graph(make(count)), examine, size)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: {"workflow": {str(n): node("A") for n in range(MOST_NODES + 1)}}, "at most 20000 are accepted"),
        (
            lambda: {"workflow": {"1": node("A", **{str(n): 1 for n in range(MOST_INPUTS + 1)})}},
            "at most 100000 are accepted",
        ),
        (lambda: {"workflow": {"1": node("x" * 300)}}, "class_type has more than 256 characters"),
        (lambda: {"workflow": {"1": node("."), "2": node("SaveImage", images=["1", 0])}}, "no node class '.'"),
        (lambda: {"workflow": good.picture(), "params": {"." * 2_000_000: 1}}, "is not a parameter"),
        (lambda: {"params": {"." * 2_000_000: 1}}, "is not a parameter"),
        (
            lambda: {
                "workflow": {f"{'x' * 90}{n}": node("A") for n in range(8_000)},
                "params": {f"{'x' * 90}y.z": 1},
            },
            "the graph has no node",
        ),
        (lambda: {f"{n}": 1 for n in range(100_000)}, "The body has 100000 fields"),
        (lambda: {"workflow": good.picture(), "images": {str(n): "eA==" for n in range(100_000)}}, "100000 files"),
        (lambda: {"workflow": good.picture(), "images": [{"name": "x", "image": "eA=="}] * 100_000}, "100000 files"),
    ],
)
def test_what_is_too_much_of_anything_is_refused_in_no_long_time(
    api: FlaskClient, make: Callable[[], dict[str, Any]], said: str
) -> None:
    body = json.dumps(make())
    response = kept(lambda: api.post("/generate", data=body))
    assert response.status_code == 400
    assert said in response.get_json()["error"]


def test_a_body_of_millions_of_lists_is_refused_before_it_is_parsed(
    api: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed, loads = [], json.loads
    monkeypatch.setattr(json, "loads", lambda text, **how: [parsed.append(len(text)), loads(text, **how)][1])
    body = b'{"prompt": [' + b"[]," * 2_000_000 + b"[]]}"
    assert "more than 500000 values" in failure(api.post("/generate", data=body), 400, "invalid_request")["error"]
    assert parsed  # the answer
    assert max(parsed) < len(body)


def test_many_files_for_many_inputs_are_placed_in_no_long_time(api: FlaskClient) -> None:
    graph = {**many_samplers(1000), **{f"l{n}": node("LoadImage", image=f"f{n}") for n in range(99)}}
    asked = {"workflow": graph, "images": {f"f{n}": "eA==" for n in range(99)}}
    body = json.dumps(asked)
    kept(lambda: api.post("/generate", data=body))

"""A graph is checked before anything is sent: each fault is one sentence that names the node."""

from __future__ import annotations

from typing import Any

import pytest

from comfybridge.errors import InvalidWorkflow
from comfybridge.workflow.graph import check_graph, is_link, parse_target
from tests.growth import grows_evenly
from tests.workflow.drawn import default, node, sampler

deep: list[Any] = []
for _ in range(200):
    deep = [deep]

BAD_GRAPHS = {
    "a list": ([], "is a list; it must be an object of nodes"),
    "a text": ("txt2img", "is the text 'txt2img'"),
    "nothing": (None, "is null"),
    "an empty object": ({}, "is empty"),
    "two graphs": ({"a": default(), "b": default()}, "holds several graphs, under a and b"),
    "a node that is no object": ({**default(), "5": "x"}, "Node 5 is the text 'x'"),
    "no class_type": (default(n5={"inputs": {}}), "Node 5: class_type is missing or empty"),
    "an empty class_type": (default(n5=node("")), "Node 5: class_type is missing or empty"),
    "a number for class_type": (default(n5={"class_type": 5}), "Node 5: class_type is 5"),
    "inputs that are a list": (default(n5={"class_type": "A", "inputs": []}), "Node 5 (A): inputs is a list"),
    "a dangling link": (
        default(n8=node("VAEDecode", samples=["99", 0])),
        "Node 8 (VAEDecode): input samples links to node 99, which is not in the graph.",
    ),
    "a negative slot": (default(n8=node("VAEDecode", samples=["3", -1])), "links to output -1 of node 3"),
    "a node that feeds itself": (default(n8=node("VAEDecode", samples=["8", 0])), "in a circle: 8 -> 8"),
    "a number that is none": (default(n3=sampler(cfg=float("nan"))), "Node 3 (KSampler): input cfg is nan"),
    "an endless number": (default(n3=sampler(cfg=float("inf"))), "input cfg is inf"),
    "a value nested too deeply": (default(n3=sampler(cfg=deep)), "input cfg is nested more than 64 levels"),
    "bytes": (default(n3=sampler(cfg=b"8")), "input cfg is a bytes, which JSON cannot hold"),
    "an odd node id": ({None: node("A")}, "A node's id is null"),
}


@pytest.mark.parametrize(("graph", "sentence"), BAD_GRAPHS.values(), ids=BAD_GRAPHS.keys())
def test_a_bad_graph_is_refused_with_one_sentence(graph: object, sentence: str) -> None:
    with pytest.raises(InvalidWorkflow) as caught:
        check_graph(graph)
    assert sentence in caught.value.message
    assert caught.value.message.endswith(".")
    assert caught.value.type == "invalid_workflow"


def test_a_circle_names_the_nodes_on_it_and_only_those() -> None:
    graph = default(
        a=node("A", x=["b", 0]), b=node("B", x=["c", 0]), c=node("C", x=["a", 0]), d=node("D", x=["a", 0])
    )
    with pytest.raises(InvalidWorkflow) as caught:
        check_graph(graph)
    circle = caught.value.message.removeprefix("The graph's links go in a circle: ").removesuffix(".").split(" -> ")
    assert set(circle) == {"a", "b", "c"}
    assert circle[0] == circle[-1]
    assert "ac" in "".join(circle * 2)  # along the data: c takes from a


def test_the_checked_graph_is_a_copy_and_keeps_everything() -> None:
    graph = default()
    graph["3"]["_meta"] = {"title": "KSampler"}
    checked = check_graph(graph)
    assert checked == graph
    checked["3"]["_meta"]["title"] = "changed"
    checked["3"]["inputs"]["model"][0] = "changed"
    assert graph["3"]["_meta"]["title"] == "KSampler"
    assert graph["3"]["inputs"]["model"] == ["4", 0]


def test_missing_inputs_are_no_inputs() -> None:
    assert check_graph({"1": {"class_type": "A"}}) == {"1": {"class_type": "A", "inputs": {}}}


def test_integer_node_ids_become_texts_where_the_node_exists() -> None:
    checked = check_graph(default(n8=node("VAEDecode", samples=[3, 0], size=[512, 512])))
    assert checked["8"]["inputs"] == {"samples": ["3", 0], "size": [512, 512]}
    assert list(check_graph({3: node("A")})) == ["3"]


@pytest.mark.parametrize(
    "value", [["a"], [], ["a", "b"], ["a", 0, 1], [1.5, 0], ["a", True], {"__value__": ["a", 0]}]
)
def test_a_list_that_is_no_link_is_left_to_comfyui(value: Any) -> None:
    assert not is_link(value)
    assert check_graph(default(n10=node("A", x=value)))["10"]["inputs"]["x"] == value


def in_a_row(count: int) -> dict[str, Any]:
    return {str(i): node("A", x=[str(i - 1), 0]) if i else node("A") for i in range(count)}


def test_ten_thousand_nodes_in_a_row_are_checked_in_a_moment() -> None:
    grows_evenly(in_a_row, check_graph, 1250)
    graph = in_a_row(10_000)
    graph["0"] = node("A", x=["9999", 0])
    with pytest.raises(InvalidWorkflow, match=r"circle: .*\.\.\."):
        check_graph(graph)


def test_a_target_is_split_where_the_longest_node_id_ends() -> None:
    graph = {"3": node("A"), "12:7": node("A"), "a": node("A"), "a.b": node("A")}
    assert parse_target("3.seed", graph) == ("3", "seed")
    assert parse_target("12:7.text", graph) == ("12:7", "text")
    assert parse_target("3.inputs.deep", graph) == ("3", "inputs.deep")
    assert parse_target("a.b.c", graph) == ("a.b", "c")
    assert parse_target("99.seed", graph) == ("99", "seed")
    for name in ("seed", "3.", ".seed", "."):
        assert parse_target(name, graph) is None

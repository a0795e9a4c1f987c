"""Files made to take long, or never to end. What matters is how the time grows, so that nothing here depends on the
machine's speed but a limit that is far away.
"""

from __future__ import annotations

import time
from typing import Any

import pytest

from comfybridge.errors import InvalidWorkflow
from comfybridge.workflow.editor.conversion import convert
from comfybridge.workflow.editor.dynamic_prompts import drawn
from comfybridge.workflow.editor.layout import DEEPEST
from comfybridge.workflow.graph import MOST_NODES
from tests.workflow.editor.drawn import empty_image, file, invert, node, save_image, subgraph
from tests.workflow.editor.judge import load

FAR_AWAY = 20  # seconds; on an idle machine it takes one


@pytest.fixture(autouse=True)
def _in_time():
    start = time.process_time()
    yield
    assert time.process_time() - start < FAR_AWAY


def converted(workflow: Any) -> Any:
    return convert(workflow, load("object_info-0.33.0"))


def nested(count: int, last: str = "EmptyImage", twice: bool = False) -> Any:
    """Subgraphs in one another; the innermost holds a node of the given type."""
    inner = [*(f"s{number}" for number in range(1, count)), last]
    subgraphs = [
        subgraph(f"s{number}", [node(id_, kind) for id_ in ([1, 2] if twice else [1])])
        for number, kind in enumerate(inner)
    ]
    return file([node(1, "s0")], subgraphs=subgraphs)


def chain(count: int, kind: str, mode: int = 0) -> Any:
    """A picture that goes through many nodes to be saved."""
    nodes = [empty_image(1)]
    for number in range(2, count):
        between = invert(number, number, mode=mode)
        nodes.append(between if kind == "ImageInvert" else node(number, kind, None, [("", "*", number)]))
    links = [(number, number - 1, 0, number) for number in range(2, count + 1)]
    return file([*nodes, save_image(count, count)], links)


def test_many_nodes_in_a_row():
    prompt = converted(chain(MOST_NODES, "ImageInvert"))
    assert len(prompt) == MOST_NODES


@pytest.mark.parametrize(("kind", "mode"), [("Reroute", 0), ("ImageInvert", 4)])
def test_a_link_past_many_nodes(kind: str, mode: int):
    prompt = converted(chain(5_000, kind, mode))
    assert prompt["5000"]["inputs"]["images"] == ["1", 0]


def test_many_links_past_the_same_nodes():
    workflow = chain(5_000, "Reroute")
    savers = [save_image(number, number) for number in range(5_001, 10_001)]
    links = [[number, 4_999, 0, number, 0, "*"] for number in range(5_001, 10_001)]
    workflow["nodes"] += savers
    workflow["links"] += links
    assert all(each["inputs"].get("images") == ["1", 0] for key, each in converted(workflow).items() if key != "1")


def test_too_many_nodes():
    with pytest.raises(InvalidWorkflow, match=f"has {MOST_NODES + 1} nodes; at most {MOST_NODES} are accepted"):
        converted(file(empty_image(number) for number in range(MOST_NODES + 1)))


def test_subgraphs_in_one_another():
    path = ":".join(["1"] * (DEEPEST + 1))
    # each definition has a node 1, so that all but the first get ids of their own
    assert [key.count(":") for key in converted(nested(DEEPEST))] == [path.count(":")]


def test_subgraphs_nested_a_thousand_times():
    with pytest.raises(InvalidWorkflow, match=f"nested more than {DEEPEST} levels deep"):
        converted(nested(1000))


def test_a_subgraph_that_holds_itself():
    with pytest.raises(InvalidWorkflow, match="Subgraph s0 holds itself"):
        converted(nested(1000, last="s0"))


def test_subgraphs_that_double_with_each_level():
    with pytest.raises(InvalidWorkflow, match="counting those of each subgraph as often as it is used"):
        converted(nested(60, twice=True))


def test_subgraphs_that_hold_much_and_are_used_often():
    heavy = subgraph("heavy", [node(1, "SaveImage", [[0] * 10_000])])
    with pytest.raises(InvalidWorkflow, match="inputs and values, counting those of each subgraph as often"):
        converted(file([node(number, "heavy") for number in range(10_000)], subgraphs=[heavy]))


def test_a_subgraph_with_many_inputs_and_pairs():
    nodes = [node(number, "EmptyImage", [1], [("width", "INT", number, "width")]) for number in range(1, 3_001)]
    links = [(number, -10, number - 1, number) for number in range(1, 3_001)]
    inputs = [(f"input {number}", "INT", [number]) for number in range(1, 3_001)]
    wide = subgraph("wide", nodes, links, inputs)
    pairs = [[str(number), name] for number in range(1, 3_001) for name in ("width", "height", "no such")]
    outer = node(1, "wide", list(range(9_000)), properties={"proxyWidgets": pairs})
    prompt = converted(file([outer], subgraphs=[wide]))
    assert len(prompt) == 3_000


def test_a_group_node_that_holds_itself():
    group = {"nodes": [{"type": "workflow>Pair"}, {"type": "workflow>Pair"}], "links": [], "external": []}
    with pytest.raises(InvalidWorkflow, match="group nodes hold more than"):
        converted(file([node(1, "workflow>Pair")], extra={"groupNodes": {"Pair": group}}))


def test_definitions_within_definitions():
    innermost = subgraph("s999", [empty_image(1)])
    for number in range(998, -1, -1):
        innermost = {**subgraph(f"s{number}", [empty_image(1)]), "definitions": {"subgraphs": [innermost]}}
    assert len(converted(file([node(1, "s999")], subgraphs=[innermost]))) == 1


@pytest.mark.parametrize("piece", ["{", "/*", "{a|", "\\", "{a|b}", "}", "/"])
def test_texts_full_of_signs(piece: str):
    assert isinstance(drawn(piece * 30_000, lambda: 0), str)


def test_values_nested_too_deeply():
    value: Any = "x"
    for _ in range(500):
        value = [value]
    with pytest.raises(InvalidWorkflow, match="filename_prefix is nested more than 60 levels deep"):
        converted(file([node(1, "SaveImage", [value])]))

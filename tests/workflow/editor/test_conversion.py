"""What a conversion tells beside the prompt: titles, labels, and the widgets that subgraphs show."""

from __future__ import annotations

from typing import Any

import pytest

from comfybridge.workflow.editor.conversion import Conversion, Shown, conversion
from comfybridge.workflow.editor.file import types_in
from tests.workflow.editor.drawn import empty_image, file, node, save_image, subgraph
from tests.workflow.editor.judge import load


def converted(workflow: Any) -> Conversion:
    return conversion(workflow, load("object_info-0.33.0"))


def sized(**more: Any) -> dict[str, Any]:
    """A subgraph whose input goes to the width of one picture and the height of another."""
    nodes = [
        node(11, "EmptyImage", [1, 2, 1, 0], [("width", "INT", 1, "width")]),
        node(12, "EmptyImage", [3, 4, 1, 0], [("height", "INT", 2, "height")]),
    ]
    links = [(1, -10, 0, 11), (2, -10, 0, 12)]
    return {**subgraph("sized", nodes, links, [("size", "INT", [1, 2])]), **more}


def test_titles_are_those_of_the_author():
    made = converted(file([empty_image(1, title="Canvas"), save_image(2, 1)], [(1, 1, 0, 2)]))
    assert made.titles == {"1": "Canvas"}
    assert made.prompt["1"]["_meta"] == {"title": "Canvas"}
    assert made.prompt["2"]["_meta"] == {"title": "SaveImage"}


def test_labels_are_those_of_the_author():
    saver = save_image(2, 1)
    saver["inputs"][0]["label"] = "the picture"
    assert converted(file([empty_image(1), saver], [(1, 1, 0, 2)])).labels == {("2", "images"): "the picture"}


def test_a_widget_that_a_subgraph_shows_is_known_by_its_label_and_its_targets():
    outer = node(1, "sized", [96], [("size", "INT", None, "size")], title="Sizes")
    outer["inputs"][0]["label"] = "Edge"
    made = converted(file([outer], subgraphs=[sized()]))
    assert made.shown == (Shown("1", "Sizes", "size", "Edge", (("1:11", "width"), ("1:12", "height"))),)
    assert [made.prompt[key]["inputs"] for key in ("1:11", "1:12")] == [
        {"width": 96, "height": 2, "batch_size": 1, "color": 0},
        {"width": 3, "height": 96, "batch_size": 1, "color": 0},
    ]


def test_a_widget_in_a_list_of_pairs_is_shown_too():
    outer = node(1, "sized", [7, 8], properties={"proxyWidgets": [["-1", "size"], ["11", "height"]]})
    made = converted(file([outer], subgraphs=[sized()]))
    assert [(each.name, each.targets) for each in made.shown] == [
        ("size", (("1:11", "width"), ("1:12", "height"))),
        ("height", (("1:11", "height"),)),
    ]


def test_nodes_of_one_subgraph_hold_values_of_their_own():
    outers = [node(1, "sized", [5], [("size", "INT", None)]), node(2, "sized", [6], [("size", "INT", None)])]
    made = converted(file(outers, subgraphs=[sized()]))
    assert [made.prompt[key]["inputs"]["width"] for key in ("1:11", "2:11")] == [5, 6]
    assert [each.node for each in made.shown] == ["1", "2"]


def test_a_link_that_is_not_there_counts_as_none_and_is_told():
    made = converted(file([empty_image(1), save_image(2, 99)]))
    assert made.prompt["2"]["inputs"] == {"filename_prefix": "out"}
    assert made.warnings == (
        "Node 2 (SaveImage): input images has a link that the workflow does not hold; it counts as none.",
    )


def test_the_types_that_a_server_must_have_are_those_of_all_nodes():
    group = {"nodes": [{"type": "ImageBlur"}]}
    nodes = [node(1, "sized"), node(2, "Note"), node(3, "workflow>Soft"), node(4, "SaveImage"), node(5, "Reroute")]
    workflow = file(nodes, subgraphs=[sized()], extra={"groupNodes": {"Soft": group}})
    assert types_in(workflow) == {"EmptyImage", "ImageBlur", "SaveImage"}


def test_only_classes_that_the_workflow_names_are_looked_at():
    workflow = load("templates-0.33.0")["image_z_image_turbo"]["workflow"]
    described = load("object_info-0.33.0")
    some = {name: described[name] for name in types_in(workflow)}
    assert conversion(workflow, some).prompt == conversion(workflow, described).prompt


def test_a_setter_in_another_graph_sets_nothing():
    inner = subgraph("inner", [node(5, "SetNode", ["pic"], [("IMAGE", "IMAGE", None)]), empty_image(6)])
    nodes = [node(1, "inner"), node(2, "SetNode", ["pic"], [("IMAGE", "IMAGE", 1)]), empty_image(3)]
    nodes += [node(4, "GetNode", ["pic"]), save_image(7, 2)]
    made = converted(file(nodes, [(1, 3, 0, 2), (2, 4, 0, 7)], [inner]))
    assert made.prompt["7"]["inputs"]["images"] == ["3", 0]


@pytest.mark.parametrize("value", ["1e308", 10**300, -1e308, "-1e-320", "9" * 399, [], {}, "0x10"])
@pytest.mark.parametrize("options", [{}, {"step": 1e-9}, {"step": 0}, {"step": 1e300, "max": 1e308}, {"step": -1}])
@pytest.mark.parametrize("kind", ["INT", "FLOAT"])
def test_any_value_of_a_primitive_node_comes_out(kind: str, options: dict[str, Any], value: Any):
    taker = {"input": {"required": {"size": [kind, options]}}, "output": []}
    nodes = [node(1, "PrimitiveNode", [value]), node(2, "Taker", [1], [("size", kind, 1, "size")])]
    sent = conversion(file(nodes, [(1, 1, 0, 2)]), {"Taker": taker}).prompt["2"]["inputs"]["size"]
    assert sent is None or isinstance(sent, (int, float))

"""What can't be converted truthfully is refused in a sentence that names what is in the way."""

from __future__ import annotations

from typing import Any

import pytest

from comfybridge.errors import InvalidWorkflow
from comfybridge.workflow.editor.conversion import convert
from tests.workflow.editor.drawn import empty_image, file, invert, node, save_image, subgraph
from tests.workflow.editor.judge import load


def refused(workflow: Any) -> str:
    """The sentence with which a file is refused."""
    with pytest.raises(InvalidWorkflow) as caught:
        convert(workflow, load("object_info-0.33.0"))
    return caught.value.message


def test_an_unknown_type_is_named_with_its_title_and_its_pack():
    stranger = node(5, "FancyBlur", title="Soften", properties={"cnr_id": "comfyui-fancy"})
    said = refused(file([empty_image(1), stranger]))
    assert said == (
        'Node 5 ("Soften", FancyBlur) is of a type that this ComfyUI does not have; its pack is comfyui-fancy.'
    )


def test_a_pack_without_a_place_in_the_registry_is_named_by_its_repository():
    said = refused(file([node(5, "FancyBlur", properties={"aux_id": "someone/fancy"})]))
    assert said.endswith("; its pack is someone/fancy.")


def test_all_unknown_types_are_named():
    said = refused(file([node(5, "FancyBlur"), node(6, "FancyBlur"), node(7, "Sharper")]))
    assert "FancyBlur" in said
    assert said.endswith("; nor does it have Sharper.")


def test_the_packs_of_all_unknown_types_are_named():
    nodes = [
        node(5, "FancyBlur", properties={"cnr_id": "comfyui-fancy"}),
        node(6, "Sharper"),
        node(7, "Sharper", properties={"aux_id": "someone/sharp"}),
    ]
    assert refused(file(nodes)).endswith("; its pack is comfyui-fancy; nor does it have Sharper (someone/sharp).")


def test_a_group_node_without_its_content_is_called_so():
    said = refused(file([node(1, "workflow>Soft"), save_image(2, 1)], [(1, 1, 0, 2)]))
    assert said == "Node 1 (workflow>Soft) is a group node, and the workflow does not hold its content."


def test_an_unknown_type_within_a_subgraph_is_named_by_its_path():
    said = refused(file([node(1, "inner")], subgraphs=[subgraph("inner", [node(8, "FancyBlur")])]))
    assert said.startswith("Node 1:8 (FancyBlur)")


@pytest.mark.parametrize("mode", [2, 4])
def test_an_unknown_type_that_does_not_run_is_no_matter(mode: int):
    stranger = node(2, "FancyBlur", None, [("a", "IMAGE", 1)], outputs=[{"name": "b", "type": "IMAGE"}], mode=mode)
    prompt = convert(
        file([empty_image(1), stranger, save_image(3, 2)], [(1, 1, 0, 2), (2, 2, 0, 3)]), load("object_info-0.33.0")
    )
    assert prompt["3"]["inputs"].get("images") == (["1", 0] if mode == 4 else None)


def test_a_photograph_of_a_3d_scene_is_made_when_a_prompt_is_queued():
    said = refused(file([node(4, "Load3D", ["cube.glb", "", 512, 512])]))
    assert said.startswith("Node 4 (Load3D) sends a photograph of its 3D scene as image")


def test_a_photograph_is_made_even_if_the_file_has_no_value_for_it():
    said = refused(file([node(4, "Load3D", [])]))
    assert said.startswith("Node 4 (Load3D) sends a photograph of its 3D scene as image")


def test_a_recording_is_made_when_a_prompt_is_queued():
    assert "a recording by the microphone" in refused(file([node(4, "RecordAudio", [""])]))


def test_a_choice_that_the_server_lacks_is_named_where_other_widgets_depend_on_it():
    said = refused(file([node(3, "ResizeImageMaskNode", ["fold", 2, "area"])]))
    assert said.startswith(
        "Node 3 (ResizeImageMaskNode): resize_type is the text 'fold', which this ComfyUI does not"
    )
    assert "scale by multiplier" in said


@pytest.mark.parametrize("mode", [2, 4])
def test_a_choice_that_the_server_lacks_is_no_matter_where_it_does_not_run(mode: int):
    resize = node(3, "ResizeImageMaskNode", ["fold", 2, "area"], [("input", "IMAGE", 1)], mode=mode)
    workflow = file([empty_image(1), resize, save_image(4, 2)], [(1, 1, 0, 3), (2, 3, 0, 4)])
    prompt = convert(workflow, load("object_info-0.33.0"))
    assert prompt["4"]["inputs"].get("images") == (["1", 0] if mode == 4 else None)


def test_values_that_a_script_lays_out_are_not_guessed_at():
    loader = {"input": {"required": {"model": ["MODEL"]}}, "output": ["MODEL"], "python_module": "custom_nodes.fancy"}
    values = [{}, {"type": "Header"}, {"on": True, "lora": "a.safetensors", "strength": 1}]
    with pytest.raises(InvalidWorkflow, match=r"Node 2 \(Many LoRAs\): a script of its pack lays out its values"):
        convert(file([node(2, "Many LoRAs", values)]), {"Many LoRAs": loader})


def test_scripts_that_draw_links_are_not_guessed_at():
    object_info = {**load("object_info-0.33.0"), "Anything Everywhere": {"input": {}, "output": []}}
    with pytest.raises(InvalidWorkflow, match="draws links by a script of its pack"):
        convert(file([empty_image(1), node(2, "Anything Everywhere")]), object_info)


def test_a_getter_needs_its_setter():
    nodes = [node(1, "GetNode", ["picture"]), save_image(2, 1)]
    assert "no SetNode beside it sets picture" in refused(file(nodes, [(1, 1, 0, 2)]))


def test_a_link_from_a_node_that_is_not_there():
    assert "a link comes from node 9, which is not there" in refused(file([save_image(2, 1)], [(1, 9, 0, 2)]))


def test_a_subgraph_that_hands_its_input_straight_on():
    through = subgraph("through", [], [(1, -10, 0, -20)], [("in", "IMAGE", [1])], [("out", "IMAGE", [1])])
    nodes = [empty_image(1), node(2, "through", None, [("in", "IMAGE", 1)]), save_image(3, 2)]
    said = refused(file(nodes, [(1, 1, 0, 2), (2, 2, 0, 3)], [through]))
    assert said.startswith("Node 2 (through): its subgraph hands the input in straight to an output")


def test_a_primitive_node_in_a_group_node():
    group = {"nodes": [{"type": "PrimitiveNode"}, {"type": "EmptyImage"}], "links": [], "external": []}
    said = refused(file([node(1, "workflow>Pair")], extra={"groupNodes": {"Pair": group}}))
    assert said.startswith("Node 1 (workflow>Pair) is a group node with a PrimitiveNode in it")


@pytest.mark.parametrize(
    ("workflow", "words"),
    [
        (None, "The workflow is null; it must be an object"),
        ([], "The workflow is a list; it must be an object"),
        ({}, "The workflow has no list of nodes"),
        ({"nodes": []}, "The workflow has no node that runs"),
        ({"nodes": ["x"]}, "The workflow: nodes holds the text 'x'"),
        ({"nodes": [{"id": None, "type": "Note"}]}, "The workflow: the id of a node is null"),
        ({"nodes": [{"id": 1}]}, "The workflow: node 1 has no type"),
        (
            {"nodes": [{"id": 1, "type": "Note", "inputs": [{}]}]},
            "The workflow: node 1: the name of an input is null",
        ),
        ({"nodes": [{"id": 1, "type": "Note"}], "links": [[1]]}, "The workflow: a link is a list"),
        ({"nodes": [{"id": 1, "type": "Note"}, {"id": 1, "type": "Note"}]}, "two nodes with the id 1"),
        ({"nodes": [{"id": 1, "type": "Note"}], "definitions": {"subgraphs": [3]}}, "A subgraph is 3"),
        ({"nodes": [{"id": 1, "type": "EmptyImage", "mode": 2}]}, "it is empty, or all is muted or bypassed"),
    ],
)
def test_broken_files_are_told_what_is_wrong_with_them(workflow: Any, words: str):
    assert words in refused(workflow)


def test_links_in_a_circle():
    circle = file([invert(1, 2), invert(2, 1), save_image(3, 1)], [(1, 1, 0, 2), (2, 2, 0, 1)])
    assert refused(circle) == "The graph's links go in a circle: 1 -> 2 -> 1."


@pytest.mark.parametrize("kind", ["Reroute", "bypassed"])
def test_links_in_a_circle_past_nodes_that_are_not_sent(kind: str):
    around = [node(1, "Reroute", None, [("", "*", 2)]), node(2, "Reroute", None, [("", "*", 1)])]
    if kind == "bypassed":
        around = [invert(1, 2, mode=4), invert(2, 1, mode=4)]
    said = refused(file([*around, save_image(3, 3)], [(1, 1, 0, 2), (2, 2, 0, 1), (3, 1, 0, 3)]))
    assert said.endswith(": its links go in a circle.")

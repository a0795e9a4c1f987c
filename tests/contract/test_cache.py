"""What ComfyUI does not do twice."""

from __future__ import annotations

import io
from typing import Any

from PIL import Image

from tests.contract import graphs
from tests.contract.ear import Ear, cached_nodes
from tests.contract.server import Server, without_ids


def png(color: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), f"#{color:06x}").save(buffer, "PNG")
    return buffer.getvalue()


def test_an_identical_graph_gives_the_same_file_and_still_says_executed(server: Server, ear: Ear) -> None:
    graph = graphs.saved()
    first = server.run(graph, ear)

    second = server.run(graph, ear)

    assert cached_nodes(ear, second) == ["1", "2"]
    assert server.files(second, "2") == server.files(first, "2")
    assert [frame.type for frame in ear.of(second)] == [
        *("execution_start", "execution_cached", "executed", "progress_state", "execution_success", "executing"),
    ]
    executed = next(frame for frame in ear.of(second) if frame.type == "executed")
    assert without_ids(executed.data["output"]) == {"images": server.files(first, "2")}


def test_another_prefix_makes_the_save_node_run_again(server: Server, ear: Ear) -> None:
    graph = graphs.saved()
    first = server.run(graph, ear)
    graph["2"]["inputs"]["filename_prefix"] = f"contract/{graphs.unique()}/y"

    second = server.run(graph, ear)

    assert cached_nodes(ear, second) == ["1"]
    assert server.files(second, "2") != server.files(first, "2")


def test_the_ids_of_nodes_do_not_matter(server: Server, ear: Ear) -> None:
    graph = graphs.saved()
    server.run(graph, ear)
    renamed = {"8": graph["1"], "9": {**graph["2"], "inputs": {**graph["2"]["inputs"], "images": ["8", 0]}}}

    prompt_id = server.run(renamed, ear)

    assert cached_nodes(ear, prompt_id) == ["8", "9"]


def test_only_the_previous_prompt_is_remembered(server: Server, ear: Ear) -> None:
    graph = graphs.saved()
    server.run(graph, ear)
    server.run(graphs.saved(), ear)

    prompt_id = server.run(graph, ear)

    assert cached_nodes(ear, prompt_id) == []


def test_two_equal_nodes_in_one_graph_run_once(server: Server, ear: Ear) -> None:
    graph: dict[str, Any] = graphs.saved()
    graph["3"] = graph["1"]
    graph["4"] = graphs.node("SaveImage", images=["3", 0], filename_prefix=f"contract/{graphs.unique()}/y")

    prompt_id = server.run(graph, ear)

    run = [frame.data["node"] for frame in ear.of(prompt_id) if frame.type == "executing"]
    assert len([node for node in run if node in ("1", "3")]) == 1
    assert set(server.entry(prompt_id)["outputs"]) == {"2", "4"}


def test_an_input_file_is_known_by_its_content(server: Server, ear: Ear) -> None:
    name = f"{graphs.unique()}.png"
    server.upload(png(graphs.color()), name)
    graph = graphs.loaded(name)
    server.run(graph, ear)
    again = server.run(graph, ear)

    server.upload(png(graphs.color()), name, overwrite="true")
    changed = server.run(graph, ear)

    assert cached_nodes(ear, again) == ["1", "2"]
    assert cached_nodes(ear, changed) == []


def test_only_an_older_comfyui_lists_cached_outputs_that_were_not_asked_for(server: Server, ear: Ear) -> None:
    graph: dict[str, Any] = graphs.saved()
    server.run(graph, ear)
    graph["3"] = graphs.node("PreviewImage", images=["1", 0])

    prompt_id = server.run(graph, ear, partial_execution_targets=["3"])

    assert [frame.data["node"] for frame in ear.of(prompt_id) if frame.type == "executed"] == ["3"]
    listed = {"3"} if server.version.remembers_only_the_run else {"2", "3"}
    assert set(server.entry(prompt_id)["outputs"]) == listed


def test_a_cached_output_node_with_nothing_to_show_says_executed_with_null(server: Server, ear: Ear) -> None:
    graph: dict[str, Any] = {
        "1": graphs.plain(),
        "2": graphs.node("SaveImage", images=["1", 0], filename_prefix=f"contract/{graphs.unique()}/x"),
        "3": graphs.node("ImageInvert", image=["4", 0]),
        "5": graphs.node("ImageInvert", image=["1", 0]),
        "4": graphs.node("ImageInvert", image=["1", 0]),
        "6": graphs.node("ImageBatch", image1=["5", 0], image2=["4", 0]),
        "7": graphs.node("PreviewImage", images=["6", 0]),
    }

    prompt_id = server.run(graph, ear)

    outputs = {f.data["node"]: f.data["output"] for f in ear.of(prompt_id) if f.type == "executed"}
    twin = outputs.keys() & {"4", "5"}  # the second of the two equal nodes
    assert len(twin) == 1
    assert outputs[twin.pop()] is None

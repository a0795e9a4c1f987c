"""How a node is made to run again although ComfyUI still has what it made, and what `/view` says of files."""

from __future__ import annotations

import pytest
import requests

from tests.contract import graphs
from tests.contract.ear import Ear, cached_nodes
from tests.contract.server import Server


@pytest.mark.parametrize("class_type", ["SaveImage", "PreviewImage"])
def test_an_input_that_no_class_takes_makes_its_node_run_again(server: Server, ear: Ear, class_type: str) -> None:
    graph = graphs.saved()
    graph["2"]["class_type"] = class_type
    if class_type == "PreviewImage":
        del graph["2"]["inputs"]["filename_prefix"]
    first = server.run(graph, ear)
    graph["2"]["inputs"]["comfybridge_run"] = graphs.unique()

    second = server.run(graph, ear)

    assert cached_nodes(ear, second) == ["1"]
    assert server.files(second, "2") != server.files(first, "2")


def test_one_byte_of_a_file_tells_that_it_is_there(server: Server, ear: Ear) -> None:
    [file] = server.files(server.run(graphs.saved(), ear), "2")

    def status(**more: str) -> int:
        headers = {"Range": "bytes=0-0"}
        return requests.get(f"{server.url}/view", params={**file, **more}, headers=headers, timeout=10).status_code

    assert status() == 206
    assert status(filename="no such file.png") == 404
    assert status(filename="two..dots.png") == 400
    assert status(subfolder="/") == 403

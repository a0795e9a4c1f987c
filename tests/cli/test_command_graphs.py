"""`python app.py generate -w FILE`: graphs as other tools write them into files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from comfybridge.cli.main import main
from comfybridge.simulator import Simulator
from tests import graphs
from tests.web.input_files import b64, loading, png


@pytest.mark.parametrize(
    "wrap",
    [
        lambda graph: json.dumps({"input": {"workflow": graph, "images": []}}).encode(),
        lambda graph: json.dumps({"prompt": graph, "client_id": "x"}).encode(),
        lambda graph: json.dumps({"output": graph, "workflow": {"nodes": [], "links": []}}).encode(),
        lambda graph: json.dumps(json.dumps(graph)).encode(),
        lambda graph: json.dumps(graph).encode("utf-16"),  # as a Windows shell writes it
    ],
)
def test_a_wrapped_graph_is_run(maker: list[str], wrap: Callable[[Any], bytes]) -> None:
    Path("mine.json").write_bytes(wrap(graphs.picture(40, 24)))
    assert main(["generate", "-w", "mine.json", "-p", "1.width=48", "-o", "out.png", *maker]) == 0
    with Image.open("out.png") as picture:
        assert picture.size == (48, 24)


def test_a_job_s_images_come_with_it(maker: list[str], sim: Simulator) -> None:
    job = {"workflow": loading("cat.png"), "images": [{"name": "cat.png", "image": b64(png(size=(40, 24)))}]}
    Path("job.json").write_text(json.dumps({"input": job}))
    assert main(["generate", "-w", "job.json", "-o", "out.png", *maker]) == 0
    with Image.open("out.png") as picture:
        assert picture.size == (40, 24)

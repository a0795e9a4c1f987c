"""Pictures on the websocket: sampler previews, and what SaveImageWebsocket sends."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from PIL import Image

from tests.contract import graphs
from tests.contract.ear import Ear, Frame
from tests.contract.server import Server


def size_of(frame: Frame) -> tuple[int, int]:
    return Image.open(io.BytesIO(frame.image()[1])).size


def test_an_image_is_sent_as_png(server: Server, ear: Ear) -> None:
    server.run(graphs.sent(width=40, height=30), ear)

    [frame] = ear.pictures()
    assert frame.binary == 1
    assert frame.image()[0] == {"image_type": "image/png"}
    assert size_of(frame) == (40, 30)


def test_an_image_belongs_to_the_node_announced_last(server: Server, ear: Ear) -> None:
    server.run(graphs.sent(), ear)

    before = ear.heard[: ear.heard.index(ear.pictures()[0])]
    assert [frame for frame in before if frame.type == "executing"][-1].data["node"] == "2"


def test_each_image_of_a_batch_has_its_progress(server: Server, ear: Ear) -> None:
    prompt_id = server.run(graphs.sent(batch_size=2), ear)

    assert len(ear.pictures()) == 2
    progress = [(f.data["value"], f.data["max"]) for f in ear.of(prompt_id) if f.type == "progress"]
    assert progress == [(0, 2), (1, 2)]


def test_with_the_flag_an_image_names_its_prompt_and_node(server: Server, listen: Callable[..., Ear]) -> None:
    ear = listen(flags=True)

    prompt_id = server.run(graphs.sent(width=40, height=30), ear)

    [frame] = ear.pictures()
    assert frame.binary == 4
    assert frame.image()[0] == {
        "node_id": "2",
        "prompt_id": prompt_id,
        "display_node_id": "2",
        "parent_node_id": None,
        "real_node_id": "2",
        "image_type": "image/png",
    }
    assert size_of(frame) == (40, 30)


def test_with_the_flag_an_image_comes_before_its_progress(server: Server, listen: Callable[..., Ear]) -> None:
    orders = []
    for flags in (False, True):
        ear = listen(flags=flags)
        server.run(graphs.sent(), ear)
        orders.append([frame.type for frame in ear.heard if frame.type in ("progress", "binary 1", "binary 4")])

    assert orders == [["progress", "binary 1"], ["binary 4", "progress"]]


def test_a_sent_image_is_in_no_output(server: Server, ear: Ear) -> None:
    prompt_id = server.run(graphs.sent(), ear)

    assert server.entry(prompt_id)["outputs"] == {}
    assert "executed" not in [frame.type for frame in ear.of(prompt_id)]


def test_an_image_is_sent_again_when_everything_is_cached(server: Server, ear: Ear) -> None:
    graph = graphs.sent()
    server.run(graph, ear)

    prompt_id = server.run(graph, ear)

    assert [f.data["nodes"] for f in ear.of(prompt_id) if f.type == "execution_cached"] == [["1"]]
    assert len(ear.pictures()) == 2


@pytest.mark.parametrize("flags", [False, True])
def test_a_sampler_sends_previews_as_jpeg(
    server: Server, checkpoint: str, listen: Callable[..., Ear], flags: bool
) -> None:
    ear = listen(flags=flags)

    prompt_id = server.run(graphs.txt2img(checkpoint), ear)

    previews = ear.pictures()
    if not previews:
        pytest.skip("this ComfyUI sends no previews")
    assert len(previews) == 2
    assert {frame.binary for frame in previews} == {4 if flags else 1}
    for frame in previews:
        metadata, content = frame.image()
        assert metadata["image_type"] == "image/jpeg"
        assert Image.open(io.BytesIO(content)).format == "JPEG"
        if flags:
            assert (metadata["node_id"], metadata["prompt_id"]) == ("3", prompt_id)


def test_an_empty_latent_is_rounded_down_to_multiples_of_8(server: Server, checkpoint: str, ear: Ear) -> None:
    prompt_id = server.run(graphs.txt2img(checkpoint, width=71, height=50), ear)

    [file] = server.files(prompt_id, "9")
    assert Image.open(io.BytesIO(server.get("/view", **file).content)).size == (64, 48)

"""Workflows as the editor saved them, in Python."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from comfybridge import Bridge, Client, load_settings
from comfybridge.errors import InvalidWorkflow
from comfybridge.simulator import Simulator
from comfybridge.web import create_app
from tests.served import served
from tests.web.saved_files import in_subgraph, of_unknown_pack, picture, queued


@pytest.fixture
def client(sim: Simulator) -> Iterator[Client]:
    with served(create_app(load_settings(comfyui_url=sim.url))) as url:
        yield Client(url)


@pytest.fixture(params=["Client", "Bridge"])
def maker(request: pytest.FixtureRequest, sim: Simulator) -> Iterator[Client | Bridge]:
    if request.param == "Client":
        yield request.getfixturevalue("client")
    else:
        with Bridge(load_settings(comfyui_url=sim.url)) as bridge:
            yield bridge


def test_it_runs_like_a_graph(maker: Client | Bridge, sim: Simulator) -> None:
    assert len(maker.generate(in_subgraph(), params={"5:1.height": 32}).images) == 1
    graph, extra_data = queued(sim)
    assert graph["5:1"]["inputs"] == {"width": 48, "height": 32, "batch_size": 1, "color": 0}
    assert extra_data["extra_pnginfo"]["workflow"] == in_subgraph()
    assert maker.generate(workflow=picture()).outputs[0].filename.startswith("out")


def test_what_can_t_be_converted_raises_the_same(maker: Client | Bridge) -> None:
    with pytest.raises(InvalidWorkflow, match="its pack is odd-pack"):
        maker.generate(of_unknown_pack())


def test_a_client_converts_it(client: Client) -> None:
    made = client.convert(in_subgraph())
    assert made["prompt"]["5:1"]["inputs"]["width"] == 48
    assert made["warnings"] == []
    with pytest.raises(InvalidWorkflow):
        client.convert(of_unknown_pack())

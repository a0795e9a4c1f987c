"""Answers with links: the client fetches a file when it is read."""

from __future__ import annotations

import shutil

import pytest

from comfybridge import Client, OutputOptions, load_settings
from comfybridge.errors import NotFound
from comfybridge.simulator import Simulator
from comfybridge.web import create_app
from tests import graphs
from tests.served import served

LINKS = OutputOptions(links=True)


def test_a_linked_file_is_fetched_once_it_is_read(sim: Simulator) -> None:
    with served(create_app(load_settings(comfyui_url=sim.url))) as url:
        [image] = Client(url).generate(workflow=graphs.picture(), output=LINKS).images
        loaded = image.load()
        assert (loaded.data[:4], loaded.media_type, loaded.filename) == (b"\x89PNG", "image/png", image.filename)
        shutil.rmtree(sim.output_directory / "comfybridge")
        with pytest.raises(NotFound, match="no longer has"):
            image.read()


def test_a_data_uri_is_read_without_the_bridge(sim: Simulator) -> None:
    with served(create_app(load_settings(comfyui_url=sim.url))) as url:
        graph = graphs.picture(save="SaveImageWebsocket")
        [image] = Client(url).generate(workflow=graph, output=LINKS).images
    assert image.read().startswith(b"\x89PNG")

"""Previews, as one prompt asks for them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.contract import graphs
from tests.contract.ear import Ear
from tests.contract.server import Server

STEPS = 2


@pytest.mark.parametrize(("method", "count"), [("none", 0), ("latent2rgb", STEPS), ("auto", STEPS)])
def test_a_prompt_chooses_its_previews(
    server: Server, checkpoint: str, listen: Callable[..., Ear], method: str, count: int
) -> None:
    if not server.version.takes_preview_methods:
        pytest.skip("previews are as the server was started")
    ear = listen(flags=True)
    prompt_id = server.run(graphs.txt2img(checkpoint, steps=STEPS), ear, extra_data={"preview_method": method})
    pictures = [frame.image()[0] for frame in ear.pictures()]
    assert len(pictures) == count
    assert {each["prompt_id"] for each in pictures} <= {prompt_id}

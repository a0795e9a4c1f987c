"""The templates that change a picture, which come with the bridge and run on the demo."""

from __future__ import annotations

import io
from typing import Any

import pytest
from flask.testing import FlaskClient
from PIL import Image, ImageChops

from comfybridge.simulator import Simulator
from tests.web.answers import failure, image, success
from tests.web.input_files import b64

SIZE = (72, 48)


def sent(picture: Image.Image) -> str:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return b64(file.getvalue())


def photo() -> Image.Image:
    return Image.linear_gradient("L").resize(SIZE).convert("RGB")


def mask(where: tuple[int, int, int, int]) -> Image.Image:
    picture = Image.new("RGB", SIZE)
    picture.paste("white", where)
    return picture


def made(api: FlaskClient, workflow: str, **body: Any) -> list[Image.Image]:
    files = {name: sent(picture) for name, picture in body.pop("files").items()}
    said = success(api.post("/generate", json={"workflow": workflow, "images": files, **body}))
    assert said["warnings"] == []
    return [image(each).convert("RGB") for each in said["images"]]


def changed(before: Image.Image, after: Image.Image) -> tuple[int, int, int, int] | None:
    """The box around what differs; None if nothing does."""
    return ImageChops.difference(before, after).getbbox()


@pytest.fixture
def installed(sim: Simulator) -> None:
    sim.checkpoints = ["v1-5-pruned-emaonly-fp16.safetensors"]


@pytest.mark.usefixtures("installed")
def test_inpaint_repaints_what_is_white_and_nothing_else(api: FlaskClient) -> None:
    files = {"image": photo(), "mask": mask((16, 8, 40, 32))}
    pictures = made(api, "inpaint", files=files, prompt="a cat", batch_size=2)
    assert [changed(photo(), each) for each in pictures] == [(16, 8, 40, 32)] * 2
    assert changed(*pictures) is not None


@pytest.mark.usefixtures("installed")
def test_inpaint_returns_a_picture_of_the_same_size_whatever_that_is(api: FlaskClient) -> None:
    odd = photo().resize((75, 51))
    (picture,) = made(api, "inpaint", files={"image": odd, "mask": Image.new("L", (10, 10))})
    assert picture.size == (75, 51)
    assert changed(odd, picture) is None


@pytest.mark.usefixtures("installed")
def test_edit_changes_a_picture_after_a_text(api: FlaskClient) -> None:
    slightly, wholly = (
        made(api, "edit", files={"image": photo()}, prompt="a cat", seed=1, denoise=denoise)[0]
        for denoise in (0.1, 1.0)
    )
    assert slightly.size == wholly.size == SIZE
    assert changed(photo(), slightly) is not None
    assert changed(slightly, wholly) is not None


@pytest.mark.parametrize("workflow", ["upscale", "upscale_model"])
@pytest.mark.parametrize(
    ("given", "size"), [({}, (144, 96)), ({"scale_by": 1.5}, (108, 72)), ({"scale_by": 4}, (288, 192))]
)
def test_a_picture_is_made_larger(
    api: FlaskClient, workflow: str, given: dict[str, Any], size: tuple[int, int]
) -> None:
    (picture,) = made(api, workflow, files={"image": photo()}, params=given)
    assert picture.size == size


@pytest.mark.parametrize("workflow", ["inpaint", "edit", "upscale", "upscale_model"])
def test_each_needs_its_picture(api: FlaskClient, workflow: str) -> None:
    said = failure(api.post("/generate", json={"workflow": workflow}), 400, "invalid_request")["error"]
    assert said.startswith(f"The workflow {workflow} needs image")


def test_inpaint_needs_its_mask(api: FlaskClient) -> None:
    body = {"workflow": "inpaint", "images": {"image": sent(photo())}}
    said = failure(api.post("/generate", json=body), 400, "invalid_request")["error"]
    assert said.startswith("The workflow inpaint needs mask (a picture of the same size, white where to repaint")

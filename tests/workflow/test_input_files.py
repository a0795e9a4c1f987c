"""The files that a graph takes are parameters, called after what they are and, if there are several, what for."""

from __future__ import annotations

from typing import Any

import pytest

from comfybridge.workflow.discovery import examine
from comfybridge.workflow.graph import check_graph
from tests.workflow.drawn import default, node, sampler


def picture(title: str = "Load Image", name: str = "a.png") -> dict[str, Any]:
    return {**node("LoadImage", image=name), "_meta": {"title": title}}


def maker(**inputs: Any) -> dict[str, Any]:
    return node("PartnerVideo", prompt="a fox", seed=1, **inputs)


CLIP, SOUND = node("LoadVideo", file="a.mp4"), node("LoadAudio", audio="a.mp3")
WAN = {"positive": ["6", 0], "negative": ["7", 0], "width": 8, "height": 8, "length": 5}

# a graph, and the files that are found in it
STORIES: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "a video": ({"1": maker(video=["2", 0]), "2": CLIP}, {"video": "2.file"}),
    "a sound": ({"1": maker(audio=["2", 0]), "2": SOUND}, {"audio": "2.audio"}),
    "a video of a pack": (
        {"1": maker(video=["2", 0]), "2": node("VHS_LoadVideo", video="a.mp4", force_rate=0)},
        {"video": "2.video"},
    ),
    "a picture, a video and a sound": (
        {"1": maker(image=["2", 0], video=["3", 0], audio=["4", 0]), "2": picture(), "3": CLIP, "4": SOUND},
        {"image": "2.image", "video": "3.file", "audio": "4.audio"},
    ),
    "a video that nothing is made of": ({"1": maker(), "2": CLIP}, {}),
    "the only picture, whatever it is for": (
        {"1": maker(last_frame=["2", 0]), "2": picture()}, {"image": "2.image"},
    ),
    "the first and the last frame": (
        {"1": maker(first_frame=["3", 0], last_frame=["2", 0]), "2": picture(), "3": picture()},
        {"start_image": "3.image", "end_image": "2.image"},
    ),
    "a picture and the frame to end with": (
        {"1": maker(image=["2", 0], end_frame=["3", 0]), "2": picture(), "3": picture()},
        {"start_image": "2.image", "end_image": "3.image"},
    ),
    "frames by their numbers": (
        default(
            n3=sampler(positive=["24", 0], negative=["24", 1], latent_image=["24", 2]),
            n2=picture(), n1=picture(),
            n24=node("AddGuide", **WAN, image=["2", 0], frame_idx=-1, latent=["25", 2]),
            n25=node("AddGuide", **WAN, image=["1", 0], frame_idx=0),
        ),
        {"start_image": "1.image", "end_image": "2.image"},
    ),
    "the end of one shot is the start of the next": (
        {
            "1": maker(start_image=["4", 0], end_image=["5", 0]),
            "2": maker(start_image=["5", 0], end_image=["6", 0]),
            **{key: picture() for key in ("4", "5", "6")},
        },
        {"start_image": "4.image", "image": "5.image", "end_image": "6.image"},
    ),
    "a picture to change, one to refer to and one for the style": (
        {
            "1": maker(image=["2", 0], reference_image=["3", 0], style_image=["4", 0]),
            "2": picture(), "3": picture(), "4": picture(),
        },
        {"image": "2.image", "reference_image": "3.image", "style_image": "4.image"},
    ),
    "a picture behind a ControlNet": (
        default(
            n3=sampler(positive=["20", 0], negative=["20", 1], latent_image=["24", 0]),
            n20=node("ControlNetApplyAdvanced", positive=["6", 0], negative=["7", 0], image=["21", 0]),
            n21=node("Canny", image=["22", 0], low_threshold=0.1, high_threshold=0.3),
            n22=picture(), n23=picture(),
            n24=node("VAEEncode", pixels=["23", 0], vae=["4", 2]),
        ),
        {"control_image": "22.image", "image": "23.image"},
    ),
    "two of a kind that serve the same": (
        {"1": maker(reference_images=["4", 0]), "2": picture(), "3": picture(),
         "4": node("BatchImagesNode", **{"images.image0": ["3", 0], "images.image1": ["2", 0]})},
        {"image": "3.image", "image_2": "2.image"},
    ),
    "references in a row, beside the picture": (
        {"1": maker(image=["2", 0], **{"model.reference_images.image1": ["4", 0],
                                       "model.reference_images.image2": ["3", 0]}),
         "2": picture(), "3": picture(), "4": picture()},
        {"image": "2.image", "reference_image": "4.image", "reference_image_2": "3.image"},
    ),
    "videos for different ends": (
        {"1": maker(video=["2", 0], pose_video=["3", 0]), "2": CLIP, "3": CLIP},
        {"video": "2.file", "pose_video": "3.file"},
    ),
    "the sides of an object": (
        {"1": node("PartnerModel", image=["2", 0], image_back=["3", 0], model_seed=4), "2": picture(),
         "3": picture()},
        {"image": "2.image", "back_image": "3.image"},
    ),
    "titles, where links tell nothing apart": (
        {"1": maker(images=["4", 0]), "2": picture("Style"), "3": picture("My Subject"),
         "4": node("StitchTwo", upper=["2", 0], lower=["3", 0])},
        {"style_image": "2.image", "reference_image": "3.image"},
    ),
    "titles, where the row tells which is which": (
        {"1": maker(images=["4", 0]), "2": picture("Product"), "3": picture("Subject"),
         "4": node("BatchImagesNode", **{"images.image0": ["3", 0], "images.image1": ["2", 0]})},
        {"image": "3.image", "image_2": "2.image"},
    ),
    "titles never overrule links": (
        {"1": maker(first_frame=["2", 0], last_frame=["3", 0]), "2": picture("Last frame"),
         "3": picture("First frame")},
        {"start_image": "2.image", "end_image": "3.image"},
    ),
    "a picture that a node holds itself": (
        {"1": maker(image=["2", 0], mask=["3", 1]), "2": picture(),
         "3": node("Painter", mask="painter-3.png [input]", width=8, height=8, image=["2", 0])},
        {"image": "2.image", "mask": "3.mask"},
    ),
    "what the result is made of comes before what it is not made of": (
        {"1": maker(image=["3", 0]), "2": picture(), "3": picture(), "4": node("StitchTwo", upper=["2", 0])},
        {"image": "3.image", "image_2": "2.image"},
    ),
    "a canvas that nobody has painted on": (
        {"1": maker(image=["2", 0], mask=["3", 1]), "2": picture(),
         "3": node("Painter", mask="", width=8, height=8, image=["2", 0]),
         "4": node("SaveGLB", mesh=["1", 0], image="")},
        {"image": "2.image", "mask": "3.mask"},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("graph", "expected"), STORIES.values(), ids=STORIES.keys())
def test_files_are_called_after_what_they_are_for(graph: dict[str, Any], expected: dict[str, str]) -> None:
    found = examine(check_graph(graph)).parameters
    files = {name: each for name, each in found.items() if each.is_file}
    assert {name: f"{each.targets[0].node}.{each.targets[0].input}" for name, each in files.items()} == expected


def test_a_file_is_described_by_its_kind() -> None:
    found = examine(check_graph(STORIES["a picture, a video and a sound"][0])).parameters
    assert {name: found[name].schema()["format"] for name in ("image", "video", "audio")} == {
        "image": "image",
        "video": "video",
        "audio": "audio",
    }

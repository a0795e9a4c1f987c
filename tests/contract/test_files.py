"""Files in and out: /upload/image, /upload/mask, /view, and how SaveImage names what it saves."""

from __future__ import annotations

import io
import json
import re
from typing import Any

import pytest
import requests
from PIL import Image

from tests.contract import graphs
from tests.contract.ear import Ear
from tests.contract.server import Server


def png(mode: str = "RGB", alpha: int = 255) -> bytes:
    """A picture that no server has seen."""
    picture = Image.new("RGB", (16, 12), f"#{graphs.color():06x}")
    if mode == "RGBA":
        picture.putalpha(alpha)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def test_an_upload_is_answered_with_name_subfolder_and_type(server: Server) -> None:
    name = f"{graphs.unique()}.png"

    response = server.upload(png(), name)

    assert response.status_code == 200
    assert response.json().items() >= {"name": name, "subfolder": "", "type": "input"}.items()


def test_an_upload_can_be_fetched_again(server: Server) -> None:
    content = png()
    place = server.upload(content, f"{graphs.unique()}.png", subfolder="contract", type="input").json()

    response = server.get("/view", filename=place["name"], subfolder=place["subfolder"], type=place["type"])

    assert response.content == content


def test_a_clash_changes_the_name(server: Server) -> None:
    stem, contents = graphs.unique(), [png(), png(), png()]

    names = [server.upload(content, f"{stem}.png").json()["name"] for content in contents]

    assert names == [f"{stem}.png", f"{stem} (1).png", f"{stem} (2).png"]
    assert [server.get("/view", filename=name, type="input").content for name in names] == contents


def test_the_same_content_keeps_its_name(server: Server) -> None:
    name, content = f"{graphs.unique()}.png", png()

    assert [server.upload(content, name).json()["name"] for _ in range(2)] == [name, name]


@pytest.mark.parametrize("yes", ["true", "1"])
def test_overwriting_keeps_the_name(server: Server, yes: str) -> None:
    name, content = f"{graphs.unique()}.png", png()
    server.upload(png(), name)

    answer = server.upload(content, name, overwrite=yes).json()

    assert answer["name"] == name
    assert server.get("/view", filename=name, type="input").content == content


@pytest.mark.parametrize("fields", [{"subfolder": "../.."}, {"subfolder": "/etc"}])
def test_an_upload_out_of_the_folder_is_refused(server: Server, fields: dict[str, str]) -> None:
    assert server.upload(png(), f"{graphs.unique()}.png", **fields).status_code == 400


def test_an_upload_without_an_image_is_refused(server: Server) -> None:
    response = requests.post(f"{server.url}/upload/image", files={"other": ("x.png", b"x")}, timeout=10)

    assert response.status_code == 400


def test_an_uploaded_picture_can_be_loaded(server: Server, ear: Ear) -> None:
    name = server.upload(png(), f"{graphs.unique()}.png", subfolder="contract/deep").json()["name"]

    prompt_id = server.run(graphs.loaded(f"contract/deep/{name}"), ear)

    [file] = server.files(prompt_id, "2")
    assert Image.open(io.BytesIO(server.get("/view", **file).content)).size == (16, 12)


def test_the_root_of_the_input_folder_is_listed_and_subfolders_are_not(server: Server) -> None:
    root = server.upload(png(), f"{graphs.unique()}.png").json()["name"]
    deep = server.upload(png(), f"{graphs.unique()}.png", subfolder="contract").json()["name"]

    choices = server.get("/object_info/LoadImage").json()["LoadImage"]["input"]["required"]["image"][0]

    assert root in choices
    assert deep not in " ".join(choices)


def test_a_mask_gives_its_alpha_to_an_uploaded_picture(server: Server) -> None:
    name = server.upload(png(), f"{graphs.unique()}.png").json()["name"]
    reference = json.dumps({"filename": name, "subfolder": "", "type": "input"})

    masked = server.upload(
        png("RGBA", alpha=7), f"{graphs.unique()}.png", kind="mask", original_ref=reference, type="input"
    )

    content = server.get("/view", filename=masked.json()["name"], type="input").content
    picture = Image.open(io.BytesIO(content))
    assert picture.mode == "RGBA"
    assert picture.getextrema()[3] == (7, 7)


def test_a_saved_file_is_served_with_its_length_and_type(server: Server, ear: Ear) -> None:
    prompt_id = server.run(graphs.saved(width=40, height=30), ear)
    [file] = server.files(prompt_id, "2")

    response = server.get("/view", **file)

    assert response.status_code == 200
    assert response.headers["Content-Type"] == "image/png"
    assert int(response.headers["Content-Length"]) == len(response.content)
    assert file["filename"] in response.headers["Content-Disposition"]
    assert Image.open(io.BytesIO(response.content)).size == (40, 30)


def test_a_preview_is_only_found_as_temp(server: Server, ear: Ear) -> None:
    graph = {"1": graphs.plain(), "2": graphs.node("PreviewImage", images=["1", 0])}
    prompt_id = server.run(graph, ear)
    [file] = server.files(prompt_id, "2")

    assert file["type"] == "temp"
    assert re.fullmatch(r"ComfyUI_temp_[a-z]{5}_\d{5}_\.png", file["filename"])
    assert server.get("/view", **file).status_code == 200
    assert server.get("/view", filename=file["filename"]).status_code == 404


def test_a_missing_file_is_404_and_empty(server: Server) -> None:
    response = server.get("/view", filename=f"{graphs.unique()}.png", type="output")

    assert (response.status_code, response.content) == (404, b"")


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"filename": "../x.png"}, 400),
        ({"filename": "/etc/passwd"}, 400),
        ({"filename": "x.png", "type": "nonsense"}, 400),
        ({"filename": ""}, 400),
        ({"filename": "x.png", "subfolder": "../.."}, 403),
        ({"filename": "x.png", "subfolder": "/etc"}, 403),
        ({}, 404),
    ],
)
def test_path_tricks_are_refused(server: Server, query: dict[str, str], status: int) -> None:
    assert server.get("/view", **query).status_code == status


@pytest.mark.parametrize(("wish", "kind"), [("webp;50", "WEBP"), ("jpeg;80", "JPEG"), ("png", "WEBP")])
def test_view_can_encode_a_preview(server: Server, wish: str, kind: str) -> None:
    name = server.upload(png(), f"{graphs.unique()}.png").json()["name"]

    response = server.get("/view", filename=name, type="input", preview=wish)

    assert response.headers["Content-Type"] == f"image/{kind.lower()}"
    assert Image.open(io.BytesIO(response.content)).format == kind


def test_view_can_take_the_transparency_off(server: Server) -> None:
    name = server.upload(png("RGBA", alpha=0), f"{graphs.unique()}.png").json()["name"]

    response = server.get("/view", filename=name, type="input", channel="rgb")

    assert Image.open(io.BytesIO(response.content)).mode == "RGB"


def test_a_prefix_names_folder_and_file_and_files_are_counted(server: Server, ear: Ear) -> None:
    folder = f"contract/{graphs.unique()} ü"
    names = []
    for batch_size in (2, 1):
        graph: dict[str, Any] = graphs.saved(batch_size=batch_size)
        graph["2"]["inputs"]["filename_prefix"] = f"{folder}/öx"
        names += server.files(server.run(graph, ear), "2")

    assert names == [
        {"filename": f"öx_{count:05}_.png", "subfolder": folder, "type": "output"} for count in (1, 2, 3)
    ]
    assert server.get("/view", **names[0]).status_code == 200


def test_a_prefix_can_hold_size_and_place_in_the_batch(server: Server, ear: Ear) -> None:
    graph: dict[str, Any] = graphs.saved(width=40, height=30, batch_size=2)
    graph["2"]["inputs"]["filename_prefix"] = f"contract/{graphs.unique()}/%width%x%height%-%batch_num%"

    files = server.files(server.run(graph, ear), "2")

    assert [file["filename"] for file in files] == ["40x30-0_00001_.png", "40x30-1_00002_.png"]


def test_a_prefix_out_of_the_folder_fails_while_running(server: Server, ear: Ear) -> None:
    graph: dict[str, Any] = graphs.saved()
    graph["2"]["inputs"]["filename_prefix"] = "../../x"

    prompt_id = server.queue(graph, ear)

    error = ear.until("execution_error", prompt_id).data
    assert "outside the output folder" in error["exception_message"]


def test_a_saved_file_holds_the_graph_and_the_extra_info(server: Server, ear: Ear) -> None:
    graph = graphs.saved()
    prompt_id = server.run(graph, ear, extra_data={"extra_pnginfo": {"workflow": {"nodes": [1]}, "note": "ü"}})
    [file] = server.files(prompt_id, "2")

    picture = Image.open(io.BytesIO(server.get("/view", **file).content))

    texts = {key: json.loads(value) for key, value in picture.info.items() if isinstance(value, str)}
    assert texts == {"prompt": graph, "workflow": {"nodes": [1]}, "note": "ü"}

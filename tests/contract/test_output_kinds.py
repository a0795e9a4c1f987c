"""What nodes have to show, kind by kind: under which key it comes, how its file is named, and what is in the file.

Nothing here needs a model. `SaveGLB` has no test: only a VAE makes the mesh that it wants.
"""

from __future__ import annotations

import io
import itertools
import json
import re
import wave
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from PIL import Image, ImageSequence

from tests.contract import graphs
from tests.contract.ear import Ear
from tests.contract.graphs import Graph
from tests.contract.server import Server, without_ids

OUTPUT = "2"  # the node with the output, in all graphs here
WIDTHS = itertools.cycle(range(64, 512, 8))  # so that no latent is cached


def wav() -> bytes:
    """A tenth of a second that no server has heard."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(graphs.unique().encode() * 50)
    return buffer.getvalue()


def new_prefix() -> str:
    return f"contract/{graphs.unique()}/x"


def pictures(class_type: str, count: int = 3, prefix: str | None = "", **inputs: Any) -> Graph:
    """Makes pictures and saves them; `prefix` None for nodes that don't take one."""
    graph, link = graphs.frames(count)
    if prefix is not None:
        inputs["filename_prefix"] = prefix or new_prefix()
    return {**graph, OUTPUT: graphs.node(class_type, images=link, **inputs)}


def sound(server: Server, class_type: str, prefix: str | None, **inputs: Any) -> Graph:
    """Loads a file that is uploaded for it, and saves it."""
    place = server.upload(wav(), f"{graphs.unique()}.wav", subfolder="contract").json()
    if prefix is not None:
        inputs["filename_prefix"] = prefix or new_prefix()
    return {
        "1": graphs.node("LoadAudio", audio=f"{place['subfolder']}/{place['name']}"),
        OUTPUT: graphs.node(class_type, audio=["1", 0], **inputs),
    }


def still(server: Server, prefix: str = "") -> Graph:
    return pictures("SaveImage", 1, prefix)


def png(server: Server, prefix: str = "", count: int = 3) -> Graph:
    return pictures("SaveAnimatedPNG", count, prefix, fps=8.0, compress_level=4)


def webp(server: Server, prefix: str = "", count: int = 3) -> Graph:
    return pictures("SaveAnimatedWEBP", count, prefix, fps=8.0, lossless=True, quality=80, method="fastest")


def webm(server: Server, prefix: str = "", count: int = 3) -> Graph:
    return pictures("SaveWEBM", count, prefix, codec="vp9", fps=8.0, crf=32.0)


def mp4(server: Server, prefix: str = "", count: int = 3) -> Graph:
    graph, link = graphs.frames(count)
    saving = {"filename_prefix": prefix or new_prefix(), "format": "auto", "codec": "auto"}
    return {
        **graph,
        "v": graphs.node("CreateVideo", images=link, fps=8.0),
        OUTPUT: graphs.node("SaveVideo", video=["v", 0], **saving),
    }


def flac(server: Server, prefix: str = "") -> Graph:
    return sound(server, "SaveAudio", prefix)


def mp3(server: Server, prefix: str = "") -> Graph:
    return sound(server, "SaveAudioMP3", prefix, quality="128k")


def latent(server: Server, prefix: str = "") -> Graph:
    return {
        "1": graphs.node("EmptyLatentImage", width=next(WIDTHS), height=64, batch_size=1),
        OUTPUT: graphs.node("SaveLatent", samples=["1", 0], filename_prefix=prefix or new_prefix()),
    }


@dataclass(frozen=True)
class Saved:
    """A node that saves one file: how it comes, and what it is.

    Attributes:
        graph: made with the server and a prefix; a new one if that is left out.
        key: where it comes in the node's output.
        beside: what stands beside that key.
        content_type: what /view says of it.
        guessed: whether it asks the operating system, which may not know.
        begins: how the file does.
    """

    graph: Callable[..., Graph]
    key: str
    ending: str
    content_type: str
    begins: bytes
    beside: dict[str, Any] = field(default_factory=dict)
    guessed: bool = False

    def name(self, server: Server, stem: str, count: int) -> str:
        """The name of its file: newer versions write no `_` behind the number of a sound."""
        plain = self.key == "audio" and server.version.numbers_plainly
        return f"{stem}_{count:05}{'' if plain else '_'}.{self.ending}"


ANIMATED = {"animated": [True]}
SAVED = {
    "SaveImage": Saved(still, "images", "png", "image/png", rb"\x89PNG\r\n\x1a\n"),
    "SaveAnimatedPNG": Saved(png, "images", "png", "image/png", rb"\x89PNG\r\n\x1a\n", ANIMATED),
    "SaveAnimatedWEBP": Saved(webp, "images", "webp", "image/webp", rb"RIFF....WEBP", ANIMATED),
    "SaveVideo": Saved(mp4, "images", "mp4", "video/mp4", rb"\0\0\0.ftypisom", ANIMATED),
    "SaveWEBM": Saved(webm, "images", "webm", "video/webm", rb"\x1a\x45\xdf\xa3.{,60}webm", ANIMATED),
    "SaveAudio": Saved(flac, "audio", "flac", "audio/flac", rb"fLaC", guessed=True),
    "SaveAudioMP3": Saved(mp3, "audio", "mp3", "audio/mpeg", rb"ID3"),
    "SaveLatent": Saved(latent, "latents", "latent", "application/octet-stream", rb'.{8}\{.*"latent_tensor"'),
}


@pytest.fixture(params=SAVED)
def saved(request: pytest.FixtureRequest, server: Server) -> Saved:
    """A node that saves a file."""
    require(server, request.param)
    return SAVED[request.param]


def require(server: Server, class_type: str) -> None:
    # If torchaudio does not fit torch, ComfyUI runs without its nodes for sounds.
    if not server.get(f"/object_info/{class_type}").json():
        pytest.skip(f"this ComfyUI has no {class_type}")


def shown(server: Server, ear: Ear, graph: Graph) -> dict[str, Any]:
    """Runs a graph; what its output node shows, of which event and history must say the same."""
    prompt_id = server.run(graph, ear)
    [executed] = [frame.data for frame in ear.of(prompt_id) if frame.type == "executed"]
    output: dict[str, Any] = executed["output"]
    assert server.entry(prompt_id)["outputs"] == {OUTPUT: output}
    return output


def content(server: Server, file: dict[str, str]) -> bytes:
    response = server.get("/view", **file)
    assert response.status_code == 200
    return response.content


def begins(data: bytes, pattern: bytes) -> bool:
    return re.match(pattern, data, re.DOTALL) is not None


def test_a_saved_file_comes_under_its_key(server: Server, ear: Ear, saved: Saved) -> None:
    folder = f"contract/{graphs.unique()}"

    output = shown(server, ear, saved.graph(server, f"{folder}/a b"))

    file = {"filename": saved.name(server, "a b", 1), "subfolder": folder, "type": "output"}
    assert without_ids(output) == {saved.key: [file], **saved.beside}


def test_a_saved_file_is_what_its_name_says(server: Server, ear: Ear, saved: Saved) -> None:
    [file] = shown(server, ear, saved.graph(server))[saved.key]

    response = server.get("/view", **file)

    assert response.status_code == 200
    assert begins(response.content, saved.begins), response.content[:64]
    assert int(response.headers["Content-Length"]) == len(response.content)
    unknown = {"application/octet-stream"} if saved.guessed else set()
    assert response.headers["Content-Type"] in {saved.content_type, *unknown}


def test_saved_files_are_counted(server: Server, ear: Ear, saved: Saved) -> None:
    prefix = f"contract/{graphs.unique()}/x"

    names = []
    for _ in range(2):
        output = shown(server, ear, saved.graph(server, prefix))
        names += [file["filename"] for file in output[saved.key]]

    assert names == [saved.name(server, "x", count) for count in (1, 2)]


def test_a_file_out_of_the_cache_is_announced_like_a_new_one(server: Server, ear: Ear, saved: Saved) -> None:
    graph = saved.graph(server)
    first = shown(server, ear, graph)

    assert without_ids(shown(server, ear, graph)) == without_ids(first)


def test_a_batch_in_one_file_leaves_its_place_in_the_batch_alone(server: Server, ear: Ear) -> None:
    folder = f"contract/{graphs.unique()}"

    for make in (webp, png, mp4, webm):
        [file] = shown(server, ear, make(server, f"{folder}/%width%x%height%-%batch_num%"))["images"]

        assert file["filename"].startswith("32x24-%batch_num%_0000")


@pytest.mark.parametrize("make", [webp, png])
def test_a_moving_picture_has_all_its_frames(server: Server, ear: Ear, make: Callable[..., Graph]) -> None:
    graph = make(server)
    [file] = shown(server, ear, graph)["images"]

    with Image.open(io.BytesIO(content(server, file))) as picture:
        frames = [
            (frame.convert("RGB").getpixel((5, 5)), frame.info["duration"])
            for frame in ImageSequence.Iterator(picture)
        ]

    colors = [graph[f"p{number}"]["inputs"]["color"] for number in (1, 2, 3)]
    assert frames == [((color >> 16, color >> 8 & 0xFF, color & 0xFF), 125) for color in colors]


@pytest.mark.parametrize(
    ("make", "older", "newer"),
    [(webp, [False], None), (png, [True], None), (mp4, [True], [True]), (webm, [True], [True])],
)
def test_a_single_picture_may_be_said_to_move(
    server: Server, ear: Ear, make: Callable[..., Graph], older: list[bool], newer: list[bool] | None
) -> None:
    output = shown(server, ear, make(server, count=1))

    assert output.get("animated") == (newer if server.version.is_modern else older)
    assert len(output["images"]) == 1


def test_a_moving_webp_holds_the_graph_and_the_extra_info(server: Server, ear: Ear) -> None:
    graph = webp(server)
    prompt_id = server.run(graph, ear, extra_data={"extra_pnginfo": {"workflow": {"nodes": [1]}, "note": "ü"}})
    [file] = server.files(prompt_id, OUTPUT)

    with Image.open(io.BytesIO(content(server, file))) as picture:
        exif = picture.getexif()
    texts = {tag: exif[tag].partition(":") for tag in sorted(exif, reverse=True)}

    assert {tag: (key, json.loads(value)) for tag, (key, _, value) in texts.items()} == {
        0x0110: ("prompt", graph),
        0x010F: ("workflow", {"nodes": [1]}),
        0x010E: ("note", "ü"),
    }


def test_a_moving_png_holds_the_graph_in_chunks_of_its_own(server: Server, ear: Ear) -> None:
    graph = png(server)
    prompt_id = server.run(graph, ear, extra_data={"extra_pnginfo": {"note": "ü"}})
    [file] = server.files(prompt_id, OUTPUT)

    data = content(server, file)
    chunks, start = [], 8
    while start < len(data):
        length = int.from_bytes(data[start : start + 4], "big")
        chunks.append((data[start + 4 : start + 8], data[start + 8 : start + 8 + length]))
        start += 12 + length

    texts = [text.partition(b"\0") for name, text in chunks if name == b"comf"]
    assert {key: json.loads(value) for key, _, value in texts} == {b"prompt": graph, b"note": "ü"}
    assert not {name for name, _ in chunks} & {b"tEXt", b"zTXt", b"iTXt"}


@pytest.mark.parametrize(
    ("class_type", "key", "ending", "magic"),
    [("PreviewImage", "images", "png", b"\x89PNG"), ("PreviewAudio", "audio", "flac", b"fLaC")],
)
def test_a_preview_is_temporary(
    server: Server, ear: Ear, class_type: str, key: str, ending: str, magic: bytes
) -> None:
    require(server, class_type)
    is_sound = class_type == "PreviewAudio"
    graph = sound(server, class_type, None) if is_sound else pictures(class_type, 1, None)

    output = shown(server, ear, graph)

    assert set(output) == {key}
    [file] = output[key]
    assert re.fullmatch(rf"ComfyUI_temp_[a-z]{{5}}_00001_?\.{ending}", file["filename"])
    assert (file["subfolder"], file["type"]) == ("", "temp")
    assert content(server, file).startswith(magic)
    assert server.get("/view", **{**file, "type": "output"}).status_code == 404


@pytest.mark.parametrize(
    ("class_type", "value", "text"),
    [
        ("PrimitiveString", "one\n  two \U0001f431", "one\n  two \U0001f431"),
        ("PrimitiveString", "", ""),
        (None, 12, "12"),
        (None, 1.5, "1.5"),
        (None, True, "True"),
    ],
)
def test_a_text_comes_as_a_list_of_one(
    server: Server, ear: Ear, class_type: str | None, value: Any, text: str
) -> None:
    graph: Graph = {OUTPUT: graphs.node("PreviewAny", source=value)}
    if class_type is not None:
        graph = {"1": graphs.node(class_type, value=value), OUTPUT: graphs.node("PreviewAny", source=["1", 0])}

    assert shown(server, ear, graph) == {"text": [text]}


def test_a_3d_preview_shows_the_path_of_a_file_of_the_output_folder(server: Server, ear: Ear) -> None:
    model = b"glTF" + graphs.unique().encode()
    name = f"{graphs.unique()}.glb"
    place = server.upload(model, name, subfolder="contract/mesh", type="output").json()
    path = f"{place['subfolder']}/{place['name']}"

    output = shown(server, ear, {OUTPUT: graphs.node("Preview3D", model_file=path)})

    assert output["result"][0] == f"contract/mesh/{name}"
    assert output["result"][1:] == [None, None] if server.version.is_modern else [None]
    assert content(server, {"filename": name, "subfolder": "contract/mesh", "type": "output"}) == model


def test_a_graph_can_have_outputs_of_every_kind(server: Server, ear: Ear) -> None:
    graph = {
        **webp(server),
        "3": graphs.node("CreateVideo", images=["b3", 0], fps=8.0),
        "4": graphs.node(
            "SaveVideo", video=["3", 0], filename_prefix=f"contract/{graphs.unique()}/x", format="mp4", codec="h264"
        ),
        "5": graphs.node("PreviewImage", images=["p1", 0]),
        "6": graphs.node("PreviewAny", source=graphs.unique()),
    }

    prompt_id = server.run(graph, ear)

    outputs = server.entry(prompt_id)["outputs"]
    assert {node: set(output) for node, output in outputs.items()} == {
        "2": {"images", "animated"},
        "4": {"images", "animated"},
        "5": {"images"},
        "6": {"text"},
    }
    executed = [frame.data for frame in ear.of(prompt_id) if frame.type == "executed"]
    assert {each["node"]: each["output"] for each in executed} == outputs


def test_a_sound_that_is_not_there_is_refused(server: Server) -> None:
    require(server, "LoadAudio")
    graph = sound(server, "PreviewAudio", None)
    graph["1"]["inputs"]["audio"] = "nowhere.wav"

    [error] = server.refused(graph)["node_errors"]["1"]["errors"]

    assert (error["type"], error["extra_info"]) == ("custom_validation_failed", {"input_name": "audio"})
    assert error["details"] == "audio - Invalid audio file: nowhere.wav"


def test_an_uploaded_sound_is_among_the_choices(server: Server) -> None:
    require(server, "LoadAudio")
    name = server.upload(wav(), f"{graphs.unique()}.wav").json()["name"]

    choices = server.get("/object_info/LoadAudio").json()["LoadAudio"]["input"]["required"]["audio"]
    choices = choices[1]["options"] if server.version.is_modern else choices[0]

    assert name in choices
    assert not [choice for choice in choices if choice.endswith(".png")]


def test_newer_nodes_give_their_choices_as_options(server: Server) -> None:
    required = server.get("/object_info/SaveWEBM").json()["SaveWEBM"]["input"]["required"]

    kind, config = required["codec"]
    assert kind == "COMBO"
    assert {"vp9", "av1"} <= set(config["options"])


def test_a_video_of_an_unknown_format_is_not_made(server: Server, ear: Ear) -> None:
    graph = mp4(server)
    graph[OUTPUT]["inputs"]["format"] = "nonsense"

    response = server.post("/prompt", {"prompt": graph, "client_id": ear.client_id})

    if response.status_code == 200:  # this ComfyUI notices it while the node runs
        assert ear.until("execution_error", response.json()["prompt_id"]).data["node_id"] == OUTPUT
    else:
        assert response.json()["node_errors"][OUTPUT]["errors"][0]["type"] == "value_not_in_list"

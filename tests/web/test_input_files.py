"""Input files: in JSON and in forms, up to ComfyUI's disk and into the inputs that name them."""

from __future__ import annotations

import base64
import io
import json
import struct
import threading
import wave
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image, ImageChops

from comfybridge.comfyui.catalog import Catalog, NodeClass
from comfybridge.simulator import Simulator
from tests.web.answers import failure, image, success


def png(color: str = "red", size: tuple[int, int] = (40, 24)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, color).save(buffer, "PNG")
    return buffer.getvalue()


def wav() -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(struct.pack("<h", 7) * 100)
    return buffer.getvalue()


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def part(data: bytes, filename: str = "file") -> tuple[io.BytesIO, str]:
    return io.BytesIO(data), filename


def loading(*names: str, loader: str = "LoadImage") -> dict[str, Any]:
    """A graph that loads pictures and saves each."""
    graph: dict[str, Any] = {}
    for number, name in enumerate(names, 1):
        graph[f"{number}0"] = {"class_type": loader, "inputs": {"image": name}}
        save = {"images": [f"{number}0", 0], "filename_prefix": "test"}
        graph[f"{number}1"] = {"class_type": "SaveImage", "inputs": save}
    return graph


def sent_graph(sim: Simulator) -> dict[str, Any]:
    """The graph that was queued last."""
    bodies = [each.body for each in sim.requests if each.path.endswith("/prompt") and each.method == "POST"]
    graph: dict[str, Any] = bodies[-1]["prompt"]
    return graph


def uploads(sim: Simulator) -> list[dict[str, str]]:
    """The forms of the files that were uploaded."""
    return [each.form for each in sim.requests if each.path.endswith("/upload/image")]


def stored(sim: Simulator) -> list[str]:
    folder = sim.input_directory / "comfybridge"
    return sorted(each.name for each in folder.iterdir()) if folder.exists() else []


def refused(response: Any, sim: Simulator, said: str, type: str = "invalid_request", status: int = 400) -> None:
    """The answer is this error, and nothing of the request was sent to ComfyUI."""
    assert said in failure(response, status, type)["error"]
    assert [each.path for each in sim.requests if each.method == "POST"] == []


def same_color(answered: str, data: bytes) -> bool:
    one, other = image(answered).convert("RGB"), Image.open(io.BytesIO(data)).convert("RGB")
    return one.size == other.size and ImageChops.difference(one, other).getbbox() is None


# -- JSON


@pytest.mark.parametrize(
    "data",
    [
        b64(png()),
        "\n ".join(b64(png())[at : at + 60] for at in range(0, len(b64(png())), 60)),
        base64.urlsafe_b64encode(png()).decode().rstrip("="),
        "data:image/png;base64," + b64(png()),
        "DATA:;base64," + quote(b64(png()), safe=""),
        "data:image/png," + quote(png()),
    ],
    ids=["base64", "in lines", "for urls", "data uri", "escaped data uri", "percent data uri"],
)
def test_a_file_is_uploaded_and_the_input_that_names_it_rewritten(
    api: FlaskClient, sim: Simulator, data: str
) -> None:
    body = success(api.post("/generate", json={"workflow": loading("cat.png"), "images": {"cat.png": data}}))
    assert same_color(body["images"][0], png())
    (name,) = stored(sim)
    assert sent_graph(sim)["10"]["inputs"]["image"] == f"comfybridge/{name}"
    assert len(name) == len("0" * 32 + ".png")
    assert (sim.input_directory / "comfybridge" / name).read_bytes() == png()


def test_files_can_be_a_list_and_each_goes_to_its_own_inputs(api: FlaskClient, sim: Simulator) -> None:
    graph = loading("a", "b", "a [input]")
    given = [{"name": "a", "image": b64(png("red"))}, {"name": "b", "image": b64(png("blue"))}]
    body = success(api.post("/generate", json={"workflow": graph, "images": given}))
    wanted = [png("red"), png("blue"), png("red")]
    assert all(same_color(one, other) for one, other in zip(body["images"], wanted, strict=True))
    assert sent_graph(sim)["30"]["inputs"]["image"] == sent_graph(sim)["10"]["inputs"]["image"] + " [input]"


def test_the_same_content_is_uploaded_once_and_stored_once(api: FlaskClient, sim: Simulator) -> None:
    asked = {"workflow": loading("a", "b"), "images": {"a": b64(png()), "b": b64(png())}}
    success(api.post("/generate", json=asked))
    assert len(uploads(sim)) == 1
    success(api.post("/generate", json=asked))
    assert len(stored(sim)) == 1
    sim.wait_until_idle()
    first, second = (each["prompt"][2] for each in sim.history.values())
    assert first["10"] == second["10"]  # so that ComfyUI's cache knows it again


def test_the_name_that_comfyui_answers_is_the_one_used(api: FlaskClient, sim: Simulator) -> None:
    success(api.post("/generate", json={"workflow": loading("a"), "images": {"a": b64(png())}}))
    (name,) = stored(sim)
    (sim.input_directory / "comfybridge" / name).write_bytes(b"somebody else's")
    body = success(api.post("/generate", json={"workflow": loading("a"), "images": {"a": b64(png())}}))
    assert same_color(body["images"][0], png())
    assert sent_graph(sim)["10"]["inputs"]["image"] == f"comfybridge/{name.replace('.png', ' (1).png')}"


def test_a_parameter_of_type_image_is_a_name_too(api: FlaskClient, sim: Simulator) -> None:
    asked = {"workflow": "img2img", "prompt": "x", "steps": 1, "images": {"image": b64(png())}}
    body = success(api.post("/generate", json=asked))
    assert image(body["images"][0]).size == (40, 24)
    assert body["params"]["image"] == f"comfybridge/{stored(sim)[0]}" == sent_graph(sim)["10"]["inputs"]["image"]
    again = {**asked, "images": {}, "params": {"image": body["params"]["image"]}}
    success(api.post("/generate", json=again))


def test_such_a_parameter_takes_the_file_itself(api: FlaskClient, sim: Simulator) -> None:
    uri = "data:image/png;base64," + b64(png())
    success(api.post("/generate", json={"workflow": "img2img", "params": {"image": uri, "steps": 1}}))
    assert sent_graph(sim)["10"]["inputs"]["image"] == f"comfybridge/{stored(sim)[0]}"


def test_a_whole_graph_has_that_parameter_by_its_links(api: FlaskClient, sim: Simulator) -> None:
    first = {"workflow": "img2img", "prompt": "x", "steps": 1, "images": {"image": b64(png())}}
    success(api.post("/generate", json=first))
    graph = sent_graph(sim)
    graph["10"]["inputs"]["image"] = "gone.png"
    success(api.post("/generate", json={"workflow": graph, "images": {"image": b64(png("blue"))}}))
    assert len(stored(sim)) == 2
    success(api.post("/generate", json={"workflow": graph, "images": {"gone.png": b64(png("blue"))}}))


def test_an_override_can_name_the_file(api: FlaskClient, sim: Simulator) -> None:
    asked = {"workflow": "img2img", "params": {"10.image": "my", "steps": 1}, "images": {"my": b64(png())}}
    body = success(api.post("/generate", json=asked))
    assert body["params"]["10.image"] == sent_graph(sim)["10"]["inputs"]["image"] != "my"


def test_a_prompt_that_happens_to_be_a_files_name_stays(api: FlaskClient, sim: Simulator) -> None:
    asked = {"workflow": "img2img", "prompt": "image", "steps": 1, "images": {"image": b64(png())}}
    assert success(api.post("/generate", json=asked))["params"]["prompt"] == "image"
    assert sent_graph(sim)["6"]["inputs"]["text"] == "image"


def test_a_name_that_no_node_mentions_is_refused_with_those_that_there_are(api: FlaskClient, sim: Simulator) -> None:
    asked = {"workflow": loading("dog.png"), "images": {"cat.png": b64(png())}}
    response = api.post("/generate", json=asked)
    refused(response, sim, "no node of the graph mentions 'cat.png'; the names that it takes are dog.png.")


@pytest.mark.parametrize(
    ("images", "said"),
    [
        ({"cat": "%%%"}, "images: cat is not valid base64"),
        ({"cat": "abcde"}, "images: cat is not valid base64"),
        ({"cat": "ab=c"}, "images: cat is not valid base64"),
        ({"cat": "bücher"}, "images: cat is not valid base64"),
        ({"cat": ""}, "images: cat is empty"),
        ({"cat": "data:image/png;base64,"}, "images: cat is empty"),
        ({"cat": "data:image/png"}, "without a comma"),
        ({"cat": "file:///etc/hosts"}, "begins with file:"),
        ({"cat": 5}, "images: cat must be a text"),
        ({"cat": b64(b"no picture")}, "cat"),
        ({"cat": b64(png()[:-30])}, "cat"),
        ({"cat": b64(png()[:30])}, "cat"),
        ({"cat": b64(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")}, "PostScript"),
        ([{"name": "cat"}], "item 1 must be an object with a name and an image"),
        ([{"name": "cat", "image": "", "x": 1}], "item 1 must be"),
        (["abc"], "item 1 must be"),
        ([{"name": "cat", "image": b64(png())}] * 2, "two files of the name 'cat'"),
        ("abc", "images must be {name: data} or [{name, image}]"),
        ({str(number): b64(png()) for number in range(101)}, "101 files"),
        ({"": b64(png())}, "no node of the graph mentions ''"),
        ({"../cat\n": b64(png())}, "no node of the graph mentions"),
    ],
)
def test_files_that_cannot_be_used(api: FlaskClient, sim: Simulator, images: Any, said: str) -> None:
    refused(api.post("/generate", json={"workflow": loading("cat"), "images": images}), sim, said)


def test_a_moving_picture_of_which_frames_are_missing_is_refused(api: FlaskClient, sim: Simulator) -> None:
    buffer = io.BytesIO()
    frames = [Image.effect_noise((64, 64), 50 + number) for number in range(3)]
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    whole = buffer.getvalue()
    cut = whole[: len(whole) * 2 // 3]
    refused(
        api.post("/generate", json={"workflow": loading("a.gif"), "images": {"a.gif": b64(cut)}}),
        sim,
        "The image a.gif is truncated.",
    )
    success(api.post("/generate", json={"workflow": loading("a.gif"), "images": {"a.gif": b64(whole)}}))


def test_one_bad_file_keeps_all_others_from_being_uploaded(api: FlaskClient, sim: Simulator) -> None:
    asked = {"workflow": loading("a", "b"), "images": {"a": b64(png()), "b": b64(png()[:-30])}}
    refused(api.post("/generate", json=asked), sim, "The image b is")


def test_a_file_and_a_value_for_one_parameter_are_refused(api: FlaskClient, sim: Simulator) -> None:
    asked = {"workflow": "img2img", "params": {"image": "old.png"}, "images": {"image": b64(png())}}
    refused(api.post("/generate", json=asked), sim, "image is given as a file in images, and as a value in params")
    asked = {"workflow": "img2img", "images": {"image": b64(png()), "example.png": b64(png())}}
    refused(api.post("/generate", json=asked), sim, "image and example.png are both for 10.image")


def test_what_is_no_picture_goes_through_as_it_is(api: FlaskClient, sim: Simulator) -> None:
    graph = {"1": {"class_type": "PreviewAny", "inputs": {"source": "voice"}}}
    success(api.post("/generate", json={"workflow": graph, "images": {"voice": b64(wav())}}))
    (name,) = stored(sim)
    assert name.endswith(".wav")
    assert (sim.input_directory / "comfybridge" / name).read_bytes() == wav()


def test_a_mask_keeps_its_transparency(api: FlaskClient, sim: Simulator) -> None:
    buffer = io.BytesIO()
    Image.new("RGBA", (40, 24), (255, 0, 0, 99)).save(buffer, "PNG")
    success(api.post("/generate", json={"workflow": loading("m"), "images": {"m": b64(buffer.getvalue())}}))
    assert (sim.input_directory / "comfybridge" / stored(sim)[0]).read_bytes() == buffer.getvalue()


# -- names that lead out of ComfyUI's folders

TRICKS = [
    "../output/x.png",
    "..\\output\\x.png",
    "sub/../../output/x.png",
    "sub\\..\\x.png",
    "..",
    " ../x.png",
    "sub/.. /x.png",
    "../output/x.png [input]",
    "sub/..x[input]",  # ComfyUI drops the letter before the bracket
    "/etc/passwd",
    "\\\\server\\share\\x.png",
    "C:\\x.png",
    "c:x.png",
    "x\0.png",
    "x\n.png",
]


@pytest.mark.parametrize("name", TRICKS)
def test_a_name_that_leads_out_of_comfyui_s_folders_is_refused(api: FlaskClient, sim: Simulator, name: str) -> None:
    said = "it must be the name of a file in ComfyUI's input folder"
    for body in (
        {"workflow": "img2img", "prompt": "x", "steps": 1, "params": {"image": name}},
        {"workflow": "img2img", "prompt": "x", "steps": 1, "params": {"10.image": name}},
        {"workflow": "img2img", "prompt": "x", "steps": 1, "params": {"10.image": {"__value__": name}}},
        {"workflow": loading(name)},
        {"prompt": loading(name, loader="LoadImageMask")},
        {"workflow": loading(name, loader="NobodyKnowsThisLoadImage")},
        {"workflow": loading("a.png"), "params": {"10.image": name}},
    ):
        refused(api.post("/generate", json=body), sim, said)
    if "\0" not in name:
        form = {"workflow": "img2img", "prompt": "x", "image": name}
        refused(api.post("/generate", data=form, content_type="multipart/form-data"), sim, said)


def test_in_an_object_and_over_links_too(api: FlaskClient, sim: Simulator) -> None:
    body = {"workflow": {**loading("example.png"), "7": {"class_type": "PrimitiveString", "inputs": {"value": "a"}}}}
    body["workflow"]["8"] = {"class_type": "PrimitiveString", "inputs": {"value": ["7", 0]}}
    body["workflow"]["10"]["inputs"]["image"] = ["8", 0]
    said = "10.image is '../output/x.png'; it must be"
    refused(api.post("/generate", json={**body, "params": {"7.value": "../output/x.png"}}), sim, said)
    threed = {"class_type": "Load3D", "inputs": {"image": {"image": "a.png", "mask": "/etc/passwd"}}}
    asked = {"workflow": {**loading("example.png"), "7": threed}}
    refused(api.post("/generate", json=asked), sim, "7.image is '/etc/passwd'")


def test_an_input_that_takes_uploads_is_known_whatever_its_class_is_called(
    api: FlaskClient, sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    classes = {"Shower": {"picture": (["a.png"], {"image_upload": True}), "text": ("STRING", {"multiline": True})}}
    declare(monkeypatch, classes)
    for inputs, status in (({"picture": "../x.png"}, True), ({"text": "../x.png"}, False)):
        asked = {"workflow": {**loading("example.png"), "7": {"class_type": "Shower", "inputs": inputs}}}
        said = api.post("/generate", json=asked).get_json().get("error", "")
        assert ("7.picture is '../x.png'; it must be" in said) == status


def test_a_loader_of_any_path_may_be_given_one(
    api: FlaskClient, sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who installs such a node wants that; what the stand-in says of it is its own business."""
    declare(monkeypatch, {"LoadImagesFromPath": {"path": ("STRING", {})}})
    asked = {"workflow": {"7": {"class_type": "LoadImagesFromPath", "inputs": {"path": "/data"}}, **loading("a.png")}}
    assert "/data" not in api.post("/generate", json=asked).get_json()["error"]


def declare(monkeypatch: pytest.MonkeyPatch, classes: dict[str, dict[str, Any]]) -> None:
    """Have the bridge believe that ComfyUI has these node classes, by their inputs."""
    ask = Catalog.node_class

    def node_class(self: Catalog, name: str, deadline: Any, *, fresh: bool = False) -> NodeClass | None:
        if name in classes:
            inputs = {each: list(declared) for each, declared in classes[name].items()}
            return NodeClass(name, False, inputs, {})
        return ask(self, name, deadline, fresh=fresh)

    monkeypatch.setattr(Catalog, "node_class", node_class)


@pytest.mark.parametrize(
    "name", ["sub/cat.png", "sub\\cat.png", "sub/cat.png [input]", "a..b/..cat.png", "cat...png", "Ünï cöde.png"]
)
def test_a_name_in_a_subfolder_passes(api: FlaskClient, sim: Simulator, name: str) -> None:
    path = sim.input_directory / name.removesuffix(" [input]")
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(png())
    success(api.post("/generate", json={"workflow": loading(name)}))
    success(api.post("/generate", json={"workflow": "img2img", "prompt": "x", "steps": 1, "params": {"image": name}}))


@pytest.mark.parametrize("text", ["../x", "/imagine a cat", "C: a cat", "a cat\nand ..", ".."])
def test_a_text_for_people_is_no_name(api: FlaskClient, text: str) -> None:
    success(api.post("/generate", json={"prompt": text, "negative_prompt": text, "steps": 1}))
    success(api.post("/generate", json={"steps": 1, "params": {"6.text": text}}))


def test_what_a_template_says_of_its_own_is_its_owner_s_business(
    make_app: Callable[..., Flask], tmp_path: Any, sim: Simulator
) -> None:
    (sim.input_directory.parent / "kept.png").write_bytes(png())
    (tmp_path / "mine.json").write_text(json.dumps(loading("../kept.png")))
    (tmp_path / "mine.yaml").write_text("parameters: {image: {node: 10, input: image, type: image}}")
    (tmp_path / "other.json").write_text(json.dumps(loading("example.png")))
    default = "parameters: {image: {node: 10, input: image, type: image, default: ../kept.png}}"
    (tmp_path / "other.yaml").write_text(default)
    for closed in (True, False):
        api = make_app(workflows_dir=tmp_path, workflows_only=closed).test_client()
        for name in ("mine", "other"):
            body = success(api.post("/generate", json={"workflow": name}))
            assert same_color(body["images"][0], png())
            asked = {"workflow": name, "params": {"image": "../kept.png"}}
            assert "input folder" in failure(api.post("/generate", json=asked), 400, "invalid_request")["error"]


def test_a_file_may_be_sent_for_an_input_that_names_a_path(api: FlaskClient, sim: Simulator) -> None:
    """As in a graph of another machine."""
    name = "C:\\pictures\\cat.png"
    body = success(api.post("/generate", json={"workflow": loading(name), "images": {name: b64(png())}}))
    assert same_color(body["images"][0], png())


# -- forms


def test_a_form_brings_files_and_plain_fields(api: FlaskClient, sim: Simulator) -> None:
    form = {
        "workflow": "img2img",
        "prompt": "{a|b} cat",
        "seed": "5",
        "cfg": "6.5",
        "width": "",
        "timeout": "60",
        "params": '{"steps": 2}',
        "output": '{"format": "webp"}',
        "image": part(png(), "C:\\holiday.png"),
        "unused": part(b"", ""),
    }
    body = success(api.post("/generate", data=form))
    sampler = sent_graph(sim)["3"]["inputs"]
    assert (sampler["seed"], sampler["cfg"], sampler["steps"]) == (5, 6.5, 2)
    assert body["params"]["prompt"] == "{a|b} cat"
    assert sent_graph(sim)["10"]["inputs"]["image"] == f"comfybridge/{stored(sim)[0]}"


@pytest.mark.parametrize("as_file", [False, True])
def test_a_form_can_hold_the_fields_as_json(api: FlaskClient, sim: Simulator, as_file: bool) -> None:
    fields = json.dumps({"workflow": loading("cat", "dog"), "images": {"dog": b64(png("blue"))}})
    form = {"request": part(fields.encode()) if as_file else fields, "cat": part(png())}
    body = success(api.post("/generate", data=form))
    assert same_color(body["images"][0], png())
    assert same_color(body["images"][1], png("blue"))


def test_the_graph_can_be_a_file(api: FlaskClient, sim: Simulator) -> None:
    form = {"workflow": part(json.dumps(loading("cat")).encode(), "graph.json"), "cat": part(png())}
    assert same_color(success(api.post("/generate", data=form))["images"][0], png())
    form = {"prompt": json.dumps(loading("cat")), "cat": part(png())}
    assert "image" in success(api.post("/generate", data=form))


def test_a_picture_that_comfyui_made_is_run_again_with_overrides(api: FlaskClient, sim: Simulator) -> None:
    asked = {"workflow": "txt2img", "prompt": "a cat", "seed": 1, "steps": 2, "width": 64, "height": 64}
    first = success(api.post("/generate", json=asked))["images"][0]
    made = base64.b64decode(first)
    again = success(api.post("/generate", data={"workflow": part(made)}))
    assert again["seed"] == 1
    assert image(again["images"][0]).tobytes() == image(first).tobytes()
    other = success(api.post("/generate", data={"workflow": part(made), "seed": "2", "params": '{"3.steps": 3}'}))
    assert other["seed"] == 2
    assert sent_graph(sim)["3"]["inputs"]["steps"] == 3
    assert sent_graph(sim)["6"]["inputs"]["text"] == "a cat"


def test_a_webp_that_comfyui_made_is_run_again(api: FlaskClient, sim: Simulator) -> None:
    graph = loading("cat")
    exif = Image.Exif()
    exif[0x0110] = "prompt:" + json.dumps(graph)
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "WEBP", exif=exif)
    success(api.post("/generate", data={"workflow": part(buffer.getvalue()), "cat": part(png())}))
    assert sent_graph(sim).keys() == graph.keys()


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"workflow": part(png())}, "carries no graph"),
        ({"workflow": part(b"nonsense", "README.md")}, "The file in workflow is not JSON"),
        ({"request": "nonsense"}, "The form's part request is not JSON"),
        ({"": "x"}, "a field without a name"),
        ({"output": "notjson"}, """output must be an object, such as {"format": "webp"}, not 'notjson'."""),
        ({"output.format": "gif"}, "output.format must be 'png', 'jpeg' or 'webp', not 'gif'"),
        ({"output.qualty": "5"}, "Unknown field 'output.qualty' (did you mean 'output.quality'?)."),
        ({"output.quality": "5", "output": '{"quality": 5}'}, "gives output.quality twice"),
        ({"output.quality": "5", "output": "best"}, "output must be an object"),
        ({"steps": "4", "params.steps": "5"}, "steps is 4, but params gives steps as '5'."),
        ({"params.steps": "many"}, "steps is the text 'many'; it must be an integer"),
        ({"3.stepz": "4"}, "node 3 (KSampler) has no input stepz"),
        ({"99.steps": "4"}, "the graph has no node 99"),
        (
            {"workflow": "img2img", "imag": "http://example.org/cat.png"},
            "imag is not a parameter; accepted are image",
        ),
        ({}, "The form is empty"),
        ({"promt": "x"}, "promt is not a parameter; accepted are prompt,"),
        ({"workflow": json.dumps(loading("cat")), "promt": "x"}, "promt is not a parameter"),
        ({"steps": "many"}, "steps must be an integer, not 'many'"),
        ({"front": "maybe"}, "front must be true or false"),
        ({"params": "{"}, "params must be an object"),
        ({"request": "[]"}, "must be a JSON object"),
        ({"request": '{"seed": 1}', "seed": "1"}, "gives seed twice"),
        ({"seed": ["1", "2"]}, "gives seed twice"),
        ({"seed": "1" * 5000}, "seed"),
        ({"cfg": "NaN"}, "too large"),
        ({"prompt": "x", "cat": part(png())}, "no node of the graph mentions 'cat'"),
        ({"workflow": "img2img", "image": part(b"", "cat.png")}, "image"),
    ],
)
def test_a_form_that_cannot_be_used(api: FlaskClient, sim: Simulator, form: dict[str, Any], said: str) -> None:
    for value in form.values():  # the streams of one run of the parameters serve once
        if isinstance(value, tuple):
            value[0].seek(0)
    refused(api.post("/generate", data=form, content_type="multipart/form-data"), sim, said)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", b"--x\r\n\r\n"),
        ("multipart/form-data; boundary=x", b"nothing of the kind"),
        ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\ncut'),
    ],
)
def test_a_malformed_form(api: FlaskClient, sim: Simulator, content_type: str, body: bytes) -> None:
    refused(api.post("/generate", data=body, content_type=content_type), sim, "no well-formed multipart/form-data")


def test_a_part_without_a_name(api: FlaskClient, sim: Simulator) -> None:
    """As `curl -F =x` sends it."""
    body = b"--x\r\nContent-Disposition: form-data\r\n\r\nx\r\n--x--\r\n"
    response = api.post("/generate", data=body, content_type="multipart/form-data; boundary=x")
    refused(response, sim, "The form has a field without a name; write -F prompt=..., for example.")


# -- limits


def test_too_much_is_a_413(make_app: Callable[..., Flask], sim: Simulator) -> None:
    api = make_app(max_upload_bytes=3000, max_json_bytes=2000).test_client()
    many = {"workflow": json.dumps(loading("a", "b")), "a": part(b"x" * 2000), "b": part(b"x" * 1500)}
    refused(api.post("/generate", data=many), sim, "more than 3000 bytes", "too_large", 413)
    whole = {"workflow": "img2img", "image": part(b"x" * 6000)}
    refused(api.post("/generate", data=whole), sim, "more than 5000 bytes", "too_large", 413)
    refused(api.post("/generate", data={"prompt": "x" * 2500, "a": part(b"")}), sim, "2000", "too_large", 413)
    parts = {f"n{number}": "x" for number in range(201)}
    api = make_app().test_client()
    response = api.post("/generate", data=parts, content_type="multipart/form-data")
    refused(response, sim, "200 parts", "too_large", 413)


def test_a_chunked_form_is_counted_too(make_app: Callable[..., Flask], sim: Simulator) -> None:
    api = make_app(max_upload_bytes=3000, max_json_bytes=2000).test_client()
    body = (
        b'--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n' + b"x" * 9000 + b"\r\n--x--\r\n"
    )
    response = api.post(
        "/generate",
        input_stream=io.BytesIO(body),
        content_type="multipart/form-data; boundary=x",
        headers={"Transfer-Encoding": "chunked"},
        environ_overrides={"wsgi.input_terminated": True},
    )
    refused(response, sim, "more than 5000 bytes", "too_large", 413)


@pytest.mark.parametrize(("status", "answered", "type"), [(413, 413, "too_large"), (400, 502, "comfyui_error")])
def test_an_upload_that_comfyui_refuses(
    api: FlaskClient, sim: Simulator, status: int, answered: int, type: str
) -> None:
    sim.fail_route("/upload/image", status=status)
    asked = {"workflow": loading("a"), "images": {"a": b64(png())}}
    failure(api.post("/generate", json=asked), answered, type)
    assert sim.history == {}
    sim.heal()
    success(api.post("/generate", json=asked))


def test_an_upload_takes_a_slot_and_gives_it_back(make_app: Callable[..., Flask], sim: Simulator) -> None:
    api = make_app(max_concurrent=1).test_client()
    sim.fail_route("/upload/image", status=400, times=2)
    asked = {"workflow": loading("a"), "images": {"a": b64(png())}}
    for _ in range(2):
        failure(api.post("/generate", json=asked), 502, "comfyui_error")


# -- URLs


@pytest.fixture
def files() -> Iterator[str]:
    """A web server with a picture, `http://127.0.0.1:PORT`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            data = png("green")
            self.send_response(200)
            self.send_header("Content-Type", "image/png")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_a_url_is_fetched_where_the_settings_allow_its_host(
    make_app: Callable[..., Flask], sim: Simulator, files: str
) -> None:
    api = make_app(fetch_allow_hosts="127.0.0.1").test_client()
    asked = {"workflow": loading("a"), "images": {"a": f"{files}/cat.png"}}
    assert same_color(success(api.post("/generate", json=asked))["images"][0], png("green"))


@pytest.mark.parametrize("way", ["url", "data uri", "base64"])
def test_an_image_parameter_takes_a_text_in_a_form(
    make_app: Callable[..., Flask], sim: Simulator, files: str, way: str
) -> None:
    api = make_app(fetch_allow_hosts="127.0.0.1").test_client()
    long = b64(png(size=(300, 300)))
    text = {"url": f"{files}/cat.png", "data uri": f"data:image/png;base64,{b64(png())}", "base64": long}[way]
    form = {"workflow": "img2img", "image": text, "steps": "1"}
    success(api.post("/generate", data=form, content_type="multipart/form-data"))
    assert sent_graph(sim)["10"]["inputs"]["image"].startswith("comfybridge/")


def test_a_url_into_the_own_network_is_refused(api: FlaskClient, sim: Simulator, files: str) -> None:
    asked = {"workflow": loading("a"), "images": {"a": f"{files}/cat.png?token=secret"}}
    response = api.post("/generate", json=asked)
    refused(response, sim, "images: a: 127.0.0.1 is no public host")
    assert "secret" not in response.text


def test_fetched_files_count_against_the_limit(make_app: Callable[..., Flask], sim: Simulator, files: str) -> None:
    most = len(png("green")) + 10
    api = make_app(fetch_allow_hosts="127.0.0.1", max_upload_bytes=most).test_client()
    success(api.post("/generate", json={"workflow": loading("a"), "images": {"a": files}}))
    sim.forget_requests()
    asked = {"workflow": loading("a", "b"), "images": {"a": files, "b": files}}
    said = f"The input files have more than {most} bytes, all that a request may bring."
    refused(api.post("/generate", json=asked), sim, said, "too_large", 413)


class SlowSite:
    """A web server that holds its answers back until as many were asked for at the same time as a test wants.

    Attributes:
        wanted: that many.
        most: how many were ever held back at the same time.
    """

    def __init__(self, wanted: int) -> None:
        self.wanted = wanted
        self.most = 0
        self._held = 0
        self._changed = threading.Condition()
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site._hold()
                status = 404 if "gone" in self.path else 200
                self.send_response(status)
                self.send_header("Content-Type", "image/png")
                self.end_headers()
                self.wfile.write(png("green"))

            def log_message(self, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def _hold(self) -> None:
        with self._changed:
            self._held += 1
            self.most = max(self.most, self._held)
            self._changed.notify_all()
            self._changed.wait_for(lambda: self.most >= self.wanted, timeout=5)
            self._held -= 1


@pytest.fixture
def four_at_once() -> Iterator[SlowSite]:
    site = SlowSite(4)
    yield site
    site.server.shutdown()
    site.server.server_close()


def test_urls_are_fetched_four_at_a_time(make_app: Callable[..., Flask], four_at_once: SlowSite) -> None:
    api = make_app(fetch_allow_hosts="127.0.0.1", fetch_timeout=2).test_client()
    names = [f"file{number}" for number in range(6)]
    asked = {"workflow": loading(*names), "images": {name: f"{four_at_once.url}/{name}" for name in names}}
    assert len(success(api.post("/generate", json=asked))["images"]) == 6
    assert four_at_once.most == 4


def test_of_several_urls_that_fail_the_first_is_named(
    make_app: Callable[..., Flask], sim: Simulator, four_at_once: SlowSite
) -> None:
    api = make_app(fetch_allow_hosts="127.0.0.1").test_client()
    urls = {"a": "/a.png", "b": "/gone", "c": "/c.png", "d": "/gone"}
    images = {name: four_at_once.url + path for name, path in urls.items()}
    response = api.post("/generate", json={"workflow": loading(*urls), "images": images})
    refused(response, sim, "images: b: 127.0.0.1 answered 404 instead of the file.")

"""Input files: in JSON and in forms, up to ComfyUI's disk and into the inputs that name them."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image

from comfybridge.comfyui import input_folder
from comfybridge.simulator import Simulator
from tests.web.answers import failure, image, success
from tests.web.input_files import b64, loading, part, png, refused, same_color, sent_graph, stored, uploads, wav

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
    refused(response, sim, "no node of the graph mentions 'cat.png'; the names that it takes are image, dog.png.")


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
        ([{"name": "cat", "image": b64(png())}] * 2, "two files named 'cat'"),
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


# -- forms


def test_a_form_brings_files_and_plain_fields(api: FlaskClient, sim: Simulator) -> None:
    form = {
        "workflow": "img2img",
        "prompt": "{a} cat",
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
    assert body["params"]["prompt"] == "{a} cat"
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
        ({"workflow": part(png())}, "contains no graph"),
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
    for value in form.values():  # a stream can be read only once
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
    refused(api.post("/generate", data=body, content_type=content_type), sim, "not well-formed multipart/form-data")


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


def test_a_large_file_that_comfyui_would_not_take_is_not_even_sent(
    api: FlaskClient, sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(input_folder, "LARGE_UPLOAD", 10)
    sim.fail_route("/features", 200, b'{"max_upload_size": 20}')
    asked = {"workflow": loading("a"), "images": {"a": b64(png())}}
    assert "up to 20 bytes" in failure(api.post("/generate", json=asked), 413, "too_large")["error"]
    assert uploads(sim) == []
    sim.fail_route("/features", 404)  # as on an older ComfyUI
    success(api.post("/generate", json=asked))


def test_an_upload_takes_a_slot_and_gives_it_back(make_app: Callable[..., Flask], sim: Simulator) -> None:
    api = make_app(max_concurrent=1).test_client()
    sim.fail_route("/upload/image", status=400, times=2)
    asked = {"workflow": loading("a"), "images": {"a": b64(png())}}
    for _ in range(2):
        failure(api.post("/generate", json=asked), 502, "comfyui_error")

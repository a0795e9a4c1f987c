"""Files that are sent as pictures and that ComfyUI can't read: the sentence says what they are and what to send."""

from __future__ import annotations

import base64

import pytest
from flask.testing import FlaskClient

from comfybridge.simulator import Simulator
from tests.media.pictures import drawn, encoded
from tests.web.answers import success
from tests.web.input_files import b64, loading, part, png, refused

REST = b"\0" * 400
SEND = "send a picture as PNG, JPEG, WebP, GIF, BMP or TIFF."


def ftyp(major: bytes, *compatible: bytes) -> bytes:
    brands = major + b"\0\0\0\0" + b"".join(compatible)
    return (8 + len(brands)).to_bytes(4, "big") + b"ftyp" + brands + REST


XML = b'<?xml version="1.0"?><!-- made by x -->\n'
BASE64 = base64.b64encode(png())
TWICE = "a picture's base64, which must be decoded once more"

FILES = {
    "photo.heic": (ftyp(b"heic", b"mif1", b"heic"), "a HEIC photo"),
    "photo.HEIF": (ftyp(b"mif1", b"heic"), "a HEIC photo"),
    "burst.heics": (ftyp(b"msf1", b"hevc"), "a HEIC photo"),
    "photo.jpg": (ftyp(b"heic"), "a HEIC photo"),
    "logo.svg": (XML + b'<svg xmlns="http://www.w3.org/2000/svg"/>', "an SVG drawing"),
    "logo.png": (b"\xef\xbb\xbf  <SVG viewBox='0 0 9 9'></SVG>", "an SVG drawing"),
    "utf16.svg": ("<svg/>".encode("utf-16"), "an SVG drawing"),
    "page.png": (b"<!DOCTYPE html><html><svg></svg></html>", "a web page"),
    "feed.png": (b"<rss/>", "a text in XML"),
    "answer.png": (b'{"error": "no such file"}', "a text in JSON"),
    "next.jxl": (b"\xff\x0a" + REST, "a JPEG XL picture"),
    "old.jp2": (b"\0\0\0\x0cjP  \r\n\x87\n" + REST, "a JPEG 2000 picture"),
    "light.exr": (b"\x76\x2f\x31\x01" + REST, "an OpenEXR picture"),
    "light.hdr": (b"#?RADIANCE\n" + REST, "a Radiance HDR picture"),
    "photo.cr3": (ftyp(b"crx "), "a camera's raw photo"),
    "photo.raf": (b"FUJIFILMCCD-RAW " + REST, "a camera's raw photo"),
    "photo.nef": (b"MM\0*" + REST, "a camera's raw photo"),
    "scan.pdf": (b"%PDF-1.7\n" + REST, "a PDF document"),
    "all.zip": (b"PK\x03\x04" + REST, "a zip archive"),
    "clip.mp4": (ftyp(b"isom"), "a video"),
    "song.mp3": (b"ID3" + REST, "a sound"),
    "twice.png": (BASE64, TWICE),
    "uri.png": (
        b"data:image/png;base64," + base64.b64encode(png()),
        "a picture's base64, which must be decoded once more",
    ),
    "words.png": (b"a picture of a cat", "not an image"),
}


@pytest.mark.parametrize("name", FILES)
def test_what_it_is_and_what_to_send(api: FlaskClient, sim: Simulator, name: str) -> None:
    data, what = FILES[name]
    response = api.post("/generate", json={"workflow": loading(name), "images": {name: b64(data)}})
    refused(response, sim, f"The file {name} is {what}; {SEND}")


def test_a_form_s_file_alike(api: FlaskClient, sim: Simulator) -> None:
    response = api.post(
        "/generate", data={"workflow": "img2img", "image": part(FILES["photo.heic"][0], "IMG_1.heic")}
    )
    refused(response, sim, "The file image is a HEIC photo; send a picture as PNG")


@pytest.mark.parametrize("name", ["photo.heic", "logo.svg", "light.exr"])
def test_a_loader_of_its_own_may_read_it(api: FlaskClient, sim: Simulator, name: str) -> None:
    """The simulator has no such node, so it is ComfyUI that refuses it."""
    graph = loading(name, loader="LoadHeif")
    response = api.post("/generate", json={"workflow": graph, "images": {name: b64(FILES[name][0])}})
    assert response.get_json()["type"] == "invalid_workflow"
    assert "LoadHeif" in response.get_json()["error"]


def test_an_avif_passes_however_its_brands_are_said(api: FlaskClient) -> None:
    data = encoded(drawn(), "avif")
    assert data[4:12] == b"ftypavif"
    for each in (data, data[:8] + b"mif1" + data[12:]):
        success(api.post("/generate", json={"workflow": loading("x.avif"), "images": {"x.avif": b64(each)}}))


@pytest.mark.parametrize("named", ["image/jpg", "image/pjpeg", "IMAGE/JPG", ""])
def test_a_data_uri_may_name_its_type_otherwise(api: FlaskClient, named: str) -> None:
    uri = f"data:{named};base64,{b64(encoded(drawn(), 'jpeg'))}"
    success(api.post("/generate", json={"workflow": loading("x.jpg"), "images": {"x.jpg": uri}}))

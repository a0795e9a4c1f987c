"""What a file is, by its bytes and its name."""

from __future__ import annotations

import pytest

from comfybridge.errors import InvalidRequest
from comfybridge.media import extension_of, file_extension, image_size, media_type_of, parse_color, suffix_of
from tests.media.pictures import drawn, encoded

HEADS = {
    "mp4": b"\x00\x00\x00\x20ftypisom\x00\x00",
    "mov": b"\x00\x00\x00\x14ftypqt  \x00\x00",
    "m4a": b"\x00\x00\x00\x1cftypM4A \x00\x00",
    "webm": b"\x1aE\xdf\xa3\x9fB\x86\x81\x01B\xf7\x81\x01B\x82\x84webm",
    "mkv": b"\x1aE\xdf\xa3\x9fB\x86\x81\x01B\xf7\x81\x01B\x82\x88matroska",
    "wav": b"RIFF\x24\x00\x00\x00WAVEfmt ",
    "avi": b"RIFF\x24\x00\x00\x00AVI LIST",
    "flac": b"fLaC\x00\x00\x00\x22",
    "ogg": b"OggS\x00\x02",
    "glb": b"glTF\x02\x00\x00\x00",
}


@pytest.mark.parametrize("format", ["png", "webp", "gif", "bmp", "tiff", "avif"])
def test_the_bytes_of_an_image_tell_its_ending(format: str) -> None:
    assert file_extension(encoded(drawn(), format)) == format
    assert suffix_of(encoded(drawn(), format), "cat.txt") == format


def test_a_jpeg_ends_in_jpg() -> None:
    assert suffix_of(encoded(drawn(), "jpeg"), "cat.jpeg") == "jpg"


@pytest.mark.parametrize("ending", HEADS)
def test_the_bytes_of_other_files_tell_their_ending(ending: str) -> None:
    assert file_extension(HEADS[ending]) == ending


@pytest.mark.parametrize("data", [b"ID3\x04\x00", b"\xff\xfb\x90\x64", b"\xff\xf3\x40\xc4"])
def test_an_mp3_is_known_with_and_without_a_tag(data: bytes) -> None:
    assert file_extension(data) == "mp3"


@pytest.mark.parametrize(
    "data", [b"", b"BM and so on, a text", b"RIFF", b"\xff\xff\xff\xff", b"\xff\xf1\x50\x80", b"{}"]
)
def test_what_only_looks_a_little_like_something_is_unknown(data: bytes) -> None:
    assert file_extension(data) is None


@pytest.mark.parametrize(
    ("data", "name", "expected"),
    [
        (b"unknown", "model.safetensors", "safetensors"),
        (b"unknown", "CAT.PNG", "png"),
        (b"unknown", "cat", ""),
        (b"unknown", "cat.", ""),
        (b"unknown", "cat.a/../b", ""),
        (HEADS["mp4"], "song.m4a", "m4a"),
        (HEADS["mp4"], "song.png", "mp4"),
        (HEADS["ogg"], "song.opus", "opus"),
    ],
)
def test_the_name_tells_where_the_bytes_do_not(data: bytes, name: str, expected: str) -> None:
    assert suffix_of(data, name) == expected


def test_a_name_tells_the_media_type() -> None:
    assert media_type_of("a.b/Cat.JPG") == ("image/jpeg", "image")
    assert media_type_of("png") == ("application/octet-stream", "file")
    assert extension_of("image/jpeg") == "jpg"


def test_the_size_is_read_off_the_header() -> None:
    assert image_size(encoded(drawn())[:60]) == (48, 32)
    assert image_size(b"no image") is None


@pytest.mark.parametrize(
    ("text", "color"),
    [("#A1b2C3", "#a1b2c3"), ("#fff", "#ffffff"), (" Tomato ", "#ff6347"), ("rgb(1, 2, 3)", "#010203")],
)
def test_a_colour_is_written_in_many_ways(text: str, color: str) -> None:
    assert parse_color(text) == color


@pytest.mark.parametrize("text", ["", "shiny", "#12345", "#11223344", "#" + "1" * 200, "rgb(1,2,999)"])
def test_what_is_no_colour_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="is not a colour; write it as #rrggbb"):
        parse_color(text)

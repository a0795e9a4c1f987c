"""The embedded graph, kept through every conversion or stripped without touching a pixel."""

from __future__ import annotations

import io
import json
import zlib
from typing import Any, Literal

import pytest
from PIL import Image, ImageSequence
from PIL.PngImagePlugin import PngInfo

from comfybridge.media import Converted, convert, embedded_graph, png
from comfybridge.request import OutputOptions
from tests.media.pictures import EDITOR, GRAPH, drawn, encoded, exif, moving, opened, png_of_comfyui, texts

SECRET = b"EmptyImage"


def asked(data: bytes, media_type: str = "image/png", **options: Any) -> Converted:
    return convert(data, media_type, OutputOptions(**options))


@pytest.mark.parametrize("format", ["jpeg", "webp"])
def test_the_graph_goes_into_exif_the_way_comfyui_writes_it(format: Any) -> None:
    converted = asked(png_of_comfyui(version="0.4"), format=format)
    found = opened(converted.data).getexif()
    assert found[0x0110] == f"prompt:{json.dumps(GRAPH)}"
    assert found[0x010F] == f"workflow:{json.dumps(EDITOR)}"
    assert found[0x010E] == "version:0.4"
    assert embedded_graph(converted.data) == GRAPH
    assert converted.warnings == []


@pytest.mark.parametrize("format", ["jpeg", "webp"])
def test_the_graph_comes_back_from_exif_into_a_png(format: str) -> None:
    block = exif(prompt=GRAPH, workflow=EDITOR)
    others = {0x0131: "camera:1", 0x010D: "Title: a cat"}
    block.update(others)
    data = encoded(drawn(), format, exif=block)
    image = opened(asked(data, f"image/{format}", format="png").data)
    assert image.text == {"prompt": json.dumps(GRAPH), "workflow": json.dumps(EDITOR)}  # type: ignore[attr-defined]
    assert dict(image.getexif()) == others


def test_a_png_that_is_scaled_keeps_its_texts_just_as_they_were() -> None:
    info = texts(prompt=GRAPH, parameters="a cat, steps: 4")
    info.add_text("packed", "x" * 500, zip=True)
    info.add_itxt("title", "Kätzchen 猫", lang="de", tkey="Titel")
    data = encoded(drawn(), pnginfo=info)
    before, after = opened(data), opened(asked(data, max_size=10).data)
    assert after.text == before.text  # type: ignore[attr-defined]
    assert after.text["title"].lang == "de"  # type: ignore[attr-defined]


def test_what_is_not_ascii_survives_exif() -> None:
    graph = {"1": {"class_type": "Text", "inputs": {"text": "Kätzchen 猫 😀"}}}
    info = PngInfo()
    info.add_itxt("prompt", json.dumps(graph, ensure_ascii=False))
    for format in ("webp", "jpeg"):
        assert embedded_graph(asked(encoded(drawn(), pnginfo=info), format=format).data) == graph


def test_a_graph_too_large_for_a_jpeg_is_dropped_and_said_so() -> None:
    large = {"1": {"class_type": "Text", "inputs": {"text": "x" * 70_000}}}
    data = encoded(drawn(), pnginfo=texts(prompt=large))
    as_jpeg, as_webp = (asked(data, format=format) for format in ("jpeg", "webp"))
    assert embedded_graph(as_jpeg.data) is None
    assert as_jpeg.warnings == ["There was no room in a jpeg output for its metadata: prompt."]
    assert embedded_graph(as_webp.data) == large


def test_the_graph_is_the_last_to_be_dropped() -> None:
    data = encoded(drawn(), pnginfo=texts(workflow={"nodes": "x" * 70_000}, prompt=GRAPH))
    converted = asked(data, format="jpeg")
    assert embedded_graph(converted.data) == GRAPH
    assert converted.warnings == ["There was no room in a jpeg output for its metadata: workflow."]


def test_more_texts_than_exif_has_tags_for_are_dropped_and_said_so() -> None:
    more: dict[str, Any] = {f"key{number}": number for number in range(6)}
    data = png_of_comfyui(None, **more)
    converted = asked(data, format="webp")
    assert embedded_graph(converted.data) == GRAPH
    assert converted.warnings == ["There was no room in a webp output for its metadata: key4, key5."]


@pytest.mark.parametrize("format", ["png", "jpeg", "webp"])
def test_strip_together_with_a_conversion_leaves_nothing(format: Any) -> None:
    converted = asked(png_of_comfyui(), format=format, metadata="strip", max_size=20)
    assert SECRET not in converted.data
    assert embedded_graph(converted.data) is None


@pytest.mark.parametrize("options", [{}, {"format": "png"}, {"format": "png", "max_size": 500}])
def test_strip_takes_every_text_of_a_png_and_no_pixel(options: dict[str, Any]) -> None:
    info = texts(prompt=GRAPH, workflow=EDITOR)
    info.add_text("packed", "EmptyImage", zip=True)
    info.add_itxt("more", "EmptyImage")
    info.add(b"comf", b"prompt\0EmptyImage", after_idat=True)
    data = encoded(drawn(), pnginfo=info, exif=exif(prompt=GRAPH), icc_profile=b"a profile", dpi=(72, 72))
    image = opened(asked(data, metadata="strip", **options).data)
    assert image.tobytes() == drawn().tobytes()
    assert image.text == {}  # type: ignore[attr-defined]
    assert {"exif", "comf"} & set(image.info) == set()
    assert {"icc_profile", "dpi"} <= set(image.info)
    assert SECRET not in asked(data, metadata="strip").data


@pytest.mark.parametrize("lossless", [True, False])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_strip_takes_exif_and_xmp_of_a_webp_and_no_pixel(mode: str, lossless: bool) -> None:
    data = encoded(
        drawn(mode), "webp", lossless=lossless, exif=exif(prompt=GRAPH), xmp=b"EmptyImage", icc_profile=b"profile"
    )
    stripped = asked(data, "image/webp", metadata="strip").data
    assert SECRET not in stripped
    assert opened(stripped).tobytes() == opened(data).tobytes()
    assert opened(stripped).info["icc_profile"] == b"profile"
    assert stripped[20] & 0x0C == 0  # VP8X announces neither
    assert int.from_bytes(stripped[4:8], "little") == len(stripped) - 8


def test_strip_takes_exif_xmp_and_comments_of_a_jpeg_and_no_pixel() -> None:
    data = encoded(
        drawn("CMYK"),
        "jpeg",
        exif=exif(prompt=GRAPH),
        xmp=b"EmptyImage",
        comment=b"EmptyImage",
        icc_profile=b"p" * 200,
    )
    stripped = asked(data, "image/jpeg", metadata="strip").data
    assert SECRET not in stripped
    assert opened(stripped).tobytes() == opened(data).tobytes()
    assert opened(stripped).info["icc_profile"] == b"p" * 200


@pytest.mark.parametrize("format", ["png", "jpeg", "webp"])
def test_strip_leaves_the_picture_the_right_way_up(format: str) -> None:
    block = exif(prompt=GRAPH)
    block[0x0112] = 6
    stripped = asked(encoded(drawn(), format, exif=block), f"image/{format}", metadata="strip").data
    assert SECRET not in stripped
    assert dict(opened(stripped).getexif()) == {0x0112: 6}


@pytest.mark.parametrize("format", ["webp", "png"])
def test_strip_works_on_what_moves_too(format: str) -> None:
    info = PngInfo()
    info.add(b"comf", b"prompt\0" + json.dumps(GRAPH).encode(), after_idat=True)
    data = moving(
        format, **({"pnginfo": info} if format == "png" else {"exif": exif(prompt=GRAPH), "lossless": True})
    )
    assert embedded_graph(data) == GRAPH
    stripped = asked(data, f"image/{format}", metadata="strip", format="jpeg").data
    assert SECRET not in stripped
    before, after = (
        [frame.convert("RGB").tobytes() for frame in ImageSequence.Iterator(Image.open(io.BytesIO(each)))]
        for each in (data, stripped)
    )
    assert len(before) == 3
    assert before == after


def test_strip_where_there_is_nothing_to_strip_gives_the_very_same_bytes() -> None:
    for format in ("png", "jpeg", "webp"):
        data = encoded(drawn(), format)
        assert asked(data, f"image/{format}", metadata="strip").data is data


@pytest.mark.parametrize("format", ["png", "jpeg", "webp"])
def test_a_malformed_file_is_left_as_it_is_and_said_so(format: str) -> None:
    whole = encoded(drawn(), format, exif=exif(prompt=GRAPH))
    for cut in range(12, 200, 7):
        converted = asked(whole[:cut], f"image/{format}", metadata="strip")
        assert converted.data == whole[:cut]
        assert "could not be stripped, because" in converted.warnings[0]


def test_texts_that_would_unpack_into_gigabytes_are_neither_kept_nor_unpacked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(png, "LARGEST_TEXTS", 100_000)
    info = PngInfo()
    info.add(b"zTXt", b"prompt\0\0" + zlib.compress(b"x" * 200_000))
    data = encoded(drawn(), pnginfo=info)
    converted = asked(data, format="webp")
    assert opened(converted.data).size == (48, 32)
    assert converted.warnings == ["The metadata of an output could not be kept, because its texts are too large."]


def test_many_texts_are_limited_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(png, "LARGEST_TEXTS", 100_000)
    data = encoded(drawn(), pnginfo=texts(prompt=GRAPH, one="x" * 60_000, other="x" * 60_000))
    converted = asked(data, format="webp")
    assert embedded_graph(converted.data) is None
    assert converted.warnings == ["The metadata of an output could not be kept, because its texts are too large."]


def test_scaling_and_stripping_together_take_a_jpegs_comment_too() -> None:
    data = encoded(drawn(), "jpeg", comment=SECRET)
    assert SECRET not in asked(data, "image/jpeg", metadata="strip", max_size=20).data


def test_the_chunk_of_comfyuis_moving_pngs_is_kept_in_one_that_stands_still() -> None:
    info = PngInfo()
    info.add(b"comf", b"prompt\0" + json.dumps(GRAPH).encode(), after_idat=True)
    data = encoded(drawn(), pnginfo=info)
    assert embedded_graph(asked(data, max_size=20).data) == GRAPH
    assert embedded_graph(asked(data, format="jpeg").data) == GRAPH


def test_exif_that_can_be_read_and_not_written_costs_the_graph_nothing() -> None:
    whole = Image.Exif()
    whole.update({0x0110: f"prompt:{json.dumps(GRAPH)}", 0x0100: 5})
    raw = bytearray(whole.tobytes())
    entry = 6 + 8 + 2  # prefix, header, count: the entry of tag 0x0100
    byte_order: Literal["little", "big"] = "little" if raw[6:8] == b"II" else "big"
    raw[entry + 2 : entry + 4] = (2).to_bytes(2, byte_order)  # a text in place of a number
    assert embedded_graph(asked(encoded(drawn(), "webp", exif=bytes(raw)), "image/webp", format="jpeg").data) == GRAPH

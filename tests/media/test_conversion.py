"""Outputs in another format, smaller, on a background."""

from __future__ import annotations

import io
import warnings
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageCms, ImageOps

from comfybridge.errors import ComfyUIError, InvalidRequest
from comfybridge.media import Converted, convert
from comfybridge.request import OutputOptions
from tests.media.pictures import GRAPH, drawn, encoded, exif, moving, opened, png_of_comfyui

TYPES = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp"}
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def asked(data: bytes, media_type: str = "image/png", **options: Any) -> Converted:
    return convert(data, media_type, OutputOptions(**options))


def differs(one: Image.Image, other: Image.Image) -> int:
    """The largest difference of any channel anywhere."""
    extrema = ImageChops.difference(one.convert("RGB"), other.convert("RGB")).getextrema()
    return max(int(high) for _, high in extrema)  # type: ignore[misc]


def test_without_options_the_very_same_bytes_come_back() -> None:
    data = png_of_comfyui()
    assert asked(data).data is data
    assert asked(b"no image at all").data == b"no image at all"


@pytest.mark.parametrize("format", ["png", "jpeg", "webp"])
def test_what_has_the_format_asked_for_is_not_encoded_anew(format: Any) -> None:
    data = encoded(drawn(), format)
    converted = asked(data, TYPES[format], format=format, lossless=True, max_size=48)
    assert converted.data is data
    assert converted.media_type == TYPES[format]


def test_another_quality_than_the_default_encodes_a_jpeg_anew_and_a_png_not() -> None:
    jpeg, png = encoded(drawn(), "jpeg", quality=95), encoded(drawn())
    assert len(asked(jpeg, "image/jpeg", format="jpeg", quality=10).data) < len(jpeg)
    assert asked(png, "image/png", format="png", quality=10).data is png


def test_what_the_bytes_are_counts_more_than_what_the_name_says() -> None:
    jpeg = encoded(drawn(), "jpeg")
    converted = asked(jpeg, "image/png", format="jpeg")
    assert (converted.data, converted.media_type) == (jpeg, "image/jpeg")
    converted = asked(jpeg, "image/png", format="png")
    assert opened(converted.data).format == "PNG"


@pytest.mark.parametrize("format", ["png", "jpeg", "webp"])
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_every_mode_of_a_png_becomes_every_format(mode: str, format: Any) -> None:
    source = drawn(mode)
    converted = asked(encoded(source), format=format, max_size=40, quality=95, background="#000000")
    assert converted.media_type == TYPES[format]
    assert converted.warnings == []
    image = opened(converted.data)
    assert image.format == format.upper()
    assert image.size == (40, 27)
    if mode in ("LA", "RGBA"):
        assert (image.mode[-1] == "A") == (format != "jpeg")


@pytest.mark.parametrize(("mode", "format"), [("CMYK", "jpeg"), ("L", "bmp"), ("P", "gif"), ("CMYK", "tiff")])
def test_other_kinds_of_images_become_a_png(mode: str, format: str) -> None:
    source = drawn(mode)
    data = encoded(source, format, **({"quality": 100, "subsampling": 0} if format == "jpeg" else {}))
    converted = asked(data, f"image/{format}", format="png")
    assert differs(opened(converted.data), source) <= 4


def test_sixteen_bits_stay_in_a_png_and_are_divided_for_the_others() -> None:
    data = encoded(drawn("I;16"))
    as_png = opened(asked(data, format="png", max_size=47).data)
    assert as_png.mode == "I;16"
    assert int(as_png.getpixel((46, 0))) > 40_000  # type: ignore[arg-type]
    as_webp = opened(asked(data, format="webp", lossless=True).data)
    assert as_webp.getpixel((30, 5)) == (117, 117, 117)  # 30000 of 65535


def test_transparency_is_flattened_onto_the_colour_asked_for() -> None:
    clear = encoded(Image.new("RGBA", (16, 16), (255, 0, 0, 0)))
    half = encoded(Image.new("RGBA", (16, 16), (0, 0, 0, 128)))
    white = opened(asked(clear, format="jpeg").data)
    green = opened(asked(clear, format="jpeg", background="lime").data)
    assert differs(white, Image.new("RGB", (16, 16), "white")) <= 1
    assert differs(green, Image.new("RGB", (16, 16), "#00ff00")) <= 2
    assert differs(opened(asked(half, format="jpeg").data), Image.new("RGB", (16, 16), (127, 127, 127))) <= 2


def test_transparency_of_a_palette_is_flattened_and_kept_too() -> None:
    palette = Image.new("P", (16, 16), 1)
    palette.putpalette([0, 0, 0, 255, 0, 0])
    data = encoded(palette, transparency=1)
    flat = opened(asked(data, format="jpeg", background="#0000ff").data)
    assert differs(flat, Image.new("RGB", (16, 16), "#0000ff")) <= 2
    assert opened(asked(data, format="webp").data).getchannel("A").getextrema() == (0, 0)


def test_a_background_that_is_no_colour_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="'shiny' is not a colour"):
        asked(encoded(drawn("RGBA")), format="jpeg", background="shiny")


def test_a_lower_quality_makes_a_smaller_file() -> None:
    data = encoded(drawn(size=(200, 200)))
    for format in ("jpeg", "webp"):
        best, worst = (asked(data, format=format, quality=quality).data for quality in (95, 5))
        assert len(worst) < len(best)


def test_lossless_loses_nothing_not_even_behind_transparency() -> None:
    source = drawn("RGBA")
    source.putpixel((0, 0), (12, 34, 56, 0))
    converted = asked(encoded(source), format="webp", lossless=True)
    assert opened(converted.data).tobytes() == source.tobytes()
    assert opened(asked(encoded(source), format="webp").data).tobytes() != source.tobytes()


@pytest.mark.parametrize(("size", "expected"), [((200, 100), (50, 25)), ((100, 200), (25, 50)), ((900, 1), (50, 1))])
def test_max_size_keeps_the_proportions(size: tuple[int, int], expected: tuple[int, int]) -> None:
    converted = asked(encoded(drawn(size=size)), max_size=50)
    assert opened(converted.data).size == expected
    assert converted.media_type == "image/png"


def test_max_size_never_enlarges() -> None:
    data = encoded(drawn())
    assert asked(data, max_size=1000).data is data
    assert opened(asked(data, format="webp", max_size=1000).data).size == (48, 32)


@pytest.mark.parametrize("format", ["jpeg", "webp"])
def test_scaling_alone_keeps_the_format_and_its_quality_option(format: str) -> None:
    data = encoded(drawn(size=(300, 200)), format)
    fine, coarse = (asked(data, f"image/{format}", max_size=150, quality=quality) for quality in (95, 5))
    assert fine.media_type == coarse.media_type == f"image/{format}"
    assert len(coarse.data) < len(fine.data)


def test_what_a_saver_does_not_write_is_a_png_once_it_is_scaled() -> None:
    converted = asked(encoded(drawn(), "bmp"), "image/bmp", max_size=20)
    assert (converted.media_type, opened(converted.data).format) == ("image/png", "PNG")


def test_an_image_that_is_to_be_turned_is_turned_and_says_so_no_more() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: turn clockwise
    exif[0x0131] = "a camera"
    data = encoded(drawn(), "jpeg", exif=exif, quality=100)
    image = opened(asked(data, "image/jpeg", format="webp", quality=100).data)
    assert image.size == (32, 48)
    assert differs(image, drawn().transpose(Image.Transpose.ROTATE_270)) <= 12
    assert dict(image.getexif()) == {0x0131: "a camera"}


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_way_of_lying_is_put_right(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(drawn(), exif=exif)
    image = opened(asked(data, format="webp", lossless=True).data)
    assert image.tobytes() == ImageOps.exif_transpose(opened(data)).tobytes()


@pytest.mark.parametrize("format", ["png", "jpeg", "webp"])
def test_a_colour_profile_stays_where_it_speaks_of_the_same_colours(format: Any) -> None:
    kept = asked(encoded(drawn(), icc_profile=SRGB), format=format, max_size=20)
    assert opened(kept.data).info["icc_profile"] == SRGB
    of_gray = asked(encoded(drawn("L"), icc_profile=SRGB), format="jpeg")
    assert "icc_profile" not in opened(of_gray.data).info


@pytest.mark.parametrize("format", ["gif", "webp", "png"])
def test_what_moves_is_left_as_it_is(format: str) -> None:
    data = moving(format)
    assert asked(data, f"image/{format}", format="jpeg", max_size=10).data is data


@pytest.mark.parametrize("media_type", ["video/mp4", "audio/flac", "text/plain; charset=utf-8", "model/gltf-binary"])
def test_what_is_no_image_is_left_as_it_is(media_type: str) -> None:
    data = b"anything"
    converted = asked(data, media_type, format="png", max_size=10, metadata="strip")
    assert (converted.data, converted.media_type, converted.warnings) == (data, media_type, [])


def test_an_image_of_a_kind_that_nothing_here_reads_is_left_as_it_is_and_said_so() -> None:
    converted = asked(b"<svg/>", "image/svg+xml", format="png")
    assert converted.data == b"<svg/>"
    assert "image/svg+xml cannot be converted" in converted.warnings[0]


@pytest.mark.parametrize("cut", [0, 4, 30, 60])
def test_a_broken_image_that_is_to_be_converted_is_comfyuis_error(cut: int) -> None:
    with pytest.raises(ComfyUIError, match="image/png is not an image that can be converted"):
        asked(encoded(drawn())[:cut], format="jpeg")


def test_an_image_too_large_for_the_format_is_refused_with_what_fits() -> None:
    with pytest.raises(InvalidRequest, match="20000 x 1 pixels, but webp allows 16383"):
        asked(encoded(Image.new("L", (20000, 1))), format="webp")


def test_no_warning_of_pillow_gets_out() -> None:
    palette = drawn("P")
    data = encoded(palette, transparency=bytes(range(200)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for format in ("jpeg", "webp", "png"):
            asked(data, format=format, max_size=20)


def test_a_jpeg_of_several_pictures_is_a_still_image() -> None:
    buffer = io.BytesIO()
    drawn().save(buffer, "MPO", save_all=True, append_images=[drawn("L").convert("RGB")])
    assert opened(asked(buffer.getvalue(), "image/jpeg", format="png").data).format == "PNG"


@pytest.mark.parametrize("format", ["png", "jpeg", "webp", "gif", "tiff", "bmp"])
def test_a_scrambled_image_is_converted_or_comfyuis_error_and_nothing_else(format: str) -> None:
    arguments = {} if format in ("gif", "bmp") else {"exif": exif(prompt=GRAPH)}
    whole = encoded(drawn("P" if format == "gif" else "RGB", (12, 12)), format, **arguments)
    for at in range(0, min(len(whole), 300), 2):
        data = whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :]
        for target in ("png", "jpeg", "webp"):
            try:
                converted = asked(data, f"image/{format}", format=target, max_size=4)
            except (ComfyUIError, InvalidRequest):
                continue
            assert converted.data

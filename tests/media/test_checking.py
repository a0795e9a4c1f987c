"""Input images, opened before they are sent."""

from __future__ import annotations

import struct
import warnings
import zlib

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from comfybridge.errors import InvalidRequest
from comfybridge.media import check_still_image, image_size
from tests.media.pictures import drawn, encoded, moving

FORMATS = ["png", "jpeg", "webp", "gif", "bmp", "tiff", "avif"]


@pytest.mark.parametrize("format", FORMATS)
def test_a_whole_image_passes_under_any_name(format: str) -> None:
    data = encoded(drawn(), format)
    for name in (f"cat.{format}", "cat.png", "cat", "cat.dat"):
        check_still_image(name, data, must_be_image=True)


@pytest.mark.parametrize("format", ["png", "jpeg", "webp"])
def test_an_image_cut_off_anywhere_is_refused_by_name(format: str) -> None:
    data = encoded(drawn(), format)
    for cut in [*range(1, len(data), max(1, len(data) // 40)), len(data) - 2]:
        with pytest.raises(InvalidRequest, match=r"cat\.x?png"):
            check_still_image("cat.png", data[:cut])


@pytest.mark.parametrize("format", ["gif", "bmp", "tiff", "avif"])
def test_half_an_image_is_refused(format: str) -> None:
    data = encoded(drawn(size=(200, 200)), format)
    with pytest.raises(InvalidRequest, match=f"cat.{format} is truncated or broken"):
        check_still_image(f"cat.{format}", data[: len(data) // 2])


@pytest.mark.parametrize("format", ["gif", "webp", "png"])
def test_a_moving_image_cut_off_anywhere_is_refused(format: str) -> None:
    data = moving(format)
    for cut in [*range(20, len(data), max(1, len(data) // 60)), len(data) - 1]:
        with pytest.raises(InvalidRequest, match=f"cat.{format} is truncated"):
            check_still_image(f"cat.{format}", data[:cut], must_be_image=True)


def test_what_stands_behind_a_gif_is_nobodys_business() -> None:
    check_still_image("cat.gif", moving("gif", comment=b"x" * 900, loop=0) + b"rubbish")


def test_a_truncated_image_is_found_without_any_ending() -> None:
    with pytest.raises(InvalidRequest, match="The image input1 is truncated"):
        check_still_image("input1", encoded(drawn())[:100])


def test_what_is_named_an_image_and_is_none_is_refused() -> None:
    with pytest.raises(InvalidRequest, match=r"cat\.png is not an image; send a picture as PNG, JPEG"):
        check_still_image("cat.png", b"Not found")
    with pytest.raises(InvalidRequest, match=r"cat\.png is empty"):
        check_still_image("cat.png", b"")


def test_a_broken_middle_is_refused() -> None:
    data = bytearray(encoded(drawn()))
    data[len(data) // 2] ^= 0xFF
    with pytest.raises(InvalidRequest, match="truncated or broken"):
        check_still_image("cat.png", bytes(data))


@pytest.mark.parametrize(
    "name", ["a.wav", "a.mp4", "a.safetensors", "a.latent", "a.glb", "a.txt", "a.svg", "a.exr", "a.dat", "a"]
)
def test_files_of_other_kinds_pass_whatever_they_hold(name: str) -> None:
    check_still_image(name, b"\x00\x01 anything")
    check_still_image(name, b"")


def test_a_raw_photograph_that_begins_as_a_tiff_passes() -> None:
    check_still_image("photo.cr2", b"II*\x00" + b"\xff" * 50)


def test_a_file_of_no_known_kind_is_refused_where_an_image_is_needed() -> None:
    with pytest.raises(InvalidRequest, match="The file input1 is not an image"):
        check_still_image("input1", b"anything", must_be_image=True)


def test_a_moving_image_passes() -> None:
    for format in ("webp", "gif", "png"):
        check_still_image(f"cat.{format}", moving(format))


@pytest.mark.parametrize("side", [10_000, 20_000])
def test_a_decompression_bomb_is_refused_before_it_goes_off_and_without_a_warning(side: int) -> None:
    header = struct.pack(">LLBBBBB", side, side, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")]
    packed = (struct.pack(">L", len(c)) + t + c + struct.pack(">L", zlib.crc32(t + c)) for t, c in chunks)
    bomb = b"\x89PNG\r\n\x1a\n" + b"".join(packed)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(InvalidRequest, match=r"cat\.png has .* pixels"):
            check_still_image("cat.png", bomb)
        assert image_size(bomb) == ((10_000, 10_000) if side == 10_000 else None)


def test_the_limit_is_pillows_own(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded(drawn())
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 48 * 32)
    check_still_image("cat.png", data)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 48 * 32 - 1)
    with pytest.raises(InvalidRequest, match="has 48 x 32 pixels; at most 1535"):
        check_still_image("cat.png", data)


def test_a_text_that_pillow_finds_too_large_does_not_make_an_image_broken() -> None:
    info = PngInfo()
    info.add(b"zTXt", b"prompt\0\0" + zlib.compress(b"x" * 2_000_000))
    check_still_image("cat.png", encoded(drawn(), pnginfo=info))

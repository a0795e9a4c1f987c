"""Files made so that little data takes much memory or time: refused before they are read, and without a traceback."""

from __future__ import annotations

import io
import json
import struct
import sys
import threading
import time
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image

from comfybridge.errors import BridgeError, Busy, FileUnusable, InvalidRequest
from comfybridge.media import check_still_image, convert, embedded_graph, image_size, room
from comfybridge.media.containers import claims_too_much
from comfybridge.media.room import Room
from comfybridge.request import OutputOptions
from tests.media.pictures import GRAPH, drawn, encoded, exif, png_of_comfyui, texts

MEMORY = 1_500_000_000
SECONDS = 60  # CPU seconds, for work that takes one or two and would otherwise take hours


def chunk(type: bytes, content: bytes) -> bytes:
    return struct.pack(">L", len(content)) + type + content + struct.pack(">L", zlib.crc32(type + content))


def png(*chunks: tuple[bytes, bytes], size: tuple[int, int] = (8, 8)) -> bytes:
    """A PNG of no pixels, with these chunks before them."""
    header = struct.pack(">LLBBBBB", *size, 8, 2, 0, 0, 0)
    ending = [(b"IDAT", zlib.compress(b"")), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in [(b"IHDR", header), *chunks, *ending])


def overlapping(entries: int = 20_000, size: int = 4_000_000, order: str = "<") -> bytes:
    """A TIFF structure whose values all lie in the same place: 80 GB, if each gets a copy of its own."""
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "L", 8)
    start = 8 + 2 + entries * 12 + 4
    table = b"".join(struct.pack(order + "HHLL", 1000 + n, 7, size, start) for n in range(entries))
    return head + struct.pack(order + "H", entries) + table + bytes(4) + bytes(size)


def overlapping_big() -> bytes:
    entries, size = 20_000, 4_000_000
    start = 16 + 8 + entries * 20 + 8
    table = b"".join(struct.pack("<HHQQ", 1000 + n, 7, size, start) for n in range(entries))
    head = b"II\x2b\0\x08\0\0\0" + struct.pack("<QQ", 16, entries)
    return head + table + bytes(8) + bytes(size)


def jpeg(*segments: bytes) -> bytes:
    data = encoded(drawn(), "jpeg")
    return data[:2] + b"".join(segments) + data[2:]


def exif_segments(block: bytes) -> bytes:
    pieces = [block[at : at + 65_000] for at in range(0, len(block), 65_000)]
    return b"".join(b"\xff\xe1" + struct.pack(">H", len(each) + 8) + b"Exif\0\0" + each for each in pieces)


def webp_with(block: bytes) -> bytes:
    data = encoded(drawn(), "webp", exif=exif(prompt=GRAPH))
    at = data.index(b"EXIF")
    body = data[8:at] + b"EXIF" + struct.pack("<L", len(block)) + block + b"\0" * (len(block) % 2)
    return b"RIFF" + struct.pack("<L", len(body)) + body


def progressive(scans: int) -> bytes:
    """A progressive JPEG whose last scan is there many times: each goes over all of its pixels."""
    data = encoded(drawn(), "jpeg", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * scans + data[-2:]


def gif_with_comments(size: int) -> bytes:
    data = encoded(drawn(), "gif")
    at = data.index(b"\x2c", 13 + 768)
    return data[:at] + b"\x21\xfe" + (b"\xff" + b"x" * 255) * (size // 255) + b"\0" + data[at:]


def gif_of_blocks(count: int) -> bytes:
    data = encoded(drawn(), "gif")
    at = data.index(b"\x2c", 13 + 768)
    return data[:at] + b"\x21\x01\0" * count + data[at:]


BOMBS: dict[str, Callable[[], bytes]] = {
    "tiff": overlapping,
    "tiff of the other order": lambda: overlapping(order=">"),
    "big tiff": overlapping_big,
    "png with exif": lambda: png((b"eXIf", overlapping())),
    "jpeg with exif": lambda: jpeg(exif_segments(overlapping(5000, 2_000_000))),
    "jpeg of scans": lambda: progressive(5000),
    "jpeg of segments": lambda: jpeg(b"\xff\xfe\0\2" * 50_000),
    "png of chunks": lambda: png(*[(b"abCd", b"")] * 150_000),
    "gif of comments": lambda: gif_with_comments(20_000_000),
    "gif of blocks": lambda: gif_of_blocks(1_500_000),
    "png of pixels": lambda: png(size=(60_000, 60_000)),
    "tiff of pixels": lambda: encoded(Image.new("1", (30_000, 30_000)), "tiff", compression="group4"),
    "gif of pixels": lambda: b"GIF89a" + struct.pack("<HH", 65_000, 65_000) + b"\0\0\0,\0\0\0\0\1\0\1\0\0\2\2D\1\0;",
    "webp of pixels": lambda: b"RIFF" + struct.pack("<L", 22) + b"WEBPVP8X\x0a\0\0\0\0\0\0\0" + b"\xff\x3f\0" * 2,
}


@pytest.fixture
def little_memory() -> Any:
    """A process that may have 1.5 GB more than it has: what takes more fails, and does not take the machine along."""
    resource = pytest.importorskip("resource", reason="not on Windows")
    if sys.platform != "linux":
        pytest.skip("the limit holds on Linux only")
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_that_is_sent_is_refused(name: str) -> None:
    data = BOMBS[name]()
    began = time.process_time()
    with pytest.raises(InvalidRequest) as raised:
        check_still_image("x.png", data, must_be_image=True)
    assert raised.value.message.endswith(".")
    assert time.process_time() - began < SECONDS


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_that_comfyui_answers_is_its_error(name: str) -> None:
    data = BOMBS[name]()
    began = time.process_time()
    for options in (OutputOptions(format="webp"), OutputOptions(max_size=16), OutputOptions(metadata="strip")):
        try:
            convert(data, "image/png", options)
        except BridgeError as error:
            assert type(error) is FileUnusable  # noqa: PT017
    image_size(data)
    assert time.process_time() - began < SECONDS


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize(
    "make",
    [
        lambda: png((b"zTXt", b"prompt\0\0" + zlib.compress(b'{"a":[' + b"[]," * 30_000_000 + b"[]]}"))),
        lambda: png((b"zTXt", b"prompt\0\0" + zlib.compress(b'{"a":[' + b"[]," * 4_000_000 + b"[]]}"))),
        lambda: png((b"iTXt", b"prompt\0\1\0\0\0" + zlib.compress(b'{"a":' * 2_000_000 + b"1" + b"}" * 2_000_000))),
        lambda: png((b"tEXt", b"prompt\0" + b'{"a":[' + b"[]," * 5_000_000 + b"[]]}")),
        lambda: png((b"eXIf", overlapping())),
        lambda: webp_with(overlapping()),
        lambda: jpeg(exif_segments(overlapping(2000, 1_000_000))),
    ],
    ids=["zTXt", "small zTXt", "iTXt", "tEXt", "png exif", "webp exif", "jpeg exif"],
)
def test_a_bomb_that_is_sent_as_the_workflow_is_refused(make: Callable[[], bytes]) -> None:
    data = make()
    began = time.process_time()
    try:
        assert embedded_graph(data) is None
    except InvalidRequest as error:
        assert error.message.endswith(".")  # noqa: PT017
    assert time.process_time() - began < SECONDS


def test_exif_in_a_text_that_claims_too_much_is_not_read() -> None:
    hexed = "\nexif\n1\n" + overlapping(2000, 100_000).hex()
    data = encoded(drawn(), pnginfo=texts(**{"Raw profile type exif": hexed}))
    began = time.process_time()
    assert convert(data, "image/png", OutputOptions(format="webp")).media_type == "image/webp"
    assert time.process_time() - began < SECONDS


def test_what_cameras_and_savers_write_claims_what_there_is() -> None:
    block = exif(prompt=GRAPH, workflow={"nodes": []})
    block[0x8769] = {0x9003: "2026:01:01 00:00:00", 0x927C: b"maker" * 100}
    assert not claims_too_much(block.tobytes().removeprefix(b"Exif\0\0"))
    assert not claims_too_much(encoded(drawn(), "tiff"))
    assert not claims_too_much(b"II*\0" + b"\xff" * 200)
    check_still_image("x.jpg", encoded(drawn(), "jpeg", exif=block, progressive=True))
    check_still_image("x.png", png_of_comfyui())
    check_still_image("x.gif", gif_with_comments(10_000))
    check_still_image("x.jpg", encoded(drawn(), "jpeg") + b"\xff\xda" * 500)  # a film after a photograph


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "x.png"),
        (b"<!doctype html><script>alert(1)</script>", "x.jpg"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(x) run", "x.png"),
        (b"\xc5\xd0\xd3\xc6" + bytes(40), "x.gif"),
        (b"\x00\x00\x00\x0cjP  \r\n\x87\n" + bytes(60), "x.png"),
        (b"%PDF-1.7\n", "x.webp"),
        (b"\xd7\xcd\xc6\x9a" + bytes(60), "x.png"),  # WMF, which Windows would render
        (b"GRIB" + bytes(60), "x.png"),
        (b"\x89HDF\r\n\x1a\n" + bytes(60), "x.png"),
        (b"#!/bin/sh\n", "x.bmp"),
        (b"PK\x03\x04" + bytes(60), "x.tiff"),
        (b"8BPS\0\1" + b"\xff" * 60, "x.png"),
        (b"\0\0\1\0\xff\xff" + b"\xff" * 60, "x.png"),
    ],
)
def test_what_is_called_an_image_and_is_something_else_is_refused(data: bytes, name: str) -> None:
    with pytest.raises(InvalidRequest, match=r"; send a picture as PNG|is truncated or broken"):
        check_still_image(name, data, must_be_image=True)


def test_large_images_are_read_a_few_at_a_time() -> None:
    place, reached = Room(100), threading.Barrier(3, timeout=10)
    together, most = 0, 0
    lock = threading.Lock()

    def read(pixels: int) -> None:
        nonlocal together, most
        reached.wait()
        for _ in range(50):
            with place.held(pixels):
                with lock:
                    together += min(pixels, 100)
                    most = max(most, together)
                time.sleep(0)
                with lock:
                    together -= min(pixels, 100)

    threads = [threading.Thread(target=read, args=[pixels]) for pixels in (60, 50, 1000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert most == 100


def test_who_finds_no_room_for_long_is_told_to_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "PATIENCE_SECONDS", 0.01)
    place = Room(100)
    with place.held(80), pytest.raises(Busy), place.held(30):
        pass
    with place.held(100):  # nothing was kept
        pass


def test_a_mode_that_nothing_can_be_made_of_is_comfyuis_error() -> None:
    buffer = io.BytesIO()
    Image.new("LAB", (8, 8)).save(buffer, "TIFF")
    try:
        convert(buffer.getvalue(), "image/tiff", OutputOptions(format="png"))
    except BridgeError as error:
        assert type(error) is FileUnusable  # noqa: PT017


def test_a_deep_graph_in_a_picture_is_refused() -> None:
    deep = json.dumps({"a": 1}).replace("1", '{"a":' * 5000 + "1" + "}" * 5000)
    with pytest.raises(InvalidRequest, match=r"not valid JSON|holds more than"):
        embedded_graph(encoded(drawn(), pnginfo=texts(prompt=deep)))

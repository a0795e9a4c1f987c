"""The files that stand in for what the simulator can't encode: built as their formats say, to the last byte."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from comfybridge.media import file_extension
from comfybridge.simulator import stand_ins

NOTES = ["", "a note", "a longer note " * 40]
SAMPLES = bytes(range(200))


@pytest.mark.parametrize("note", NOTES)
def test_what_looks_at_the_first_bytes_finds_the_format(note: str) -> None:
    assert file_extension(stand_ins.mp4(note)) == "mp4"
    assert file_extension(stand_ins.webm(note)) == "webm"
    assert file_extension(stand_ins.flac(note, 8000, 2, SAMPLES)) == "flac"
    assert file_extension(stand_ins.mp3(note)) == "mp3"


@pytest.mark.parametrize("note", NOTES)
def test_an_mp4_is_a_row_of_boxes(note: str) -> None:
    data, boxes = stand_ins.mp4(note), []
    while data:
        size = int.from_bytes(data[:4], "big")
        boxes.append((data[4:8], data[8:size]))
        data = data[size:]

    assert [kind for kind, _ in boxes] == [b"ftyp", b"free"]
    assert boxes[1][1] == note.encode()


@pytest.mark.parametrize("note", NOTES)
def test_a_webm_is_a_header_and_a_segment(note: str) -> None:
    (_, header), (_, segment) = elements(stand_ins.webm(note), id_length=4)

    assert (b"\x42\x82", b"webm") in elements(header, id_length=2)
    assert list(elements(segment, id_length=1)) == [(b"\xec", note.encode())]


def elements(data: bytes, id_length: int) -> Iterator[tuple[bytes, bytes]]:
    while data:
        name, data = data[:id_length], data[id_length:]
        length_bytes = 9 - data[0].bit_length()
        length = int.from_bytes(data[:length_bytes], "big") - (1 << 7 * length_bytes)
        yield name, data[length_bytes : length_bytes + length]
        data = data[length_bytes + length :]


@pytest.mark.parametrize("note", NOTES)
def test_a_flac_is_described_and_has_no_frames(note: str) -> None:
    data, blocks = stand_ins.flac(note, 48000, 2, SAMPLES)[4:], []
    last = False
    while not last:
        last, kind, length = data[0] >= 0x80, data[0] & 0x7F, int.from_bytes(data[1:4], "big")
        blocks.append((kind, data[4 : 4 + length]))
        data = data[4 + length :]

    assert data == b""
    assert [kind for kind, _ in blocks] == [0, 4]
    stream = int.from_bytes(blocks[0][1][10:18], "big")
    assert (stream >> 44, (stream >> 41 & 7) + 1, (stream >> 36 & 31) + 1) == (48000, 2, 16)
    assert blocks[1][1].endswith(f"DESCRIPTION={note}".encode())


@pytest.mark.parametrize("note", NOTES)
def test_an_mp3_is_a_tag_and_two_frames(note: str) -> None:
    data = stand_ins.mp3(note)
    size = sum(byte << shift for byte, shift in zip(data[6:10], (21, 14, 7, 0), strict=True))

    frames = data[10 + size :]
    assert note.encode() in data[: 10 + size]
    assert frames[:4] == frames[417:421] == b"\xff\xfb\x90\xc0"
    assert len(frames) == 2 * 417


def test_what_stands_for_something_else_is_another_file() -> None:
    assert stand_ins.mp4("one") != stand_ins.mp4("two")
    assert stand_ins.flac("x", 8000, 1, SAMPLES) != stand_ins.flac("x", 8000, 1, SAMPLES[1:])

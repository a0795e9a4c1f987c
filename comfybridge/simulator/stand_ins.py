"""Files that begin like real ones of their format but contain no picture or sound: there is no encoder here.

Programs that check the first bytes or the outermost blocks recognize the format that the file's name says; players
find nothing to play (in an MP3, a twentieth of a second of silence). Each contains a note of what it represents, in a
place that its format has for notes.
"""

import hashlib
import struct


def mp4(note: str) -> bytes:
    """A file type box like that of ComfyUI's own videos, and a box of free space with the note."""
    brands = b"isom" + struct.pack(">I", 0x200) + b"isomiso2avc1mp41"
    return _box(b"ftyp", brands) + _box(b"free", note.encode())


def webm(note: str) -> bytes:
    """An EBML header of the type `webm`, and a segment with just a void element, which contains the note."""
    header = b"".join(
        (
            _element(b"\x42\x86", b"\x01"),  # the version of EBML, and the oldest that can read this
            _element(b"\x42\xf7", b"\x01"),
            _element(b"\x42\xf2", b"\x04"),  # the most bytes of an id, and of a length
            _element(b"\x42\xf3", b"\x08"),
            _element(b"\x42\x82", b"webm"),
            _element(b"\x42\x87", b"\x02"),  # the version of WebM, and the oldest that can read this
            _element(b"\x42\x85", b"\x02"),
        )
    )
    return _element(b"\x1a\x45\xdf\xa3", header) + _element(b"\x18\x53\x80\x67", _element(b"\xec", note.encode()))


def flac(note: str, rate: int, channels: int, samples: bytes) -> bytes:
    """The description of a stream of 16-bit `samples`, their MD5 included, and a comment; then no frames."""
    numbers = rate << 44 | (channels - 1) << 41 | (16 - 1) << 36  # and 36 bits: 0 samples, for unknown
    stream = struct.pack(">HH6xQ", 4096, 4096, numbers) + hashlib.md5(samples, usedforsecurity=False).digest()
    vendor, comment = b"ComfyBridge's simulator", f"DESCRIPTION={note}".encode()
    comments = struct.pack("<I", len(vendor)) + vendor + struct.pack("<II", 1, len(comment)) + comment
    last = 0x80
    return b"fLaC" + _flac_block(0, stream) + _flac_block(last | 4, comments)


def mp3(note: str) -> bytes:
    """An ID3 tag with the note, and two frames of silence: decoders don't accept one alone."""
    text = b"\x00note\x00" + note.encode("ascii", "replace")
    frame = b"TXXX" + struct.pack(">I2x", len(text)) + text
    size = bytes(len(frame) >> shift & 0x7F for shift in (21, 14, 7, 0))  # seven bits per byte
    silence = b"\xff\xfb\x90\xc0" + bytes(413)  # MPEG 1, layer III, 128 kbit/s, 44.1 kHz, one channel
    return b"ID3\x03\x00\x00" + size + frame + 2 * silence


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", 8 + len(content)) + kind + content


def _element(element_id: bytes, content: bytes) -> bytes:
    # The position of the first set bit shows how many bytes the length has: one, or eight.
    short = len(content) < 0x7F
    length = bytes([0x80 | len(content)]) if short else struct.pack(">Q", 1 << 56 | len(content))
    return element_id + length + content


def _flac_block(kind: int, content: bytes) -> bytes:
    return struct.pack(">I", kind << 24 | len(content)) + content

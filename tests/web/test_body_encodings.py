"""Bodies that are compressed, or whose characters are written in one of the other ways."""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from comfybridge.simulator import Simulator
from tests import graphs
from tests.web.answers import failure, success

WORDS = "ein Hügel, 山"
JSON = "application/json"


def raw_deflate(data: bytes) -> bytes:
    pressed = zlib.compressobj(wbits=-15)
    return pressed.compress(data) + pressed.flush()


def asked() -> bytes:
    return json.dumps({"workflow": graphs.picture(), "extra_data": {"note": "x" * 200_000}}).encode()


def post(api: FlaskClient, body: bytes, encoding: str = "", media_type: str = JSON) -> TestResponse:
    headers = {"Content-Type": media_type, **({"Content-Encoding": encoding} if encoding else {})}
    return api.post("/generate", data=body, headers=headers)


@pytest.mark.parametrize(
    ("encoding", "compress"),
    [
        ("gzip", gzip.compress),
        ("x-gzip", gzip.compress),
        ("GZIP", gzip.compress),
        ("identity, gzip", gzip.compress),
        (
            "gzip",
            lambda data: (
                gzip.compress(data[:9], mtime=0) + gzip.compress(b"", mtime=0) + gzip.compress(data[9:], mtime=0)
            ),
        ),
        ("deflate", zlib.compress),
        ("deflate", raw_deflate),
        ("identity", bytes),
    ],
)
def test_a_compressed_body_is_read(api: FlaskClient, encoding: str, compress: Callable[[bytes], bytes]) -> None:
    success(post(api, compress(asked()), encoding))


def test_a_compressed_form_brings_its_files(api: FlaskClient) -> None:
    body = (
        b'--b\r\nContent-Disposition: form-data; name="workflow"; filename="a.json"\r\n\r\n'
        + json.dumps(graphs.picture()).encode()
        + b"\r\n--b--\r\n"
    )
    success(post(api, gzip.compress(body, mtime=0), "gzip", "multipart/form-data; boundary=b"))


def test_a_compressed_urlencoded_form_is_read(api: FlaskClient) -> None:
    body = gzip.compress(b"prompt=a+fox&steps=1", mtime=0)
    assert success(post(api, body, "gzip", "application/x-www-form-urlencoded"))["params"]["prompt"] == "a fox"


@pytest.mark.parametrize("encoding", ["br", "zstd", "compress", "gzip, gzip", "aes128gcm", "x" * 500])
def test_what_cannot_be_decompressed_is_a_415_with_the_header(
    api: FlaskClient, sim: Simulator, encoding: str
) -> None:
    response = post(api, b"\x8b\x0b", encoding)
    said = failure(response, 415, "unsupported_media_type")["error"]
    assert said == (
        f"Content-Encoding is {encoding[:100]!r}; a body can be sent as it is, or compressed once, as gzip or "
        "deflate."
    )
    assert response.headers["Accept-Encoding"] == "gzip, deflate"
    assert sim.requests == []


@pytest.mark.parametrize(
    "body",
    [
        b'{"prompt": "a cat"}',
        gzip.compress(b'{"prompt": "a cat"}', mtime=0)[:-9],
        gzip.compress(b'{"prompt": "a cat"}', mtime=0) + b"rest",
        gzip.compress(b"", mtime=0) * 5000,
        b"\x1f\x8b",
    ],
)
@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_what_is_not_compressed_as_it_says_is_told_so(api: FlaskClient, body: bytes, encoding: str) -> None:
    said = failure(post(api, body, encoding), 400, "invalid_request")["error"]
    assert said == f"The body is not {encoding}, as the header Content-Encoding says, or it was cut off."


def test_an_empty_body_is_empty_however_it_is_compressed(api: FlaskClient) -> None:
    for body in (b"", gzip.compress(b"", mtime=0)):
        assert "empty" in failure(post(api, body, "gzip"), 400, "invalid_request")["error"]


@pytest.mark.parametrize("media_type", [JSON, "multipart/form-data; boundary=b", "application/x-www-form-urlencoded"])
def test_a_body_may_not_become_larger_than_one_may_be(
    make_app: Callable[..., Flask], sim: Simulator, media_type: str
) -> None:
    api = make_app(max_json_bytes=100_000, max_upload_bytes=100_000).test_client()
    bomb = gzip.compress(b" " * 50_000_000, mtime=0)
    assert len(bomb) < 100_000
    said = failure(post(api, bomb, "gzip", media_type), 413, "too_large")["error"]
    assert "more than 100000 bytes" in said or "more than 200000 bytes" in said
    assert sim.requests == []


def test_a_bomb_is_inflated_no_further_than_a_body_may_be(
    make_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch
) -> None:
    inflated = []

    class Counting:
        def __init__(self, *arguments: int) -> None:
            self._real = real(*arguments)

        def decompress(self, data: bytes, most: int) -> bytes:
            found = self._real.decompress(data, most)
            inflated.append(len(found))
            return found

        def __getattr__(self, name: str) -> object:
            return getattr(self._real, name)

    real = zlib.decompressobj
    monkeypatch.setattr(zlib, "decompressobj", Counting)
    api = make_app(max_json_bytes=100_000).test_client()
    failure(post(api, gzip.compress(b" " * 50_000_000, mtime=0), "gzip"), 413, "too_large")
    assert 100_000 < sum(inflated) < 200_000


@pytest.mark.parametrize(
    ("charset", "codec"),
    [
        ("", "utf-8"),
        ("utf-8", "utf-8"),
        ("", "utf-8-sig"),
        ("iso-8859-1", "utf-8-sig"),  # a byte order mark takes precedence
        ("utf-16", "utf-16"),
        ("utf-16", "utf-16-le"),
        ("utf-16", "utf-16-be"),
        ("UTF-16BE", "utf-16-be"),
        ("utf-32", "utf-32"),
        ("", "utf-16"),
        ("", "utf-16-le"),
        ('"gb18030"', "gb18030"),
    ],
)
def test_a_charset_is_heeded(api: FlaskClient, charset: str, codec: str) -> None:
    body = json.dumps({"prompt": WORDS, "steps": 1}, ensure_ascii=False).encode(codec)
    media_type = f"{JSON}; charset={charset}" if charset else JSON
    assert success(post(api, body, media_type=media_type))["params"]["prompt"] == WORDS


@pytest.mark.parametrize("charset", ["iso-8859-1", "latin1", "windows-1252", "ISO-8859-15"])
def test_a_charset_of_one_byte_is_heeded(api: FlaskClient, charset: str) -> None:
    body = '{"prompt": "ein Hügel", "steps": 1}'.encode(charset)
    assert success(post(api, body, media_type=f"{JSON}; charset={charset}"))["params"]["prompt"] == "ein Hügel"
    form = "application/x-www-form-urlencoded"
    body = b"prompt=ein+H%FCgel&steps=1"
    assert success(post(api, body, media_type=f"{form}; charset={charset}"))["params"]["prompt"] == "ein Hügel"


@pytest.mark.parametrize("charset", ["klingon", "unicode_escape", "idna", "rot13", "base64", "utf-7", "punycode"])
def test_a_charset_that_is_none_is_a_415_with_the_header(api: FlaskClient, sim: Simulator, charset: str) -> None:
    response = post(api, b'{"prompt": "x"}', media_type=f"{JSON}; charset={charset}")
    said = failure(response, 415, "unsupported_media_type")["error"]
    assert said.startswith(f"Content-Type declares the charset {charset!r}, which can't be read; a body can be UTF-8")
    assert sim.requests == []


@pytest.mark.parametrize(
    ("body", "charset", "said"),
    [
        (b'{"prompt": "\xff"}', "utf-8", "The body is not UTF-8 text (at byte 12)"),
        (b'{"prompt": "\xff"}', "", "or with the charset that its Content-Type declares"),
        (b'{"prompt": "\xff"}', "us-ascii", "The body is not ASCII text (at byte 12)"),
        (b'\xff\xfe{\0"\0\0', "", "The body is not UTF-16 text"),
    ],
)
def test_what_is_not_of_its_charset_is_told_so(api: FlaskClient, body: bytes, charset: str, said: str) -> None:
    media_type = f"{JSON}; charset={charset}" if charset else JSON
    assert said in failure(post(api, body, media_type=media_type), 400, "invalid_request")["error"]


def test_a_graph_in_a_file_may_be_utf_16(api: FlaskClient) -> None:
    """As a Windows shell writes it."""
    file = io.BytesIO(json.dumps(graphs.picture()).encode("utf-16"))
    success(api.post("/generate", data={"workflow": (file, "graph.json")}))

"""Any bytes, any JSON, any form, any header and any address."""

from __future__ import annotations

import base64
import io
import json
from typing import Any
from urllib.parse import quote

from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st

from tests import graphs as good
from tests.media.pictures import drawn, encoded, png_of_comfyui
from tests.properties.contract import kept
from tests.properties.made_up import FIELDS, graphs, json_values, links, params, small, texts

TIMEOUT = 20
MEDIA_TYPES = (
    *("application/json", "multipart/form-data", "application/x-www-form-urlencoded"),
    *("application/json; charset=utf-16", "application/x-www-form-urlencoded; charset=gbk"),
)
PATHS = (
    *("/generate", "/results/", "/cancel/", "/queue", "/workflows", "/workflows/", "/models", "/models/", "/stats"),
    *("/health", "/ready", "/openapi.json", "/docs", "/docs/", "/", "/%2f", "/../", "/metrics"),
)
METHODS = ("GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH")
# headers that a server lets through
header_values = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=60)
media_ranges = st.sampled_from(
    ["image/*", "image/png", "*/*", "video/*", "application/zip", "text/event-stream", "text/html", "image/svg+xml"]
)
accepts = header_values | st.builds(
    lambda ranges: ", ".join(f"{each};q={q}" for each, q in ranges),
    st.lists(st.tuples(media_ranges, st.sampled_from(["1", "0", "0.5", "nan", "-1", "x", "1e9", ""])), max_size=4),
)
images = [encoded(drawn(), format) for format in ("png", "gif", "webp", "jpeg", "tiff", "bmp")] + [png_of_comfyui()]
damaged = st.builds(
    lambda data, cut, put, at: data[:at] + put + data[at + len(put) : cut],
    st.sampled_from(images),
    st.integers(0, 2000),
    st.binary(max_size=8),
    st.integers(0, 200),
)
file_data = (
    damaged | st.binary(max_size=40) | st.sampled_from([b"%!PS", b"<svg/>", b"8BPS\0\1", b"\x00\x00\x00\x0cjP  "])
)
encoded_data = st.builds(lambda data: base64.b64encode(data).decode(), file_data)
links_to_files = st.sampled_from(
    [
        "http://127.0.0.1/",
        "http://[::1]/x",
        "http://a:b@0/",
        "file:///etc/passwd",
        "http://\u2025/",
        "data:;base64,%%",
    ]
)
fields = st.dictionaries(
    st.sampled_from(FIELDS),
    small | json_values(st.sampled_from(FIELDS), leaves=4) | st.builds(dict, a=links) | st.just(good.picture()),
    max_size=6,
)


def loading(name: str) -> dict[str, Any]:
    return {
        "1": {"class_type": "LoadImage", "inputs": {"image": name}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}},
    }


@given(
    body=st.binary(max_size=200),
    media_type=header_values | st.sampled_from(MEDIA_TYPES),
    encoding=st.sampled_from(["", "gzip", "deflate", "br"]),
)
def test_any_bytes(api: FlaskClient, body: bytes, media_type: str, encoding: str) -> None:
    headers = {"Content-Type": media_type, "Content-Encoding": encoding}
    kept(lambda: api.post("/generate", data=body, headers=headers))


@given(body=fields | json_values(st.sampled_from(FIELDS)))
def test_any_json(api: FlaskClient, body: Any) -> None:
    if isinstance(body, dict):
        body["timeout"] = body.get("timeout", TIMEOUT)
        if isinstance(body["timeout"], (int, float)):
            body["timeout"] = max(TIMEOUT, body["timeout"])  # otherwise 504, which is right
    kept(lambda: api.post("/generate", data=json.dumps(body)))


@given(given_params=params, workflow=st.sampled_from(["txt2img", "img2img", "sdxl"]))
def test_any_parameters_of_a_template(api: FlaskClient, given_params: dict[str, Any], workflow: str) -> None:
    small_ones = {"width": 64, "height": 64, "batch_size": 1, "steps": 1}
    asked = {"workflow": workflow, "params": {**given_params, **small_ones}, "timeout": TIMEOUT}
    kept(lambda: api.post("/generate", data=json.dumps(asked)))


@given(name=texts, data=encoded_data | links_to_files | texts, as_list=st.booleans())
def test_any_input_file(api: FlaskClient, name: str, data: str, as_list: bool) -> None:
    given_images = [{"name": name, "image": data}] if as_list else {name: data}
    asked = {"workflow": loading(name), "images": given_images, "timeout": TIMEOUT, "output": {"format": "jpeg"}}
    kept(lambda: api.post("/generate", data=json.dumps(asked)))


@given(
    texts=st.dictionaries(st.sampled_from([*FIELDS, "request", "output.format", "3.steps", ""]), texts, max_size=4),
    files=st.dictionaries(st.sampled_from(["workflow", "request", "x.png", "image", ""]), file_data, max_size=3),
    filename=st.sampled_from(["x.png", "../x", "", 'a"b', "\u65e5"]),
)
def test_any_form(api: FlaskClient, texts: dict[str, str], files: dict[str, bytes], filename: str) -> None:
    form: dict[str, Any] = {name: text.encode("utf-8", "replace").decode() for name, text in texts.items()}
    form.update((name, (io.BytesIO(data), filename)) for name, data in files.items())
    form.setdefault("timeout", str(TIMEOUT))
    if form["timeout"] in texts.values():
        form["timeout"] = str(TIMEOUT)
    kept(lambda: api.post("/generate", data=form, content_type="multipart/form-data"))


@given(
    body=st.lists(
        st.sampled_from(
            [
                b"--b",
                b"\r\n",
                b"\n",
                b"--",
                b'Content-Disposition: form-data; name="prompt"',
                b"; filename=x",
                b"Content-Type: text/plain; charset=utf-7",
                b"\r\n\r\n",
                b"x",
                b"\xff",
                b"name*=utf-8''%ff",
            ]
        ),
        max_size=14,
    )
)
def test_any_parts_of_a_form(api: FlaskClient, body: list[bytes]) -> None:
    kept(lambda: api.post("/generate", data=b"".join(body), content_type="multipart/form-data; boundary=b"))


@given(graph=graphs, texts=st.dictionaries(st.sampled_from(["prompt", "workflow", "Prompt", "x"]), texts, max_size=3))
def test_any_graph_in_a_picture(api: FlaskClient, graph: Any, texts: dict[str, str]) -> None:
    clean = {name: text.encode("utf-8", "replace").decode() for name, text in texts.items()}
    from tests.media.pictures import texts as in_png

    picture = encoded(drawn(), pnginfo=in_png(**({"prompt": json.dumps(graph)} | clean)))
    kept(lambda: api.post("/generate", data={"workflow": (io.BytesIO(picture), "x.png"), "timeout": str(TIMEOUT)}))


@given(
    accept=accepts, index=st.text(max_size=8) | st.sampled_from(["0", "1", "00001", "99999", "-1", "1e3", "\u0661"])
)
def test_any_accept_and_index(api: FlaskClient, accept: str, index: str) -> None:
    asked = {"workflow": good.picture(), "timeout": TIMEOUT}
    path = f"/generate?index={quote(index, safe='', errors='replace')}"
    kept(lambda: api.post(path, json=asked, headers={"Accept": accept}))


@given(start=st.sampled_from(PATHS), rest=texts, query=texts, method=st.sampled_from(METHODS), accept=accepts)
def test_any_address(api: FlaskClient, start: str, rest: str, query: str, method: str, accept: str) -> None:
    path = f"{start}{quote(rest, errors='replace')}?{quote(query, errors='replace')}"
    kept(lambda: api.open(path, method=method, headers={"Accept": accept}))


@given(
    name=st.sampled_from(
        [
            "X-Request-Id",
            "Content-Type",
            "Accept-Encoding",
            "Expect",
            "Range",
            "Cookie",
            "Idempotency-Key",
            "If-None-Match",
        ]
    ),
    value=header_values,
)
def test_any_header(api: FlaskClient, name: str, value: str) -> None:
    kept(lambda: api.post("/generate", json={"workflow": good.picture()}, headers={name: value}))

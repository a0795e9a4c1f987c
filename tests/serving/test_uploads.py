"""Large uploads of assets through servers that run as a user starts them: in little memory, beside small limits."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from comfybridge.simulator import Simulator
from tests.serving.servers import EVERY_SERVER, SECONDS, Server, Start

PIECE = bytes(range(256)) * 4096
PIECES = 48
MOST = PIECES * len(PIECE)
BOUNDARY = "part"
HEAD = (
    f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="content_type"\r\n\r\nvideo/mp4\r\n'
    f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file_path"\r\n\r\nlong.mp4\r\n'
    f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="long.mp4"\r\n\r\n'
).encode()
TAIL = f"\r\n--{BOUNDARY}--\r\n".encode()


@pytest.fixture(params=EVERY_SERVER)
def server(request: pytest.FixtureRequest, start: Start, tmp_path: Path) -> Server:
    return start(
        request.param,
        COMFYBRIDGE_STATE_DIR=str(tmp_path),
        COMFYBRIDGE_MAX_ASSET_BYTES=str(MOST),
        COMFYBRIDGE_MAX_JSON_BYTES="100000",
        COMFYBRIDGE_MAX_UPLOAD_BYTES="100000",
        COMFYBRIDGE_MAX_TOTAL_BODY_BYTES="300000",
    )


def form(pieces: int) -> Iterator[bytes]:
    yield HEAD
    for _ in range(pieces):
        yield PIECE
    yield TAIL


def upload(server: Server, pieces: int, *, is_chunked: bool = False) -> requests.Response:
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    if not is_chunked:
        headers["Content-Length"] = str(len(HEAD) + pieces * len(PIECE) + len(TAIL))
    session = requests.Session()
    prepared = session.prepare_request(
        requests.Request("POST", f"{server.url}/api/v2/assets", data=form(pieces), headers=headers)
    )
    if not is_chunked:
        prepared.headers.pop("Transfer-Encoding", None)
    return session.send(prepared, timeout=SECONDS)


def peak(server: Server) -> int:
    """The most bytes of memory that one of a server's processes had."""
    found = 0
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if os.getpgid(int(process.name)) == os.getpgid(server.process.pid):
                [line] = [each for each in (process / "status").read_text().splitlines() if each.startswith("VmHWM")]
                found = max(found, 1024 * int(line.split()[1]))
    return found


def test_a_large_upload_is_not_held_in_memory(server: Server, sim: Simulator) -> None:
    before = peak(server) if sys.platform == "linux" else 0

    answer = upload(server, PIECES)

    assert answer.status_code == 201, answer.text
    [stored] = (sim.input_directory / "comfybridge").iterdir()
    assert stored.suffix == ".mp4"
    assert stored.read_bytes() == PIECE * PIECES
    if sys.platform == "linux":
        assert peak(server) - before < MOST / 2
    with requests.get(answer.json()["url"], stream=True, timeout=SECONDS) as content:
        assert sum(map(len, content.iter_content(65536))) == MOST
    if sys.platform == "linux":
        assert peak(server) - before < MOST / 2
    assert upload(server, PIECES, is_chunked=True).json()["created_new"] is False


def test_a_larger_one_is_refused_and_so_are_other_large_bodies(server: Server) -> None:
    answer = upload(server, PIECES + 1)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "payload_too_large")

    for path in "/generate", "/api/v2/jobs", "/api/v2/assets/from-hash":
        answer = requests.post(server.url + path, data=b" " * 300_001, timeout=SECONDS)
        assert answer.status_code == 413, path

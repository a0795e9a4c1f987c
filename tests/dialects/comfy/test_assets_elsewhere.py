"""Where the bytes of assets are: in the engine of a fleet, and with several ComfyUIs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from comfybridge.engine.blobs import CHUNK
from comfybridge.simulator import Simulator
from tests.dialects.comfy.uploading import ASSETS, hash_of, refusal, stored, upload
from tests.jobs.fleets import NatsServer, SmallFleet
from tests.web.jobs import jobs_of

pytest.importorskip("blake3", reason="no assets by their hash without it")

DATA = bytes(range(256)) * 4 * 700  # some chunks of the engine, and a part of one


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    server = NatsServer(tmp_path_factory.mktemp("engine"))
    yield server
    server.close()


@pytest.fixture
def fleet(tmp_path: Path, server: NatsServer) -> Iterator[SmallFleet]:
    with closing(SmallFleet(tmp_path, server)) as fleet:
        yield fleet


def blobs(api: FlaskClient) -> set[str]:
    """The files that the engine has."""
    engine = jobs_of(api.application).parts().engine
    return {each.split(".")[3] for each in engine.subjects("COMFYBRIDGE_FILES", "comfybridge.file.in.>")}


def test_a_fleet_keeps_uploads_in_its_engine_for_all_its_bridges(fleet: SmallFleet) -> None:
    first, second = fleet.bridge(), fleet.bridge()
    asset = upload(first, DATA).get_json()

    content = f"{ASSETS}/{asset['id']}/content"
    assert second.get(content).data == DATA
    begin = CHUNK + 5
    part = second.get(content, headers={"Range": f"bytes={begin}-{begin + CHUNK}"})
    assert (part.status_code, part.data) == (206, DATA[begin : begin + CHUNK + 1])
    assert second.get(content, headers={"Range": "bytes=-3"}).data == DATA[-3:]
    assert second.head(f"{ASSETS}/by-hash/{hash_of(DATA)}").status_code == 200
    assert upload(second, DATA).get_json()["created_new"] is False
    assert blobs(first) == {asset["id"]}


def test_the_bytes_are_deleted_with_the_last_asset_that_has_them(fleet: SmallFleet) -> None:
    api = fleet.bridge()
    first, second = upload(api, b"first").get_json()["id"], upload(api, b"first").get_json()["id"]
    api.delete(f"{ASSETS}/{first}")
    assert first in blobs(api)
    assert api.get(f"{ASSETS}/{second}/content").data == b"first"

    api.delete(f"{ASSETS}/{second}")

    assert first not in blobs(api)


def test_bytes_that_expire_are_not_those_of_an_asset_that_does_not(fleet: SmallFleet) -> None:
    api = fleet.bridge()
    brief = upload(api, b"brief", expires_in="60").get_json()
    longer = upload(api, b"brief", expires_in="3600").get_json()["id"]
    kept = api.post(f"{ASSETS}/from-hash", json={"hash": brief["hash"]}).get_json()["id"]
    assert {brief["id"], longer, kept} <= blobs(api)
    shared = upload(api, b"brief", expires_in="100").get_json()["id"]
    assert shared not in blobs(api)  # the longer one lasts until then

    for each in (brief["id"], longer, kept):
        api.delete(f"{ASSETS}/{each}")

    assert api.get(f"{ASSETS}/{shared}/content").data == b"brief"


def test_the_same_bytes_uploaded_at_once_are_kept_once(fleet: SmallFleet) -> None:
    api = fleet.bridge()
    upload(api, b"something else")
    before = blobs(api)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: upload(api.application.test_client(), b"at once"), range(8)))

    assert sorted(each.status_code for each in answers) == [200] * 7 + [201]
    assert len({each.get_json()["id"] for each in answers}) == 8
    assert len(blobs(api) - before) == 1


def test_an_engine_that_is_away_is_told(fleet: SmallFleet, server: NatsServer) -> None:
    api = fleet.bridge()
    asset = upload(api, b"away").get_json()["id"]
    server.kill()
    try:
        assert refusal(api.get(f"{ASSETS}/{asset}/content")) == (503, "upstream_unreachable")
    finally:
        server.start()


@pytest.fixture
def second() -> Iterator[Simulator]:
    with Simulator(step_seconds=0) as simulator:
        yield simulator


def test_an_upload_goes_to_a_comfyui_that_takes_it(
    make_jobs_app: Callable[..., Flask], sim: Simulator, second: Simulator
) -> None:
    api = make_jobs_app(comfyui_url=f"{sim.url},{second.url}").test_client()
    sim.kill()

    asset = upload(api, DATA).get_json()

    assert len(stored(second)) == 1
    assert api.get(f"{ASSETS}/{asset['id']}/content").data == DATA
    second.kill()
    sim.revive()
    assert api.head(f"{ASSETS}/by-hash/{asset['hash']}").status_code == 404  # as far as it can be told
    again = upload(api, DATA)
    assert again.status_code == 201
    assert api.get(f"{ASSETS}/{again.get_json()['id']}/content").data == DATA
    second.revive()
    assert api.get(f"{ASSETS}/{asset['id']}/content").data == DATA

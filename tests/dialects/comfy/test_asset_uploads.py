"""Uploads as assets: what is taken, what is known again, and whose it is."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from comfybridge.assets import received
from comfybridge.policy import policies
from comfybridge.simulator import Simulator
from comfybridge.web.dialects.comfy import awake
from tests.dialects.comfy.calls import post
from tests.dialects.comfy.uploading import ASSETS, hash_of, refusal, stored, upload
from tests.web.jobs import jobs_of
from tests.web.policies import KEYS, PRESS, SHOP, png

pytest.importorskip("blake3", reason="no assets by their hash without it")


def test_an_upload_is_in_comfyuis_folder_under_the_name_of_its_content(api: FlaskClient, sim: Simulator) -> None:
    data = png(8, 6)

    answer = upload(api, data, file_path="people/me.png", tags=["a", "b"])

    body = answer.get_json()
    assert answer.status_code == 201
    assert (body["hash"], body["size_bytes"], body["content_type"]) == (hash_of(data), len(data), "image/png")
    assert (body["file_path"], body["created_new"], body["expires_at"]) == ("people/me.png", True, None)
    assert body["url"] == f"http://localhost/api/v2/assets/{body['id']}/content"
    [name] = stored(sim)
    assert name == f"{hash_of(data).partition(':')[2][:40]}.png"
    assert (sim.input_directory / "comfybridge" / name).read_bytes() == data
    again = api.get(f"{ASSETS}/{body['id']}").get_json()
    assert {**again, "created_new": True, "url_expires_at": body["url_expires_at"]} == body


def test_the_file_may_come_before_the_fields(api: FlaskClient) -> None:
    lines = [
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\nthe bytes',
        b'--b\r\nContent-Disposition: form-data; name="file_path"\r\n\r\nf.bin',
        b'--b\r\nContent-Disposition: form-data; name="content_type"\r\n\r\napplication/x-odd',
        b"--b--\r\n",
    ]

    answer = api.post(ASSETS, data=b"\r\n".join(lines), content_type="multipart/form-data; boundary=b")

    assert answer.status_code == 201
    assert answer.get_json()["hash"] == hash_of(b"the bytes")


def test_the_same_bytes_get_another_name_and_are_not_sent_again(api: FlaskClient, sim: Simulator) -> None:
    first = upload(api, file_path="one.png").get_json()
    sim.forget_requests()

    answer = upload(api, file_path="two.txt", content_type="text/plain")

    second = answer.get_json()
    assert (answer.status_code, second["created_new"]) == (200, False)
    assert second["id"] != first["id"]
    assert (second["file_path"], second["content_type"]) == ("two.txt", "text/plain")
    assert api.get(f"{ASSETS}/{first['id']}").get_json()["file_path"] == "one.png"
    assert [each.path for each in sim.requests if each.method == "POST"] == []


def test_other_bytes_than_expected_are_not_kept(api: FlaskClient, sim: Simulator) -> None:
    key = {"Idempotency-Key": "one"}

    assert refusal(upload(api, expected_hash=hash_of(b"others"), headers=key)) == (409, "hash_mismatch")

    assert stored(sim) == []
    assert api.head(f"{ASSETS}/by-hash/{hash_of(b'some bytes')}").status_code == 404
    assert upload(api, expected_hash=hash_of(b"some bytes"), headers=key).status_code == 201


def test_a_key_is_used_once(api: FlaskClient, sim: Simulator) -> None:
    key = {"Idempotency-Key": "one"}
    sim.fail_route("/upload/image", status=500, times=1)
    assert upload(api, headers=key).status_code == 500  # nothing was kept, so the key is free
    assert upload(api, headers=key).status_code == 201

    assert refusal(upload(api, headers=key)) == (422, "idempotency_key_reuse")
    assert upload(api, headers={"Idempotency-Key": "two"}).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "../x.png",
        "a/../../x",
        "/etc/passwd",
        "\\\\host\\x",
        "C:\\x",
        "a\x00b",
        "a\nb",
        "",
        "a/",
        "a//b",
        "./x",
        "x" * 256,
    ],
)
def test_a_name_that_leads_elsewhere_is_refused(api: FlaskClient, sim: Simulator, path: str) -> None:
    assert refusal(upload(api, file_path=path)) == (422, "invalid_request")
    assert stored(sim) == []


def test_models_and_paths_of_the_machine_are_refused_with_a_sentence(api: FlaskClient) -> None:
    answer = upload(api, file_path="models/checkpoints/x.safetensors")
    assert refusal(answer) == (422, "invalid_request")
    assert "ComfyUI takes no models over HTTP" in answer.get_json()["error"]["message"]

    answer = api.post(f"{ASSETS}/from-path", json={"file_path": "x.png", "path": "/x.png"})
    assert refusal(answer) == (422, "invalid_request")
    assert "POST /api/v2/assets" in answer.get_json()["error"]["message"]


@pytest.mark.parametrize(
    "fields",
    [
        {"content_type": None},
        {"file_path": None},
        {"content_type": "no type"},
        {"expected_hash": "sha256:12"},
        {"expires_in": "59"},
        {"expires_in": "604801"},
        {"expires_in": "soon"},
    ],
)
def test_fields_that_cannot_be_used_are_refused(api: FlaskClient, fields: dict[str, Any]) -> None:
    assert refusal(upload(api, **fields)) == (422, "invalid_request")


@pytest.mark.parametrize(
    ("data", "content_type"),
    [
        (b"{}", "application/json"),
        (b"", "multipart/form-data"),
        (b"nonsense", "multipart/form-data; boundary=b"),
        (
            b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\nhalf',
            "multipart/form-data; boundary=b",
        ),
        (
            b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\na text\r\n--b--\r\n',
            "multipart/form-data; boundary=b",
        ),
    ],
)
def test_a_body_that_is_no_form_with_a_file_is_refused(api: FlaskClient, data: bytes, content_type: str) -> None:
    assert refusal(api.post(ASSETS, data=data, content_type=content_type)) == (422, "invalid_request")


def test_a_file_that_is_too_large_is_refused(make_jobs_app: Callable[..., Flask], sim: Simulator) -> None:
    api = make_jobs_app(max_asset_bytes=100_000).test_client()

    assert refusal(upload(api, bytes(100_001))) == (413, "payload_too_large")
    assert upload(api, bytes(100_000)).status_code == 201


def test_the_limit_of_comfyui_is_told(api: FlaskClient, sim: Simulator) -> None:
    sim.fail_route("/upload/image", status=413, times=1)

    answer = upload(api)

    assert refusal(answer) == (413, "payload_too_large")
    assert "ComfyUI refuses an input file of 10 bytes" in answer.get_json()["error"]["message"]


def test_a_comfyui_that_is_away_is_told_and_the_same_upload_works_later(api: FlaskClient, sim: Simulator) -> None:
    sim.kill()
    key = {"Idempotency-Key": "one"}
    answer = upload(api, headers=key)
    assert refusal(answer) == (503, "upstream_unreachable")
    assert int(answer.headers["Retry-After"]) >= 1

    sim.revive()

    assert upload(api, headers=key).status_code == 201


def test_known_bytes_are_not_called_unknown_while_comfyui_is_away(api: FlaskClient, sim: Simulator) -> None:
    hash = {"hash": upload(api, b"known").get_json()["hash"]}
    sim.kill()
    assert refusal(api.post(f"{ASSETS}/from-hash", json=hash)) == (503, "upstream_unreachable")
    assert refusal(api.post(f"{ASSETS}/from-hash", json={"hash": hash_of(b"other")})) == (404, "blob_not_found")
    sim.revive()
    assert api.post(f"{ASSETS}/from-hash", json=hash).status_code == 200


def test_a_caller_is_kept_awake_while_comfyui_takes_long(
    api: FlaskClient, sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(awake, "QUIET_SECONDS", 0.02)
    monkeypatch.setattr(awake, "LEAST_SECONDS", 0.02)
    sim.fail_route("/upload/image", delay=0.2)

    answer = upload(api)

    assert answer.status_code == 201
    assert answer.data.startswith(b"  ")
    asset = answer.get_json()
    assert asset["url"].startswith("http://localhost/")
    assert api.get(f"{ASSETS}/{asset['id']}/content").data == b"some bytes"


def test_a_long_upload_that_fails_is_cut(
    api: FlaskClient, sim: Simulator, monkeypatch: pytest.MonkeyPatch, faults: list[str]
) -> None:
    monkeypatch.setattr(awake, "QUIET_SECONDS", 0.02)
    monkeypatch.setattr(awake, "LEAST_SECONDS", 0.02)
    sim.fail_route("/upload/image", status=500, delay=0.2)

    with pytest.raises(ConnectionResetError):
        assert upload(api, headers={"Idempotency-Key": "one"}).data

    faults.clear()  # its body is none
    assert upload(api, headers={"Idempotency-Key": "one"}).get_json()["created_new"] is True


# -- by hash -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("colon", [":", "%3A"])
def test_known_bytes_are_found_by_their_hash(api: FlaskClient, colon: str) -> None:
    place = f"{ASSETS}/by-hash/blake3{colon}{hash_of(b'some bytes')[7:]}"
    assert api.head(place).status_code == 404
    upload(api)
    assert api.head(place).status_code == 200
    assert api.head(f"{ASSETS}/by-hash/nonsense").status_code == 404


def test_from_a_hash_comes_another_asset_or_the_one_that_is_like_it(api: FlaskClient) -> None:
    first = upload(api, file_path="one.png").get_json()

    again = api.post(f"{ASSETS}/from-hash", json={"hash": first["hash"], "file_path": "one.png"})
    assert (again.status_code, again.get_json()["id"]) == (200, first["id"])

    other = api.post(f"{ASSETS}/from-hash", json={"hash": first["hash"].upper().replace("BLAKE3", "blake3")})
    assert (other.status_code, other.get_json()["id"]) == (200, first["id"])

    other = api.post(f"{ASSETS}/from-hash", json={"hash": first["hash"], "file_path": "two.png", "tags": ["input"]})
    assert other.status_code == 201
    body = other.get_json()
    assert (body["created_new"], body["file_path"], body["content_type"]) == (False, "two.png", "image/png")
    assert body["id"] != first["id"]


def test_unknown_bytes_make_no_asset(api: FlaskClient) -> None:
    for _ in range(2):  # before the engine is used, and after
        answer = api.post(f"{ASSETS}/from-hash", json={"hash": hash_of(b"x")})
        assert refusal(answer) == (404, "blob_not_found")
        upload(api)
    assert refusal(api.post(f"{ASSETS}/from-hash", json={"hash": "md5:1"})) == (422, "invalid_request")
    assert refusal(api.post(f"{ASSETS}/from-hash", json={})) == (422, "invalid_request")
    assert refusal(api.post(f"{ASSETS}/from-hash", data=b"no json")) == (400, "invalid_request")


def test_a_record_whose_bytes_are_gone_is_no_hit(api: FlaskClient, sim: Simulator) -> None:
    asset = upload(api).get_json()
    [name] = stored(sim)
    (sim.input_directory / "comfybridge" / name).unlink()

    assert refusal(api.get(f"{ASSETS}/{asset['id']}/content")) == (404, "output_unavailable")
    assert api.head(f"{ASSETS}/by-hash/{asset['hash']}").status_code == 404
    assert api.get(f"{ASSETS}/{asset['id']}").status_code == 404
    answer = upload(api)
    assert (answer.status_code, answer.get_json()["created_new"]) == (201, True)
    assert stored(sim) == [name]


# -- whose they are ------------------------------------------------------------------------------------------------


def test_each_owner_has_assets_of_its_own(make_jobs_app: Callable[..., Flask], sim: Simulator) -> None:
    api = make_jobs_app(api_keys=KEYS).test_client()
    asset = upload(api, headers=SHOP).get_json()

    assert api.head(f"{ASSETS}/by-hash/{asset['hash']}", headers=SHOP).status_code == 200
    assert api.head(f"{ASSETS}/by-hash/{asset['hash']}", headers=PRESS).status_code == 404
    minted = api.post(f"{ASSETS}/from-hash", json={"hash": asset["hash"]}, headers=PRESS)
    assert refusal(minted) == (404, "blob_not_found")
    for method, place in (("GET", ""), ("GET", "/content"), ("DELETE", "")):
        answer = api.open(f"{ASSETS}/{asset['id']}{place}", method=method, headers=PRESS)
        assert refusal(answer) == (404, "not_found")
    assert api.get(f"{ASSETS}/{asset['id']}").status_code == 401

    answer = upload(api, headers={**PRESS, "Idempotency-Key": "a"})
    assert (answer.status_code, answer.get_json()["created_new"]) == (201, True)
    assert upload(api, headers={**SHOP, "Idempotency-Key": "a"}).status_code == 200  # a key of its own
    assert len(stored(sim)) == 1


def test_assets_are_counted_apart_from_requests(
    make_jobs_app: Callable[..., Flask],
    policy_file: Callable[..., str],
    sim: Simulator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each request of a rate may bring so many; what makes none is not counted."""
    monkeypatch.setattr(policies, "MOST_FILES", 2)
    rates = {"shop": {"rate": "2/day"}}
    api = make_jobs_app(api_keys=KEYS, policy_file=policy_file(**rates)).test_client()
    for status, data in ((201, b"1"), (201, b"2"), (200, b"1")):
        assert upload(api, data, headers=SHOP).status_code == status
    again = {"hash": hash_of(b"1")}
    assert api.post(f"{ASSETS}/from-hash", json=again, headers=SHOP).status_code == 200
    assert refusal(upload(api, b"4", file_path="../x", headers=SHOP)) == (422, "invalid_request")
    assert refusal(upload(api, b"4", expected_hash=hash_of(b"5"), headers=SHOP)) == (409, "hash_mismatch")
    assert upload(api, b"4", headers=SHOP).status_code == 201
    new = api.post(f"{ASSETS}/from-hash", json={**again, "file_path": "another"}, headers=SHOP)
    assert refusal(new) == (429, "rate_limited")
    assert api.post(f"{ASSETS}/from-hash", json=again, headers=SHOP).status_code == 200  # it is known
    limited = upload(api, b"5", headers=SHOP)
    assert refusal(limited) == (429, "rate_limited")
    assert int(limited.headers["Retry-After"]) > 3600
    assert upload(api, b"5", headers=PRESS).status_code == 201
    for _ in range(2):
        assert post(api, headers=SHOP).status_code == 201
    assert refusal(post(api, headers=SHOP)) == (429, "rate_limited")
    assert len(stored(sim)) == 4


# -- their end -----------------------------------------------------------------------------------------------------


def test_a_deleted_asset_is_gone_and_others_of_its_bytes_are_not(api: FlaskClient) -> None:
    first, second = upload(api).get_json(), upload(api).get_json()

    assert api.delete(f"{ASSETS}/{first['id']}").status_code == 204

    assert refusal(api.delete(f"{ASSETS}/{first['id']}")) == (404, "not_found")
    assert refusal(api.get(f"{ASSETS}/{first['id']}")) == (404, "not_found")
    assert api.get(f"{ASSETS}/{second['id']}/content").data == b"some bytes"
    api.delete(f"{ASSETS}/{second['id']}")
    assert api.head(f"{ASSETS}/by-hash/{first['hash']}").status_code == 404


def test_an_asset_may_expire(api: FlaskClient) -> None:
    asset = upload(api, expires_in="60").get_json()
    assert asset["expires_at"] == asset["url_expires_at"]
    longer = api.post(f"{ASSETS}/from-hash", json={"hash": asset["hash"], "expires_in": 3600}).get_json()
    assert longer["id"] != asset["id"]
    assert longer["expires_at"] > asset["expires_at"]
    shorter = api.post(f"{ASSETS}/from-hash", json={"hash": asset["hash"], "expires_in": 61}).get_json()
    assert shorter["id"] == longer["id"]


def test_assets_outlive_the_bridge(make_jobs_app: Callable[..., Flask]) -> None:
    first = make_jobs_app()
    asset = upload(first.test_client(), headers={"Idempotency-Key": "one"}).get_json()
    jobs_of(first).close()
    api = make_jobs_app().test_client()

    assert api.get(f"{ASSETS}/{asset['id']}/content").data == b"some bytes"
    assert api.head(f"{ASSETS}/by-hash/{asset['hash']}").status_code == 200
    assert refusal(upload(api, headers={"Idempotency-Key": "one"})) == (422, "idempotency_key_reuse")


def test_no_temporary_file_is_left(api: FlaskClient, sim: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Any] = []

    def make(**options: Any) -> Any:
        opened.append(tempfile.TemporaryFile(**options))  # noqa: SIM115  # to be closed by whom it is given
        return opened[-1]

    monkeypatch.setattr(received, "tempfile", SimpleNamespace(TemporaryFile=make))
    sim.fail_route("/upload/image", status=500, times=1)

    answers = [upload(api), upload(api, expected_hash=hash_of(b"x")), upload(api, file_path="../x"), upload(api)]

    assert [each.status_code for each in answers] == [500, 409, 422, 201]
    assert [each.closed for each in opened] == [True] * 4


def test_without_the_library_assets_have_no_hash(api: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    known = hash_of(b"some bytes")
    monkeypatch.setitem(sys.modules, "blake3", None)  # it cannot be imported

    first, second = upload(api, expected_hash=known), upload(api)

    assert (first.status_code, second.status_code) == (201, 201)
    assert first.get_json()["hash"] is None
    assert api.get(f"{ASSETS}/{second.get_json()['id']}/content").data == b"some bytes"
    assert api.head(f"{ASSETS}/by-hash/{known}").status_code == 404
    assert api.delete(f"{ASSETS}/{first.get_json()['id']}").status_code == 204

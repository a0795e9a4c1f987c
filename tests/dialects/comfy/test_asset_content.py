"""The bytes of assets: whole, in parts, and as what they are served."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from comfybridge.simulator import Simulator
from tests.dialects.comfy.uploading import ASSETS, refusal, upload
from tests.graphs import node, picture
from tests.web.jobs import SECONDS, jobs_of

DATA = bytes(range(256)) * 4


def content_of(api: FlaskClient, asset: str, method: str = "GET", **headers: str) -> Any:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return api.open(f"{ASSETS}/{asset}/content", method=method, headers=sent)


def outputs_of(app: Flask, workflow: dict[str, Any]) -> list[dict[str, Any]]:
    """The outputs of a job."""
    api = app.test_client()
    job = api.post("/api/v2/jobs", json={"workflow": workflow}).get_json()["id"]
    assert jobs_of(app).wait(job, SECONDS).has_ended
    outputs: list[dict[str, Any]] = api.get(f"/api/v2/jobs/{job}").get_json()["outputs"]
    return outputs


@pytest.fixture
def asset(api: FlaskClient) -> str:
    asset: str = upload(api, DATA).get_json()["id"]
    return asset


def test_the_whole_content(api: FlaskClient, asset: str) -> None:
    answer = content_of(api, asset)
    assert (answer.status_code, answer.data, answer.content_length) == (200, DATA, len(DATA))
    assert (answer.content_type, answer.headers["X-Content-Type-Options"]) == ("image/png", "nosniff")
    assert answer.headers["Content-Disposition"] == 'inline; filename="x.png"'
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert content_of(api, asset, If_None_Match=answer.headers["ETag"]).status_code == 304


def test_a_head_has_the_headers_only(api: FlaskClient, asset: str, sim: Simulator) -> None:
    answer = content_of(api, asset, "HEAD", Range="bytes=0-1")
    assert (answer.status_code, answer.data, answer.content_length) == (200, b"", len(DATA))


@pytest.mark.parametrize(
    ("wanted", "begin", "end"),
    [
        ("0-4", 0, 5),
        ("5-", 5, 1024),
        ("-7", 1017, 1024),
        ("1000-99999", 1000, 1024),
        ("-1024", 0, 1024),
        ("-1025", 0, 1024),
    ],
)
def test_a_part(api: FlaskClient, asset: str, wanted: str, begin: int, end: int) -> None:
    answer = content_of(api, asset, Range=f"bytes={wanted}")
    assert (answer.status_code, answer.data) == (206, DATA[begin:end])
    assert answer.headers["Content-Range"] == f"bytes {begin}-{end - 1}/1024"
    assert answer.content_length == end - begin


@pytest.mark.parametrize("wanted", ["nonsense", "bytes=0-1,4-5", "lines=1-2", "bytes=5-2"])
def test_a_range_without_a_meaning_is_ignored(api: FlaskClient, asset: str, wanted: str) -> None:
    answer = content_of(api, asset, Range=wanted)
    assert (answer.status_code, answer.data) == (200, DATA)


def test_a_range_behind_the_end(api: FlaskClient, asset: str) -> None:
    answer = content_of(api, asset, Range="bytes=1024-")
    assert refusal(answer) == (416, "range_not_satisfiable")
    assert answer.headers["Content-Range"] == "bytes */1024"


def test_a_part_of_the_same_bytes_only(api: FlaskClient, asset: str) -> None:
    etag = content_of(api, asset).headers["ETag"]
    assert content_of(api, asset, Range="bytes=0-1", If_Range=etag).status_code == 206
    assert content_of(api, asset, Range="bytes=0-1", If_Range='"other"').status_code == 200
    assert content_of(api, asset, Range="bytes=0-1", If_Range="Sat, 28 Nov 2026 10:00:00 GMT").status_code == 200


def test_an_empty_file(api: FlaskClient) -> None:
    asset = upload(api, b"").get_json()["id"]
    assert content_of(api, asset).data == b""
    for wanted in ("0-0", "-1"):
        assert refusal(content_of(api, asset, Range=f"bytes={wanted}")) == (416, "range_not_satisfiable")


@pytest.mark.parametrize(
    ("content_type", "served", "disposition"),
    [
        ("video/mp4", "video/mp4", "inline"),
        ("audio/ogg; codecs=opus", "audio/ogg", "inline"),
        ("image/svg+xml", "image/svg+xml", "inline"),
        ("text/html", "application/octet-stream", "attachment"),
        ("application/json", "application/octet-stream", "attachment"),
    ],
)
def test_only_pictures_videos_and_sounds_are_shown(
    api: FlaskClient, content_type: str, served: str, disposition: str
) -> None:
    asset = upload(api, b"<script>", content_type=content_type, file_path="a/b.html").get_json()["id"]
    answer = content_of(api, asset)
    assert answer.content_type == served
    assert answer.headers["Content-Disposition"] == f'{disposition}; filename="b.html"'
    if content_type not in ("video/mp4", "audio/ogg; codecs=opus"):
        assert "sandbox" in answer.headers["Content-Security-Policy"]


def test_a_comfyui_that_ignores_ranges_sends_all_and_the_part_is_cut_from_it(
    api: FlaskClient, asset: str, sim: Simulator
) -> None:
    sim.fail_route("/view", status=200, body=DATA)
    answer = content_of(api, asset, Range="bytes=10-19")
    assert (answer.status_code, answer.data) == (206, DATA[10:20])


def test_a_comfyui_that_is_away(api: FlaskClient, asset: str, sim: Simulator) -> None:
    sim.kill()
    assert refusal(content_of(api, asset)) == (503, "upstream_unreachable")
    assert api.get(f"{ASSETS}/{asset}").status_code == 200


# -- outputs -------------------------------------------------------------------------------------------------------


def test_an_output_is_an_asset_with_its_true_size(jobs_app: Flask, api: FlaskClient) -> None:
    [output] = outputs_of(jobs_app, picture(8, 6))
    assert (output["type"], output["content_type"], output["node_id"]) == ("image", "image/png", "2")

    asset = api.get(f"{ASSETS}/{output['id']}").get_json()

    assert output["id"] == f"{output['job_id']}-0"
    assert (asset["job_id"], asset["file_path"]) == (output["job_id"], output["name"])
    answer = content_of(api, output["id"])
    assert answer.data.startswith(b"\x89PNG")
    assert len(answer.data) == output["size_bytes"] == asset["size_bytes"] > 0
    part = content_of(api, output["id"], Range="bytes=1-3")
    assert (part.status_code, part.data) == (206, b"PNG")
    assert refusal(api.delete(f"{ASSETS}/{output['id']}")) == (409, "asset_in_use")


def test_a_text_is_an_output(jobs_app: Flask, api: FlaskClient) -> None:
    [output] = outputs_of(jobs_app, {"1": node("PreviewAny", source="tea for two, 2 \u20ac")})
    assert (output["type"], output["content_type"]) == ("text", "text/plain; charset=utf-8")
    assert content_of(api, output["id"]).data.decode() == "tea for two, 2 \u20ac"
    assert output["size_bytes"] == len("tea for two, 2 \u20ac".encode())


def test_a_long_text_is_kept_whole(jobs_app: Flask, api: FlaskClient) -> None:
    text = "0123456789" * 5000
    [output] = outputs_of(jobs_app, {"1": node("PreviewAny", source=text)})
    assert output["size_bytes"] == len(text)
    assert content_of(api, output["id"]).data.decode() == text


def test_a_latent_is_an_output(jobs_app: Flask, api: FlaskClient) -> None:
    workflow = {
        "1": node("EmptyLatentImage", width=64, height=64, batch_size=1),
        "2": node("SaveLatent", samples=["1", 0], filename_prefix="x"),
    }
    [output] = outputs_of(jobs_app, workflow)
    assert (output["type"], output["content_type"]) == ("latent", "application/octet-stream")
    assert len(content_of(api, output["id"]).data) == output["size_bytes"] > 0


def test_an_output_that_could_not_be_fetched_is_unavailable(
    jobs_app: Flask, api: FlaskClient, sim: Simulator
) -> None:
    sim.fail_route("/view", status=404, times=1)
    first, second = outputs_of(jobs_app, picture(8, 8, batch=2))
    answers = [content_of(api, each["id"]) for each in (first, second)]
    assert sorted(each.status_code for each in answers) == [200, 404]
    assert refusal(next(each for each in answers if each.status_code == 404)) == (404, "output_unavailable")


@pytest.mark.parametrize(
    "asset", ["nothing", "nothing-0", "0-0", "a.b", "c2-99999999", "12345678-1234-1234-1234-123456789012"]
)
def test_an_id_of_nothing(api: FlaskClient, asset: str) -> None:
    for _ in range(2):  # before the engine is used, and after
        assert refusal(api.get(f"{ASSETS}/{asset}")) == (404, "not_found")
        assert refusal(content_of(api, asset)) == (404, "not_found")
        assert refusal(api.delete(f"{ASSETS}/{asset}")) == (404, "not_found")
        upload(api)


def test_a_number_behind_the_outputs_of_a_job(jobs_app: Flask, api: FlaskClient) -> None:
    [output] = outputs_of(jobs_app, picture(8, 8))
    assert refusal(api.get(f"{ASSETS}/{output['job_id']}-1")) == (404, "not_found")

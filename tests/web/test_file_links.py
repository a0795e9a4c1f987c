"""Links to files: `output.links` and `GET /files/TOKEN/NAME`."""

from __future__ import annotations

import base64
import json
import logging
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from comfybridge.prompts import file_links
from comfybridge.simulator import Simulator
from tests import graphs
from tests.web.answers import failure, success
from tests.web.keys import KEYS, SHOP

HOST = "http://localhost"
LINKS = {"output": {"links": True}}
SAVED_VIDEO = {"filename_prefix": "x", "format": "auto", "codec": "auto"}
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'

MakeApp = Callable[..., Flask]


@pytest.fixture
def state(tmp_path: Path) -> str:
    """The state folder of all applications of a test."""
    return str(tmp_path / "state")


@pytest.fixture
def api(make_app: MakeApp, state: str) -> FlaskClient:
    return make_app(state_dir=state).test_client()


def made(api: FlaskClient, graph: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """The first output of a graph, with its link."""
    asked = {"workflow": graph or graphs.picture(), **LINKS, **fields}
    body = success(api.post("/generate", json=asked))
    assert body["images"] == []
    output: dict[str, Any] = body["outputs"][0]
    assert "data" not in output
    assert output["index"] is None
    return output


def link_of(api: FlaskClient, graph: dict[str, Any] | None = None, **fields: Any) -> str:
    url: str = made(api, graph, **fields)["url"]
    return url


def fetched(api: FlaskClient, url: str, **headers: str) -> TestResponse:
    assert url.startswith(f"{HOST}/files/")
    return api.get(url.removeprefix(HOST), headers={name.replace("_", "-"): value for name, value in headers.items()})


def on_disk(sim: Simulator, output: dict[str, Any]) -> Path:
    return sim.output_directory / output["subfolder"] / output["filename"]


# -- what a link leads to ----------------------------------------------------------------------------------------


def test_a_link_leads_to_the_file(api: FlaskClient, sim: Simulator) -> None:
    output = made(api)
    answer = fetched(api, output["url"])
    assert answer.status_code == 200
    assert answer.data == on_disk(sim, output).read_bytes()
    assert (answer.content_type, answer.content_length) == ("image/png", output["bytes"])
    assert answer.headers["Content-Disposition"] == f'inline; filename="{output["filename"]}"'
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert output["url"].endswith("/" + output["filename"])
    assert api.head(output["url"].removeprefix(HOST)).content_length == output["bytes"]


def test_the_file_is_converted_as_the_request_asked(api: FlaskClient) -> None:
    options = {"links": True, "format": "webp", "max_size": 32, "metadata": "strip"}
    output = made(api, output=options)
    answer = fetched(api, output["url"])
    assert (answer.content_type, answer.data[8:12]) == ("image/webp", b"WEBP")
    assert (output["filename"][-5:], output["url"][-5:]) == (".webp", ".webp")
    assert (output["width"], output["height"], output["bytes"]) == (32, 24, len(answer.data))
    with_bytes = success(api.post("/generate", json={"workflow": graphs.picture(), "output": {"links": False}}))
    assert len(with_bytes["images"]) == 1


def test_without_a_key_the_link_is_enough(make_app: MakeApp, state: str) -> None:
    api = make_app(state_dir=state, api_keys=KEYS).test_client()
    url = success(api.post("/generate", json={"workflow": graphs.picture(), **LINKS}, headers=SHOP))["outputs"][0][
        "url"
    ]
    assert fetched(api, url).status_code == 200
    elsewhere = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
    assert api.get(url.removeprefix(HOST), headers=elsewhere).status_code == 200  # in a page of another site


def test_every_form_of_json_has_links(api: FlaskClient) -> None:
    asked = {"workflow": graphs.picture(), **LINKS}
    stream = api.post("/generate", json=asked, headers={"Accept": "text/event-stream"}).text
    streamed = json.loads(re.findall(r"^event: result\ndata: (.+)$", stream, re.MULTILINE)[0])
    kept_alive = api.post("/generate", json={**asked, "keepalive": 5}).get_json()
    later = success(api.get(f"/results/{kept_alive['prompt_id']}"))
    in_prompt = success(api.post("/generate", json={"prompt": graphs.picture(), **LINKS}))
    assert "image" not in in_prompt
    for body in (streamed, kept_alive, later, in_prompt):
        assert body["images"] == []
        assert fetched(api, body["outputs"][0]["url"]).status_code == 200


def test_texts_and_other_forms_of_answers_stay_as_they_are(api: FlaskClient) -> None:
    graph = {"1": graphs.node("PreviewAny", source="a text")}
    body = success(api.post("/generate", json={"workflow": graph, **LINKS}))
    assert [(each["text"], "url" in each) for each in body["outputs"]] == [("a text", False)]
    picture = api.post("/generate", json={"workflow": graphs.picture(), **LINKS}, headers={"Accept": "image/*"})
    assert picture.data.startswith(b"\x89PNG")


def test_an_image_of_the_websocket_comes_as_a_data_uri(api: FlaskClient) -> None:
    output = made(api, graphs.picture(save="SaveImageWebsocket"), output={"links": True, "format": "jpeg"})
    start, _, data = output["url"].partition(",")
    assert start == "data:image/jpeg;base64"
    assert base64.b64decode(data).startswith(b"\xff\xd8\xff")


# -- how long, and where -----------------------------------------------------------------------------------------


def test_a_link_works_in_other_processes_and_after_restarts(
    api: FlaskClient, make_app: MakeApp, sim: Simulator, state: str
) -> None:
    url = link_of(api)
    sim.restart()
    assert fetched(make_app(state_dir=state).test_client(), url).status_code == 200
    failure(fetched(make_app(state_dir=f"{state}-2").test_client(), url), 404, "not_found")
    same_key = {"link_key": "a key for all machines"}
    url = link_of(make_app(**same_key, state_dir=f"{state}-3").test_client())
    assert fetched(make_app(**same_key, state_dir=f"{state}-4").test_client(), url).status_code == 200


def test_a_link_works_for_an_hour(api: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    url = link_of(api)
    now = file_links.time.time()
    monkeypatch.setattr(file_links.time, "time", lambda: now + 3590)
    assert fetched(api, url).status_code == 200
    monkeypatch.setattr(file_links.time, "time", lambda: now + 3610)
    assert "60 minutes" in failure(fetched(api, url), 410, "link_expired")["error"]


def test_with_several_servers_a_link_names_the_one_that_has_the_file(make_app: MakeApp, state: str) -> None:
    with Simulator(step_seconds=0) as first, Simulator(step_seconds=0) as second, Simulator() as third:

        def bridge(*servers: Simulator) -> FlaskClient:
            return make_app(comfyui_url=",".join(each.url for each in servers), state_dir=state).test_client()

        links = [made(bridge(server)) for server in (first, second)]
        for order in ((first, second), (second, third, first)):
            for output, server in zip(links, (first, second), strict=True):
                answer = fetched(bridge(*order), output["url"])
                assert answer.data == on_disk(server, output).read_bytes()
        gone = failure(fetched(bridge(second, third), links[0]["url"]), 404, "not_found")
    assert "no longer behind this bridge" in gone["error"]


# -- what a link must not do -------------------------------------------------------------------------------------


def test_a_link_that_was_changed_leads_nowhere(api: FlaskClient) -> None:
    url = link_of(api)
    token, name = url.removeprefix(f"{HOST}/files/").split("/")
    changed = [f"{token[:at]}{'A' if token[at] != 'A' else 'B'}{token[at + 1 :]}" for at in range(len(token))]
    changed += ["", token[:-4], token + "AAAA", token + "=", "A" * 22, "A", "ü", "-"]
    for each in changed:
        assert api.get(f"/files/{each}/{name}").status_code == 404, each
    failure(api.get(f"/files/{token}/other.png"), 404, "not_found")
    failure(api.get(f"/files/{token}/{name}x"), 404, "not_found")


def test_no_other_file_can_be_read_with_a_signature(api: FlaskClient, sim: Simulator) -> None:
    (sim.output_directory / "secret.png").write_bytes(b"\x89PNG\r\n\x1a\n secret")
    token, name = link_of(api).removeprefix(f"{HOST}/files/").split("/")
    signed = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    facts = json.loads(signed[file_links.SIGNATURE_BYTES :])
    for place, value in ((1, "secret.png"), (2, ""), (3, "temp"), (4, facts[4] + 1), (5, {"format": "webp"})):
        forged = json.dumps([*facts[:place], value, *facts[place + 1 :]], separators=(",", ":")).encode()
        text = base64.urlsafe_b64encode(signed[: file_links.SIGNATURE_BYTES] + forged).rstrip(b"=").decode()
        failure(api.get(f"/files/{text}/{name}"), 404, "not_found")
        failure(api.get(f"/files/{text}/secret.png"), 404, "not_found")


def test_a_link_gives_away_neither_the_server_nor_its_folders(
    api: FlaskClient, sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = link_of(api).removeprefix(f"{HOST}/files/").split("/")[0]
    held = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    for secret in (sim.url, sim.url.rpartition(":")[2], str(sim.output_directory)):
        assert secret.encode() not in held


def test_a_file_with_an_absolute_folder_comes_as_a_data_uri(api: FlaskClient, sim: Simulator) -> None:
    folder = sim.output_directory / "below"
    graph = graphs.picture()
    graph["2"]["inputs"]["filename_prefix"] = f"{folder}/x"
    url = success(api.post("/generate", json={"workflow": graph, **LINKS}))["outputs"][0]["url"]
    assert str(sim.output_directory) not in url
    assert url.startswith((f"{HOST}/files/", "data:image/png;base64,"))


@pytest.mark.parametrize(
    ("ending", "data", "kind"),
    [("svg", SVG, "inline"), ("json", b"{}", "attachment"), ("html", b"<script>alert(1)</script>", "attachment")],
)
def test_no_file_runs_as_a_page_of_the_bridge(
    api: FlaskClient, sim: Simulator, ending: str, data: bytes, kind: str
) -> None:
    output = made(api)
    stored = file_links.StoredFile(sim.url, f"x.{ending}", "", "output", file_links.OutputOptions())
    (sim.output_directory / f"x.{ending}").write_bytes(data)
    token = api.application.extensions["comfybridge"].links.sign(stored, f"x.{ending}")
    answer = api.get(f"/files/{token}/x.{ending}")
    assert answer.data == data
    assert "html" not in answer.content_type
    assert answer.headers["Content-Disposition"] == f'{kind}; filename="x.{ending}"'
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "Content-Security-Policy" not in fetched(api, output["url"]).headers


def test_the_log_does_not_have_the_whole_link(api: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    url = link_of(api)
    token = url.removeprefix(f"{HOST}/files/").split("/")[0]
    with caplog.at_level(logging.INFO, "comfybridge.requests"):
        fetched(api, url).close()
        api.get(f"/files/{token}").close()
    lines = [each.getMessage() for each in caplog.records if each.name == "comfybridge.requests"]
    assert len(lines) == 2
    assert all("/files/" in line and token[12:24] not in line for line in lines)


# -- when things go wrong ----------------------------------------------------------------------------------------


def test_a_file_that_is_gone_is_not_found(api: FlaskClient, sim: Simulator) -> None:
    url = link_of(api)
    shutil.rmtree(sim.output_directory / "comfybridge")
    assert "no longer has" in failure(fetched(api, url), 404, "not_found")["error"]


def test_a_server_that_is_down_is_no_reason_to_forget_a_link(api: FlaskClient, sim: Simulator) -> None:
    url = link_of(api)
    sim.kill()
    failure(fetched(api, url), 503, "comfyui_unreachable")
    sim.revive()
    assert fetched(api, url).status_code == 200


# -- parts -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "start", "stop"), [("bytes=0-9", 0, 10), ("bytes=5-", 5, None), ("bytes=-7", -7, None)]
)
def test_a_part_of_a_video_can_be_fetched(
    api: FlaskClient, sim: Simulator, asked: str, start: int, stop: int | None
) -> None:
    output = made(api, graphs.frames("SaveVideo", **SAVED_VIDEO))
    whole = fetched(api, output["url"])
    assert (whole.status_code, whole.headers["Accept-Ranges"]) == (200, "bytes")
    part = fetched(api, output["url"], Range=asked)
    expected = whole.data[start:stop]
    assert (part.status_code, part.data, part.content_length) == (206, expected, len(expected))
    assert part.content_type == "video/mp4"
    first = start % len(whole.data)
    assert part.headers["Content-Range"] == f"bytes {first}-{first + len(expected) - 1}/{len(whole.data)}"


@pytest.mark.parametrize("asked", ["bytes=9999999-", "bytes=0-1,4-5", "lines=1-2", "bytes=-", "bytes=x"])
def test_what_is_no_part_of_a_video_returns_all_of_it(api: FlaskClient, sim: Simulator, asked: str) -> None:
    output = made(api, graphs.frames("SaveVideo", **SAVED_VIDEO))
    answer = fetched(api, output["url"], Range=asked)
    assert (answer.status_code, answer.data) == (200, on_disk(sim, output).read_bytes())


def test_a_part_that_depends_on_an_earlier_one_and_a_part_of_an_image_are_the_whole(api: FlaskClient) -> None:
    video, image = link_of(api, graphs.frames("SaveVideo", **SAVED_VIDEO)), link_of(api)
    assert fetched(api, video, Range="bytes=0-1", If_Range='"x"').status_code == 200
    answer = fetched(api, image, Range="bytes=0-1")
    assert (answer.status_code, "Accept-Ranges" in answer.headers) == (200, False)


# -- the address -------------------------------------------------------------------------------------------------


def test_a_link_begins_with_the_address_of_the_request(api: FlaskClient) -> None:
    asked = {"json": {"workflow": graphs.picture(), **LINKS}}
    answer = api.post("/generate", **asked, base_url="https://127.0.0.1:8443/comfy")
    assert success(answer)["outputs"][0]["url"].startswith("https://127.0.0.1:8443/comfy/files/")


@pytest.mark.parametrize("url", ["https://bridge.example/comfy", "https://bridge.example/comfy/"])
def test_a_link_begins_with_the_public_url(make_app: MakeApp, state: str, url: str) -> None:
    link = made(make_app(public_url=url, state_dir=state).test_client())["url"]
    assert link.startswith("https://bridge.example/comfy/files/")

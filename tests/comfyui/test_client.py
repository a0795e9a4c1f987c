"""The client's single calls: where they go, what they carry, and what each kind of failure becomes."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator

import pytest
import requests
import responses

from comfybridge.address import ServerAddress
from comfybridge.comfyui.client import ComfyUIClient, ComfyUINotReached, ComfyUISilent, can_aim_interrupts
from comfybridge.comfyui.outcome import Prompt
from comfybridge.deadline import Deadline
from comfybridge.errors import ComfyUIError, ComfyUIUnreachable, InvalidWorkflow, TimedOut
from tests.comfyui.recorded import Recording

URL = "http://gpu.example:8188"


@pytest.fixture
def comfyui() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as mock:
        yield mock


def client(url: str = URL, **headers: str) -> ComfyUIClient:
    return ComfyUIClient(ServerAddress.parse(url, headers))


def test_a_prefix_credentials_and_headers_go_with_every_call(comfyui: responses.RequestsMock) -> None:
    comfyui.get("https://gpu.example/comfy/prompt", json={"exec_info": {"queue_remaining": 3}})
    there = client("https://me:p%40ss@gpu.example/comfy/", **{"X-Tenant": "a"})
    assert there.queue_length() == 3
    sent = comfyui.calls[0].request.headers
    assert sent["Authorization"] == "Basic " + base64.b64encode(b"me:p@ss").decode()
    assert sent["X-Tenant"] == "a"
    assert there.address.websocket_url == "wss://gpu.example/comfy/ws"


def test_a_given_token_wins_over_the_credentials_of_the_url(comfyui: responses.RequestsMock) -> None:
    comfyui.get("http://gpu.example/prompt", json={"exec_info": {"queue_remaining": 0}})
    client("http://me:secret@gpu.example", authorization="Bearer t").queue_length()
    assert comfyui.calls[0].request.headers["Authorization"] == "Bearer t"


def test_a_netrc_file_does_not_replace_the_credentials(
    comfyui: responses.RequestsMock, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    netrc = f"{tmp_path}/netrc"
    with open(netrc, "w") as file:
        file.write("machine gpu.example login other password other")
    monkeypatch.setenv("NETRC", netrc)
    comfyui.get("http://gpu.example/prompt", json={"exec_info": {"queue_remaining": 0}})
    client("http://gpu.example", Authorization="Bearer t").queue_length()
    assert comfyui.calls[0].request.headers["Authorization"] == "Bearer t"


@pytest.mark.parametrize(
    ("url", "base", "socket"),
    [
        ("127.0.0.1:8188", "http://127.0.0.1:8188", "ws://127.0.0.1:8188/ws"),
        ("http://[::1]:8188/", "http://[::1]:8188", "ws://[::1]:8188/ws"),
        ("https://x.example/a/b/", "https://x.example/a/b", "wss://x.example/a/b/ws"),
        ("http://u:p@x.example:1", "http://x.example:1", "ws://x.example:1/ws"),
    ],
)
def test_an_address_is_taken_apart(url: str, base: str, socket: str) -> None:
    address = ServerAddress.parse(url)
    assert (address.url, address.websocket_url) == (base, socket)
    assert "u:p" not in repr(address)


@pytest.mark.parametrize("url", ["", "ftp://x", "http://", "http://x:99999", "http://x/?a=b", "http://a,http://b"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"must|has a port"):
        ServerAddress.parse(url)


@pytest.mark.parametrize("name", ["bad_ckpt", "bad_type", "missing_input", "no_outputs", "unknown_node", "bad_link"])
def test_a_recorded_refusal_is_an_invalid_workflow(comfyui: responses.RequestsMock, name: str) -> None:
    recording = Recording(name)
    comfyui.post(f"{URL}/prompt", json=recording.body, status=recording.status)
    with pytest.raises(InvalidWorkflow) as raised:
        client().queue_prompt(Prompt("id", {}), "me")
    assert "traceback" not in json.dumps(raised.value.node_errors)


@pytest.mark.parametrize("name", ["not_object", "string_prompt"])
def test_a_recorded_crash_of_comfyui_is_its_error(comfyui: responses.RequestsMock, name: str) -> None:
    recording = Recording(name)
    comfyui.post(f"{URL}/prompt", body=recording.body, status=recording.status)
    with pytest.raises(ComfyUIError, match="answered 500 to POST /prompt"):
        client().queue_prompt(Prompt("id", {}), "me")


def test_a_graph_accepted_in_part_brings_its_node_errors(comfyui: responses.RequestsMock) -> None:
    recording = Recording("partial_invalid")
    comfyui.post(f"{URL}/prompt", json=recording.body)
    accepted = client().queue_prompt(Prompt("id", {}), "me", {"front": True})
    assert (accepted.prompt_id, accepted.number) == (recording.body["prompt_id"], 14)
    assert list(accepted.node_errors) == ["3"]
    sent = json.loads(comfyui.calls[0].request.body or "")
    assert sent == {"prompt": {}, "prompt_id": "id", "client_id": "me", "front": True}


@pytest.mark.parametrize("body", ["", "<html>", "[]", '{"a": 1}', "{", '{"prompt_id": 5}'])
def test_nonsense_for_an_answer_is_an_error_of_comfyui(comfyui: responses.RequestsMock, body: str) -> None:
    comfyui.post(f"{URL}/prompt", body=body)
    with pytest.raises(ComfyUIError):
        client().queue_prompt(Prompt("id", {}), "me")


@pytest.mark.parametrize(
    ("status", "hint"), [(401, "credentials"), (403, "credentials"), (302, "redirect"), (500, "answered 500")]
)
def test_a_proxy_s_refusal_says_what_to_look_at(comfyui: responses.RequestsMock, status: int, hint: str) -> None:
    comfyui.get(f"{URL}/prompt", body="<html>", status=status)
    with pytest.raises(ComfyUIError, match=hint):
        client().queue_length()


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_proxy_that_does_not_reach_comfyui_is_as_good_as_nobody(
    comfyui: responses.RequestsMock, status: int
) -> None:
    comfyui.get(f"{URL}/prompt", body="<html>", status=status)
    with pytest.raises(ComfyUIUnreachable, match=f"HTTP {status}"):
        client().queue_length()


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (requests.ConnectionError("Connection refused"), ComfyUIUnreachable),
        (requests.ConnectTimeout(), ComfyUINotReached),
        (requests.ReadTimeout(), ComfyUISilent),
        (requests.exceptions.SSLError("certificate"), ComfyUIUnreachable),
        (requests.exceptions.ChunkedEncodingError(), ComfyUIError),
        (requests.exceptions.InvalidHeader(), ComfyUIError),
    ],
)
def test_each_way_to_fail_becomes_one_of_the_bridge_s_errors(
    comfyui: responses.RequestsMock, failure: Exception, error: type[Exception]
) -> None:
    comfyui.get(f"{URL}/prompt", body=failure)
    with pytest.raises(error) as raised:
        client().queue_length()
    assert type(raised.value) is error


def test_no_call_is_made_once_the_deadline_has_passed() -> None:
    with pytest.raises(TimedOut):
        client().queue_length(Deadline(0))


def test_the_queue_is_in_the_order_in_which_it_will_run(comfyui: responses.RequestsMock) -> None:
    pending = [[5, "late", {}, {}, []], [-1, "first", {}, {}, []], [2, "second", {}, {}, []]]
    comfyui.get(f"{URL}/queue", json={"queue_running": [[0, "now", {}, {}, []]], "queue_pending": pending})
    queue = client().queue()
    assert queue.running == ("now",)
    assert queue.pending == ("first", "second", "late")


def test_a_file_name_with_spaces_and_other_letters_is_asked_for_as_it_is(comfyui: responses.RequestsMock) -> None:
    comfyui.get(f"{URL}/view", body=b"bytes")
    assert list(client().view("ein Bild & mehr ü.png", "a b/ü", "temp")) == [b"bytes"]
    asked = comfyui.calls[0].request.params  # type: ignore[attr-defined]
    assert asked == {"filename": "ein Bild & mehr ü.png", "subfolder": "a b/ü", "type": "temp"}


def test_a_file_that_is_gone_is_an_error_of_comfyui(comfyui: responses.RequestsMock) -> None:
    comfyui.get(f"{URL}/view", status=404)
    with pytest.raises(ComfyUIError, match=r"no longer has the output file 'x\.png'"):
        client().view("x.png", "", "output")


@pytest.mark.parametrize(
    ("version", "can"),
    [("0.3.56", False), ("0.3.57", True), ("0.3.64", True), ("v0.4", True), ("1.0.0", True), ("unknown", False)],
)
def test_only_newer_versions_can_interrupt_one_prompt(version: str, can: bool) -> None:
    assert can_aim_interrupts(version) is can

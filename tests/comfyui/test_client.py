"""The client's single calls: where they go, what they carry, and what each kind of failure becomes."""

from __future__ import annotations

import base64
import contextlib
import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from comfybridge.address import ServerAddress
from comfybridge.comfyui.calls import ComfyUINotReached, ComfyUISilent
from comfybridge.comfyui.client import ComfyUIClient
from comfybridge.comfyui.outcome import Prompt
from comfybridge.comfyui.versions import can_aim_interrupts
from comfybridge.deadline import Deadline
from comfybridge.errors import ComfyUIError, ComfyUIUnreachable, InvalidWorkflow, TimedOut
from tests.comfyui.exchange import (
    CERTIFICATE,
    Behaviour,
    Exchange,
    and_close,
    and_reset,
    hang_up,
    message,
    raw,
    silent,
)
from tests.comfyui.recorded import Recording

Client = Callable[..., ComfyUIClient]


@pytest.fixture
def comfyui() -> Iterator[Exchange]:
    with Exchange() as exchange:
        yield exchange


@pytest.fixture
def client(comfyui: Exchange) -> Iterator[Client]:
    """Makes clients, of the scripted server unless they are told otherwise."""
    with contextlib.ExitStack() as stack:

        def make(url: str = comfyui.url, *, read_timeout: float = 30, **headers: str) -> ComfyUIClient:
            made = ComfyUIClient(ServerAddress.parse(url, headers), connect_timeout=0.2, read_timeout=read_timeout)
            stack.callback(made.close)
            return made

        yield make


def test_a_prefix_credentials_and_headers_go_with_every_call(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(CERTIFICATE))
    with Exchange(is_https=True) as comfyui:
        comfyui.get("/comfy/prompt", json_body={"exec_info": {"queue_remaining": 3}})
        there = client(f"https://me:p%40ss@{comfyui.place}/comfy/", **{"X-Tenant": "a"})
        assert there.queue_length() == 3
    (sent,) = comfyui.requests
    assert sent.headers["Authorization"] == "Basic " + base64.b64encode(b"me:p@ss").decode()
    assert sent.headers["X-Tenant"] == "a"
    assert sent.headers["Host"] == comfyui.place
    assert there.address.websocket_url == f"wss://{comfyui.place}/comfy/ws"


def test_an_ipv6_address_is_reached(client: Client) -> None:
    with Exchange(host="::1") as comfyui:
        comfyui.get("/prompt", json_body={"exec_info": {"queue_remaining": 2}})
        assert client(comfyui.url).queue_length() == 2
    assert comfyui.requests[0].headers["Host"] == comfyui.place


def test_a_given_token_wins_over_the_credentials_of_the_url(comfyui: Exchange, client: Client) -> None:
    comfyui.get("/prompt", json_body={"exec_info": {"queue_remaining": 0}})
    client(f"http://me:secret@{comfyui.place}", authorization="Bearer t").queue_length()
    assert comfyui.requests[0].headers.get_all("Authorization") == ["Bearer t"]


@pytest.mark.parametrize(("given", "sent"), [({"Authorization": "Bearer t"}, "Bearer t"), ({}, None)])
def test_a_netrc_file_does_not_replace_the_credentials(
    comfyui: Exchange,
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    given: dict[str, str],
    sent: str | None,
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login other password other")
    monkeypatch.setenv("NETRC", str(netrc))
    comfyui.get("/prompt", json_body={"exec_info": {"queue_remaining": 0}})
    client(**given).queue_length()
    assert comfyui.requests[0].headers["Authorization"] == sent


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
def test_a_recorded_refusal_is_an_invalid_workflow(comfyui: Exchange, client: Client, name: str) -> None:
    recording = Recording(name)
    comfyui.post("/prompt", json_body=recording.body, status=recording.status)
    with pytest.raises(InvalidWorkflow) as raised:
        client().queue_prompt(Prompt("id", {}), "me")
    assert "traceback" not in json.dumps(raised.value.node_errors)


@pytest.mark.parametrize("name", ["not_object", "string_prompt"])
def test_a_recorded_crash_of_comfyui_is_its_error(comfyui: Exchange, client: Client, name: str) -> None:
    recording = Recording(name)
    comfyui.post("/prompt", recording.body, status=recording.status)
    with pytest.raises(ComfyUIError, match="answered 500 to POST /prompt"):
        client().queue_prompt(Prompt("id", {}), "me")


def test_a_graph_accepted_in_part_brings_its_node_errors(comfyui: Exchange, client: Client) -> None:
    recording = Recording("partial_invalid")
    comfyui.post("/prompt", json_body={**recording.body, "prompt_id": "id"})
    assert list(client().queue_prompt(Prompt("id", {}), "me", {"front": True})) == ["3"]
    sent = json.loads(comfyui.requests[0].body)
    assert sent == {"prompt": {}, "prompt_id": "id", "client_id": "me", "front": True}


@pytest.mark.parametrize("body", ["", "<html>", "[]", '{"a": 1}', "{", '{"prompt_id": 5}'])
def test_nonsense_for_an_answer_is_an_error_of_comfyui(comfyui: Exchange, client: Client, body: str) -> None:
    comfyui.post("/prompt", body)
    with pytest.raises(ComfyUIError):
        client().queue_prompt(Prompt("id", {}), "me")


@pytest.mark.parametrize(
    ("status", "hint"), [(401, "credentials"), (403, "credentials"), (302, "redirect"), (500, "answered 500")]
)
def test_a_proxy_s_refusal_says_what_to_look_at(comfyui: Exchange, client: Client, status: int, hint: str) -> None:
    comfyui.get("/prompt", "<html>", status=status)
    with pytest.raises(ComfyUIError, match=hint):
        client().queue_length()


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_proxy_that_does_not_reach_comfyui_is_as_good_as_nobody(
    comfyui: Exchange, client: Client, status: int
) -> None:
    comfyui.get("/prompt", "<html>", status=status)
    with pytest.raises(ComfyUIUnreachable, match=f"HTTP {status}"):
        client().queue_length()


HALF = raw(message(b"{", length=100))


@pytest.mark.parametrize(
    ("behaviour", "error", "said"),
    [
        (hang_up, ComfyUIUnreachable, "closed the connection without an answer"),
        (raw(b"nonsense\r\n\r\n"), ComfyUIUnreachable, "answers with something that is not HTTP"),
        (
            and_close(raw(b"\x15\x03\x01\0\x02\x02F")),
            ComfyUIUnreachable,
            "speaks TLS, so COMFYUI_URL must begin",
        ),
        (silent, ComfyUISilent, "does not answer GET /prompt"),
        (HALF, ComfyUISilent, "does not answer GET /prompt"),
        (and_close(HALF), ComfyUIError, "cut off in the middle"),
        (and_reset(HALF), ComfyUIError, "cut off in the middle"),
        (raw(message(b"{}", headers={"Content-Encoding": "gzip"})), ComfyUIUnreachable, "compresses"),
    ],
)
def test_each_way_to_fail_becomes_one_of_the_bridge_s_errors(
    comfyui: Exchange, client: Client, behaviour: Behaviour, error: type[Exception], said: str
) -> None:
    comfyui.on("GET", "/prompt", behaviour)
    with pytest.raises(error, match=said) as raised:
        client(read_timeout=0.2).queue_length()
    assert type(raised.value) is error


@pytest.mark.parametrize("behaviour", [silent, HALF])
def test_a_deadline_that_passes_meanwhile_is_what_is_told(
    comfyui: Exchange, client: Client, behaviour: Behaviour
) -> None:
    comfyui.on("GET", "/prompt", behaviour)
    with pytest.raises(TimedOut, match="while ComfyUI was being asked"):
        client().queue_length(Deadline(0.2))


def test_nobody_there_is_not_reached(client: Client) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(ComfyUINotReached, match="refuses the connection"):
        client(f"http://127.0.0.1:{port}").queue_length()


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_who_does_not_take_the_connection_in_time_is_not_reached(client: Client, scheme: str) -> None:
    with contextlib.ExitStack() as stack:
        full = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        if scheme == "http":  # with https, the handshake does not happen
            for _ in range(3):
                waiting = stack.enter_context(socket.socket())
                waiting.setblocking(False)
                waiting.connect_ex(full.getsockname())
        with pytest.raises(ComfyUINotReached, match="cannot be reached"):
            client(f"{scheme}://127.0.0.1:{full.getsockname()[1]}").queue_length()


def test_a_certificate_that_nobody_knows_is_not_trusted(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)
    with Exchange(is_https=True) as comfyui:
        there = client(comfyui.url)
        with pytest.raises(ComfyUINotReached, match="no trusted certificate"):
            there.queue_length()
    assert not comfyui.requests


def test_a_name_that_nobody_knows_is_said_so(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    monkeypatch.setenv("NO_PROXY", "*")
    with pytest.raises(ComfyUINotReached, match="its host name is unknown"):
        client("http://gpu.example:8188").queue_length()


def test_what_can_be_no_name_is_unknown_too(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    with pytest.raises(ComfyUINotReached, match="its host name is unknown"):
        client("http://gpu..example:8188").queue_length()


def test_a_header_that_cannot_be_sent_is_not_sent(comfyui: Exchange, client: Client) -> None:
    for value in ("a\r\nX-Other: b", "snow \u2603"):
        with pytest.raises(ComfyUINotReached, match="character that HTTP cannot carry"):
            client(**{"X-Tenant": value}).queue_length()
    assert not comfyui.requests


def test_no_call_is_made_once_the_deadline_has_passed(comfyui: Exchange, client: Client) -> None:
    with pytest.raises(TimedOut):
        client().queue_length(Deadline(0))
    assert not comfyui.connections


def test_the_queue_is_in_the_order_in_which_it_will_run(comfyui: Exchange, client: Client) -> None:
    pending = [[5, "late", {}, {}, []], [-1, "first", {}, {}, []], [2, "second", {}, {}, []]]
    comfyui.get("/queue", json_body={"queue_running": [[0, "now", {}, {}, []]], "queue_pending": pending})
    queue = client().queue()
    assert queue.running == ("now",)
    assert queue.pending == ("first", "second", "late")


def test_a_queue_of_objects_is_read_as_well(comfyui: Exchange, client: Client) -> None:
    """So hiddenswitch's fork gives it."""

    def item(priority: int, prompt_id: str) -> dict[str, Any]:
        extra_data = {"comfybridge": json.dumps({"owner": "shop"}, separators=(",", ":"))}
        rest = {"extra_data": extra_data, "good_outputs": ["2"], "sensitive": None}
        return {"priority": priority, "prompt_id": prompt_id, "prompt": {"1": {}}, **rest}

    body = {"queue_running": [item(0, "now")], "queue_pending": [item(5, "late"), item(-1, "first")]}
    comfyui.get("/queue", json_body=body)
    queue = client().queue()
    assert (queue.running, queue.pending) == (("now",), ("first", "late"))
    assert queue.is_of("late", "shop")
    comfyui.get("/queue", json_body=body)
    found = client().queued("first")
    assert found is not None
    assert list(found[:3]) == [-1, "first", {"1": {}}]
    assert found[4] == ["2"]


@pytest.mark.parametrize("item", [{}, {"priority": 1}, {"prompt_id": "x"}, "text", 5, None])
def test_a_queue_of_something_else_is_none(comfyui: Exchange, client: Client, item: Any) -> None:
    comfyui.get("/queue", json_body={"queue_running": [], "queue_pending": [item]})
    with pytest.raises(ComfyUIError, match="is not a queue"):
        client().queue()


def test_a_file_name_with_spaces_and_other_letters_is_asked_for_as_it_is(comfyui: Exchange, client: Client) -> None:
    comfyui.get("/view", b"bytes")
    assert list(client().view("ein Bild & mehr ü.png", "a b/ü", "temp")) == [b"bytes"]
    assert comfyui.requests[0].query == {"filename": "ein Bild & mehr ü.png", "subfolder": "a b/ü", "type": "temp"}


def test_a_file_that_is_gone_is_an_error_of_comfyui(comfyui: Exchange, client: Client) -> None:
    comfyui.get("/view", status=404)
    with pytest.raises(ComfyUIError, match=r"no longer has the output file 'x\.png'"):
        client().view("x.png", "", "output")


@pytest.mark.parametrize(
    ("version", "can"),
    [("0.3.56", False), ("0.3.57", True), ("0.3.64", True), ("v0.4", True), ("1.0.0", True), ("unknown", False)],
)
def test_only_newer_versions_can_interrupt_one_prompt(version: str, can: bool) -> None:
    assert can_aim_interrupts(version) is can

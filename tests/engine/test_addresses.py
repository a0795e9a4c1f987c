"""Engines that run elsewhere: their addresses, credentials and versions."""

from __future__ import annotations

import json
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from comfybridge.engine.engine import FILES, KEPT, LIVE, RESULTS, Engine
from comfybridge.engine_address import parse_engine_addresses
from comfybridge.errors import EngineUnreachable
from comfybridge.settings import SettingsError, load_settings
from tests.engine.servers import Server

JOB = "comfybridge.kept.job.a"


@contextmanager
def pretender(**info: object) -> Iterator[str]:
    """Something that begins to talk as a nats-server does."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection:
                connection.sendall(b"INFO " + json.dumps(info).encode() + b"\r\n")
                received = b""
                while b"PING" not in received and (data := connection.recv(1000)):
                    received += data
                sent.append(received)
                connection.sendall(b"PONG\r\n")
                connection.recv(1000)

    sent: list[bytes] = []
    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"127.0.0.1:{listening.getsockname()[1]}"
    finally:
        listening.close()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("http://x", "must begin with nats://, tls://, ws:// or wss://"),
        ("secret", "must begin with nats://"),
        ("nats://user:secret@", "must name a host"),
        ("nats://x:secret", "has a port that is not a number"),
        ("nats://x/secret", "must have nothing behind the host"),
        ("nats://x,wss://secret", "must not mix websockets"),
        (",", "must name a server"),
    ],
)
def test_a_wrong_address_is_refused_without_being_shown(text: str, said: str) -> None:
    with pytest.raises(SettingsError, match=f"COMFYBRIDGE_ENGINE {said}") as raised:
        load_settings(engine=text)
    assert "secret" not in str(raised.value)


def test_addresses_are_read_with_their_credentials() -> None:
    found = parse_engine_addresses("nats://a, tls://me:p%40ss@[::1]:5,")
    assert [each.url for each in found] == ["nats://a:4222", "tls://[::1]:5"]
    assert (found[1].user, found[1].password, found[1].inbox) == ("me", "p@ss", "_INBOX.me")
    (token,) = parse_engine_addresses("wss://s3cret@x.example/nats")
    assert (token.url, token.token, token.user, token.inbox) == ("wss://x.example/nats", "s3cret", None, "_INBOX.all")
    assert "s3cret" not in repr(token)
    assert "p@ss" not in repr(found)


def test_secrets_are_not_shown() -> None:
    assert "secret" not in repr(load_settings(engine="nats://me:secret@x"))


def test_there_is_a_fleet_where_only_an_engine_is_named() -> None:
    assert not load_settings().is_fleet
    assert load_settings(engine="nats://x").is_fleet
    assert not load_settings(engine="nats://x", comfyui_url="http://127.0.0.1:8188").is_fleet


@pytest.mark.parametrize(
    ("lines", "credentials"),
    [
        ("authorization { token: s3cret }", "s3cret@"),
        ("authorization { user: me, password: 's3cr@t' }", "me:s3cr%40t@"),
    ],
)
def test_credentials_are_needed_and_never_shown(
    tmp_path: Path,
    make_engine: Callable[..., Engine],
    caplog: pytest.LogCaptureFixture,
    lines: str,
    credentials: str,
) -> None:
    server = Server(tmp_path, lines)
    try:
        place = server.url.removeprefix("nats://")
        make_engine(engine=f"nats://{credentials}{place}").publish(JOB, b"")
        for wrong in ("", "wr0ng@", "me:wr0ng@"):
            engine = make_engine(engine=f"nats://{wrong}{place}")
            with pytest.raises(EngineUnreachable, match="does not accept the user and password") as raised:
                engine.publish(JOB, b"")
            assert "wr0ng" not in str(raised.value)
        assert "wr0ng" not in caplog.text
        assert "s3cr" not in caplog.text
    finally:
        server.kill()


def test_the_next_address_is_used_if_one_does_not_answer(server: Server, make_engine: Callable[..., Engine]) -> None:
    make_engine(engine=f"nats://127.0.0.1:1,{server.url},nats://127.0.0.1:2").publish(JOB, b"", seconds=20)


def test_an_older_server_is_refused_in_a_sentence(make_engine: Callable[..., Engine]) -> None:
    with pretender(version="2.9.10", headers=True) as place:
        engine = make_engine(engine=f"nats://{place}")
        with pytest.raises(EngineUnreachable, match=r"is nats-server 2\.9\.10; ComfyBridge needs 2\.11 or newer"):
            engine.publish(JOB, b"")


def test_a_server_without_tls_is_not_sent_credentials(make_engine: Callable[..., Engine]) -> None:
    with pretender(version="2.15.1", headers=True) as place:
        engine = make_engine(engine=f"tls://me:secret@{place}")
        with pytest.raises(EngineUnreachable, match="does not offer TLS"):
            engine.publish(JOB, b"")


def test_something_else_that_listens_is_said(make_engine: Callable[..., Engine]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        engine = make_engine(engine=f"nats://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(EngineUnreachable, match="does not answer"):
            engine.publish(JOB, b"")


def test_a_server_without_jetstream_is_said(tmp_path: Path, make_engine: Callable[..., Engine]) -> None:
    server = Server(tmp_path, "accounts { A: { users: [ { user: a, password: b } ] } }")
    try:
        engine = make_engine(engine=server.url.replace("//", "//a:b@"))
        with pytest.raises(EngineUnreachable, match="no JetStream"):
            engine.publish(JOB, b"")
    finally:
        server.kill()


def test_a_user_with_few_rights_uses_what_a_bridge_has_made(
    tmp_path: Path, make_engine: Callable[..., Engine]
) -> None:
    calls = ", ".join(f'"$JS.API.STREAM.INFO.{stream}"' for stream in (KEPT, LIVE, RESULTS, FILES))
    calls += f', "$JS.API.DIRECT.GET.{KEPT}.>", "$JS.API.CONSUMER.CREATE.{KEPT}.>"'
    rights = f'publish: ["comfybridge.kept.claim.*", {calls}], subscribe: ["_INBOX.agent.>"]'
    server = Server(
        tmp_path,
        "authorization { users: [ {user: bridge, password: b}, "
        f"{{user: agent, password: a, permissions: {{ {rights} }} }} ] }}",
    )
    try:
        place = server.url.removeprefix("nats://")
        bridge = make_engine(engine=f"nats://bridge:b@{place}")
        bridge.publish(JOB, b"job")
        agent = make_engine(engine=f"nats://agent:a@{place}", makes_streams=False)
        found = agent.get(KEPT, JOB)
        assert found is not None
        agent.publish("comfybridge.kept.claim.a", b"mine")
        heard = threading.Event()
        agent.follow(KEPT, ["comfybridge.kept.job.*"], lambda _: None, heard.set, lambda: None)
        assert heard.wait(20)
        with pytest.raises(EngineUnreachable, match="lacks a right"):
            agent.publish(JOB, b"forged")
        with pytest.raises(EngineUnreachable, match="lacks a right"):
            agent.purge(KEPT, ">")
        found = bridge.get(KEPT, JOB)
        assert found is not None
        assert found.data == b"job"
    finally:
        server.kill()


def test_a_websocket_without_its_package_says_what_to_install(
    make_engine: Callable[..., Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    with pytest.raises(EngineUnreachable, match="wss:// needs the package aiohttp: pip install aiohttp"):
        make_engine(engine="wss://127.0.0.1:1").publish(JOB, b"")


def test_an_engine_is_used_over_a_websocket(tmp_path: Path, make_engine: Callable[..., Engine]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = Server(tmp_path, f'websocket {{ listen: "127.0.0.1:{port}", no_tls: true }}')
    try:
        engine = make_engine(engine=f"ws://127.0.0.1:{port}")
        engine.put_blob("a", "out-0", [b"x" * 1_000_000], ttl=60)
        assert sum(map(len, engine.read_blob("a", "out-0"))) == 1_000_000
    finally:
        server.kill()

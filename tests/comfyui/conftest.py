"""A scripted server, and transports to it."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from comfybridge.address import ServerAddress
from comfybridge.comfyui.transport import Transport
from tests.comfyui.asking import Connect
from tests.comfyui.exchange import (
    CERTIFICATE,
    Exchange,
)


@pytest.fixture
def comfyui() -> Iterator[Exchange]:
    with Exchange() as exchange:
        yield exchange


@pytest.fixture
def connect(comfyui: Exchange) -> Iterator[Connect]:
    """Makes transports, to the scripted server unless they are told otherwise."""
    made: list[Transport] = []

    def make(address: ServerAddress | str = comfyui.url, most_idle: int = 8) -> Transport:
        made.append(Transport(ServerAddress.parse(address) if isinstance(address, str) else address, most_idle))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[socket.socket]:
    """The sockets that are opened from now on, on this side."""
    sockets: list[socket.socket] = []
    create = socket.create_connection

    def note(*arguments: object, **options: object) -> socket.socket:
        sockets.append(create(*arguments, **options))  # type: ignore[arg-type]
        return sockets[-1]

    monkeypatch.setattr(socket, "create_connection", note)
    return sockets


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment that names no proxies, to be changed."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(CERTIFICATE))
    return monkeypatch

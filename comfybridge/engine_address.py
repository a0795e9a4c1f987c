"""The addresses of an engine, as the setting `engine` has them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import urlsplit

SCHEMES = ("nats", "tls", "ws", "wss")


def check_engine_addresses(addresses: Sequence[str]) -> None:
    """Check the addresses of the servers of one engine.

    Raises:
        ValueError: one is not such an address. The message does not quote it, as it may bear a password.
    """
    if not addresses:
        raise ValueError("must name a server, as in nats://127.0.0.1:4222")
    kinds = {_checked_scheme(each) in ("ws", "wss") for each in addresses}
    if len(kinds) > 1:
        raise ValueError("must not mix websockets (ws, wss) with others (nats, tls)")


def _checked_scheme(address: str) -> str:
    scheme = address.partition("://")[0].lower()
    if "://" not in address or scheme not in SCHEMES:
        raise ValueError("must begin with nats://, tls://, ws:// or wss://")
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError("has a port that is not a number from 0 to 65535") from None
    if not host or not re.fullmatch(r"[A-Za-z0-9._:-]+", host):
        raise ValueError("must name a host, as in nats://127.0.0.1:4222")
    if parts.query or parts.fragment or (parts.path.strip("/") and scheme in ("nats", "tls")):
        raise ValueError("must have nothing behind the host and its port")
    return scheme

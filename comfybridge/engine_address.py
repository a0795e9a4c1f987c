"""The addresses of an engine, as the setting `engine` has them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

WEBSOCKETS = ("ws", "wss")
SCHEMES = ("nats", "tls", *WEBSOCKETS)
PORT = 4222


@dataclass(frozen=True)
class EngineAddress:
    """The address of one server of an engine; the URL has no credentials, so that it can be shown and logged.

    Attributes:
        server: the name that the server must have, if it is known.
    """

    url: str
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    server: str | None = None

    @property
    def inbox(self) -> str:
        """The beginning of the subjects on which its user is answered, which the user's rights may name."""
        return f"_INBOX.{re.sub(r'[^A-Za-z0-9_-]', '_', self.user) if self.user else 'all'}"

    @property
    def scheme(self) -> str:
        """`nats`, `tls`, `ws` or `wss`."""
        return self.url.partition("://")[0]


def parse_engine_addresses(text: str) -> list[EngineAddress]:
    """The addresses of the servers of one engine, separated by commas.

    Raises:
        ValueError: one is not such an address. The message does not quote it, as it may bear a password.
    """
    found = [_parsed(each.strip()) for each in text.split(",") if each.strip()]
    if not found:
        raise ValueError("must name a server, as in nats://127.0.0.1:4222")
    if len({each.scheme in WEBSOCKETS for each in found}) > 1:
        raise ValueError("must not mix websockets (ws, wss) with others (nats, tls)")
    return found


def _parsed(text: str) -> EngineAddress:
    scheme, _, rest = text.partition("://")
    scheme = scheme.lower()
    if not rest or scheme not in SCHEMES:
        raise ValueError("must begin with nats://, tls://, ws:// or wss://")
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError("has a port that is not a number from 0 to 65535") from None
    if not host or not re.fullmatch(r"[A-Za-z0-9._:-]+", host):
        raise ValueError("must name a host, as in nats://127.0.0.1:4222")
    is_websocket = scheme in WEBSOCKETS
    if parts.query or parts.fragment or (parts.path.strip("/") and not is_websocket):
        raise ValueError("must have nothing behind the host and its port")
    place = f"[{host}]" if ":" in host else host
    if port is not None or not is_websocket:
        place += f":{PORT if port is None else port}"
    user = None if parts.username is None else unquote(parts.username)
    password = None if parts.password is None else unquote(parts.password)
    return EngineAddress(
        url=f"{scheme}://{place}{parts.path if is_websocket else ''}",
        user=None if password is None else user,
        password=password,
        token=user if password is None else None,
    )

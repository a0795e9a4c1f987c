"""The address of a ComfyUI, and the headers that every call to it carries."""

from __future__ import annotations

import base64
import ipaddress
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit, urlunsplit

PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class ServerAddress:
    """A ComfyUI's address without its credentials, so that it can be shown and logged.

    Attributes:
        url: `http(s)://host[:port][/prefix]`, no slash at the end.
        websocket_url: the same for its websocket, `ws(s)://.../ws`.
        headers: what every call carries: the credentials of the URL as basic authorization, and the given ones.
        is_loopback: whether it is on this machine, where no proxy makes sense.
    """

    url: str
    websocket_url: str
    is_loopback: bool
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def is_encrypted(self) -> bool:
        """Whether connections to it use TLS."""
        return self.url.startswith("https:")

    @property
    def host(self) -> str:
        """Its name or IP address, the latter without brackets."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """Its port: the one in the URL, or the scheme's default."""
        parts = urlsplit(self.url)
        return parts.port or PORTS[parts.scheme]

    @classmethod
    def parse(cls, url: str, headers: Mapping[str, str] | None = None) -> ServerAddress:
        """Parse a URL; the default scheme is http.

        Raises:
            ValueError: it is not an http or https URL with a host. The message does not quote the URL, which may
                bear a password.
        """
        text = url.strip()
        parts = urlsplit(text if "://" in text else f"http://{text}")
        if parts.scheme not in ("http", "https"):
            raise ValueError("must begin with http:// or https://")
        if parts.query or parts.fragment:
            raise ValueError("must have no ? or # part")
        try:
            host, port = parts.hostname, parts.port
        except ValueError:
            raise ValueError("has a port that is not a number from 0 to 65535") from None
        if not host or "," in host or " " in host:
            raise ValueError("must name one host, as in http://127.0.0.1:8188")
        place = f"[{host}]" if ":" in host else host
        if port is not None:
            place += f":{port}"
        path = parts.path.rstrip("/")
        socket_scheme = "wss" if parts.scheme == "https" else "ws"
        return cls(
            url=urlunsplit((parts.scheme, place, path, "", "")),
            websocket_url=urlunsplit((socket_scheme, place, f"{path}/ws", "", "")),
            is_loopback=_is_loopback(host),
            headers=_headers(parts.username, parts.password, headers or {}),
        )


def _headers(user: str | None, password: str | None, given: Mapping[str, str]) -> dict[str, str]:
    if (user is None and password is None) or any(name.lower() == "authorization" for name in given):
        return dict(given)
    pair = f"{unquote(user or '')}:{unquote(password or '')}"
    return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode("ascii"), **given}


def _is_loopback(host: str) -> bool:
    """Whether a host is this machine; 0.0.0.0, on which servers listen, leads here too."""
    try:
        address = _ip_address(host)
    except (OSError, ValueError):
        name = host.removesuffix(".")
        return name == "localhost" or name.endswith(".localhost")  # RFC 6761
    address = getattr(address, "ipv4_mapped", None) or address
    return address.is_loopback or address.is_unspecified


def _ip_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The IP address that a host is written as, including the system's short forms, such as 127.1.

    Raises:
        OSError, ValueError: it is a name.
    """
    if ":" in host:
        return ipaddress.ip_address(host)
    return ipaddress.IPv4Address(socket.inet_aton(host))

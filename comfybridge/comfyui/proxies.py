"""Finds the proxy to a server in the environment, by one rule for HTTP and websockets.

`HTTP_PROXY`, `HTTPS_PROXY` and `ALL_PROXY` name a proxy, `NO_PROXY` the servers that are reached without one; a name
in lower case wins. Servers on this machine never need a proxy. If the environment names none, the system's own
settings apply (Windows, macOS).
"""

from __future__ import annotations

import base64
import contextlib
import ipaddress
import os
import re
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, getproxies_environment, proxy_bypass

from comfybridge.address import ServerAddress

HTTP_PROXY_PORT = 80  # if the address of a proxy has no port
HOST = re.compile(r"[^\s/?#@,]+")


class UnusableProxy(ValueError):
    """The proxy can't be used. The message is the end of a sentence, without the proxy's credentials."""


@dataclass(frozen=True)
class Proxy:
    """An HTTP proxy.

    Attributes:
        named_by: the environment variable that names it, or the system's settings.
        credentials: `user:password@` as in a URL, or empty.
    """

    host: str
    port: int
    named_by: str
    credentials: str = field(default="", repr=False)

    def __str__(self) -> str:
        """The proxy for a sentence, without its credentials."""
        return f"the proxy http://{self._place} ({self.named_by})"

    @property
    def url(self) -> str:
        """Its address with its credentials; never shown."""
        return f"http://{self.credentials}{self._place}"

    @property
    def authorization(self) -> str | None:
        """The value of `Proxy-Authorization`; None without credentials."""
        if not self.credentials:
            return None
        user, _, password = self.credentials.removesuffix("@").partition(":")
        pair = f"{unquote(user)}:{unquote(password)}"
        return "Basic " + base64.b64encode(pair.encode()).decode("ascii")

    @property
    def _place(self) -> str:
        return f"{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


def proxy_for(address: ServerAddress) -> Proxy | None:
    """The proxy to a server; None: a direct connection.

    Raises:
        UnusableProxy: the environment names one that is not an HTTP proxy.
    """
    if address.is_loopback:
        return None
    proxies = getproxies()
    scheme = "https" if address.is_encrypted else "http"
    kind = next((each for each in (scheme, "all") if proxies.get(each)), None)
    if kind is None or _is_exempt(address, proxies.get("no", "")):
        return None
    return _parsed(proxies[kind], _named_by(kind))


def _parsed(url: str, named_by: str) -> Proxy:
    text = url.strip()
    scheme = text.partition("://")[0].lower() if "://" in text else "http"
    if scheme != "http":
        kind = scheme if re.fullmatch(r"[a-z0-9]{1,10}", scheme) else "other"
        raise UnusableProxy(f"{named_by} names a proxy of the kind {kind}://; only http:// is supported")
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
    # a later @ ends a password that contains a /
    if not HOST.fullmatch(host) or "@" in parts.path + parts.query + parts.fragment:
        raise UnusableProxy(f"{named_by} is not the address of a proxy, such as http://proxy.example:3128")
    credentials, at, _ = parts.netloc.rpartition("@")
    return Proxy(host, HTTP_PROXY_PORT if port is None else port, named_by, credentials + at)


def _named_by(kind: str) -> str:
    """The name of the variable for a kind of proxy, as it is written; lower case takes precedence."""
    names = [name for name in os.environ if name.lower() == f"{kind}_proxy" and os.environ[name]]
    return min(names, key=lambda name: not name.islower(), default="the system's settings")


def _is_exempt(address: ServerAddress, exempt: str) -> bool:
    if not getproxies_environment():  # the system has a list of its own
        return bool(proxy_bypass(address.host))
    return any(_matches(each, _plain(address.host), address.port) for each in re.split(r"[\s,]+", exempt) if each)


def _matches(entry: str, host: str, port: int) -> bool:
    """Whether an entry of NO_PROXY matches a host.

    An entry is `*`, a domain (including its subdomains), an address or a network. Domains and addresses may have a
    port.
    """
    if entry == "*":
        return True
    address = _address(host)
    if "/" in entry:
        with contextlib.suppress(ValueError):
            return address is not None and address in ipaddress.ip_network(entry, strict=False)
        return False
    name, its_port = _split_port(entry)
    if its_port not in (None, port):
        return False
    if address is not None or _address(name) is not None:
        return address is not None and address == _address(name)
    domain = _plain(name.removeprefix("*").removeprefix("."))
    return bool(domain) and (host == domain or host.endswith(f".{domain}"))


def _split_port(entry: str) -> tuple[str, int | None]:
    """The host of an entry, and its port if it has one; colons in an IPv6 address do not count."""
    if _address(entry) is not None:
        return entry, None
    match = re.fullmatch(r"(.*):([0-9]{1,5})", entry)
    return (match[1], int(match[2])) if match else (entry, None)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """An IP address, with IPv4 addresses unwrapped from IPv6; None if it is not one."""
    with contextlib.suppress(ValueError):
        address = ipaddress.ip_address(text.removeprefix("[").removesuffix("]").partition("%")[0])
        return getattr(address, "ipv4_mapped", None) or address
    return None


def _plain(name: str) -> str:
    """A host name in a form that can be compared."""
    name = name.lower().removesuffix(".")
    with contextlib.suppress(UnicodeError):
        return name if name.isascii() else name.encode("idna").decode()
    return name

"""The hosts that a bridge is called by, and the addresses that it may listen on.

A web page that is open in a browser on this machine can make its own host name resolve to the machine (DNS
rebinding), and then shares an origin with the bridge. Its name in the `Host` header gives it away: IP addresses and
`localhost` cannot be rebound, so they are accepted; other names must be set.
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache

from comfybridge.errors import Forbidden, InvalidRequest
from comfybridge.settings import Settings, SettingsError

ANY = "*"
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{0,5})?")
REMEMBERED = 256


class Hosts:
    """Which `Host` headers are accepted."""

    def __init__(self, settings: Settings) -> None:
        names = settings.allowed_hosts
        # a rebinding page has no key, so with keys any name is accepted unless some are set
        self._is_any = ANY in names or (bool(settings.api_keys) and not names)
        self._names = {*names, settings.host.lower().removesuffix(".")}
        # the same few headers recur
        self._problem_of = lru_cache(maxsize=REMEMBERED)(self._problem)

    def check(self, header: str | None) -> None:
        """Refuse a request that is not meant for this bridge.

        Args:
            header: `Host`; None if it is missing, as in HTTP/1.0, which no browser uses.

        Raises:
            InvalidRequest: it is malformed.
            Forbidden: it is an unknown name.
        """
        if header is None:
            return
        problem = self._problem_of(header) if len(header) <= 255 else InvalidRequest
        if problem is InvalidRequest:
            raise InvalidRequest(
                "The Host header is malformed; it must be a name or an address, with an optional port."
            )
        if problem is Forbidden:
            raise Forbidden(
                f"The bridge is not known as {header}; if it should be, add that name, without the port, to "
                "COMFYBRIDGE_ALLOWED_HOSTS."
            )

    def _problem(self, header: str) -> type[InvalidRequest] | type[Forbidden] | None:
        match = _HOST.fullmatch(header)
        if match is None:
            return InvalidRequest
        name = match[1].lower()
        if name.startswith("["):
            return None if _address(name[1:-1]) is not None else InvalidRequest
        name = name.removesuffix(".")
        fine = self._is_any or name in self._names or name == "localhost" or name.endswith(".localhost")
        return None if fine or _address(name) is not None else Forbidden


def is_loopback(host: str) -> bool:
    """Whether an address, or the name `localhost`, is reached from this machine only."""
    if host in ("127.0.0.1", "::1", "localhost"):
        return True
    address = _address(host.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address is not None and address.is_loopback


def check_listening(settings: Settings, host: str) -> None:
    """Refuse to listen where other machines can call, if no key would be required.

    Raises:
        SettingsError: says what to do.
    """
    if not (settings.api_keys or settings.allow_anonymous or is_loopback(host)):
        raise SettingsError(
            f"Other machines can reach {host}, and everyone there could use the bridge: set COMFYBRIDGE_API_KEYS, "
            "so that callers need a key, or COMFYBRIDGE_ALLOW_ANONYMOUS=true (--allow-anonymous), to admit everyone."
        )


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None

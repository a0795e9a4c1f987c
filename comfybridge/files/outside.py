"""Hosts outside, contacted so that callers cannot use the bridge to reach its own network.

A host's addresses are looked up once, all of them are checked, and the connection goes to one that was checked: a
second, different answer of the name server has no effect. A proxy, which would look the host up again, is not used.
"""

from __future__ import annotations

import base64
import ipaddress
import os
import queue
import re
import socket
import ssl
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from certifi import where

from comfybridge.deadline import Deadline
from comfybridge.errors import InvalidRequest
from comfybridge.files.public_addresses import Address, is_public

PORTS = {"http": 80, "https": 443}
HOST_NAME = re.compile(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_.])?")
LONGEST_URL = 8000  # characters; few servers take longer ones, and Python caches parsed URLs
LOOKUP_SECONDS = 5.0  # for a host that is only checked for being public
PRIVATE_NAMES = (".localhost", ".local", ".internal", ".lan", ".home.arpa")  # RFC 6761, 6762, 8375, and common usage
LONGEST_HOST = 253  # characters (RFC 1035)
# If a name server does not answer, its thread blocks for as long as the system waits.
_lookups = threading.BoundedSemaphore(64)


@dataclass(frozen=True)
class Place:
    """A parsed URL. Only `host` is ever shown."""

    scheme: str
    host: str
    port: int
    target: str = field(repr=False)
    authorization: str | None = field(repr=False)

    @property
    def host_header(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"


class Outside:
    """The hosts that may be contacted: public ones, and those that the operator allows. For any thread.

    Args:
        allowed_hosts: names, addresses and networks (`10.0.0.0/8`) that may be contacted though not public.
        rule: what is only done with public hosts, for the refusal of others.
    """

    def __init__(self, allowed_hosts: Iterable[str], rule: str) -> None:
        self._rule = rule
        self._names: set[str] = set()
        self._networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = []
        for host in allowed_hosts:
            try:
                self._networks.append(ipaddress.ip_network(host.strip("[]"), strict=False))
            except ValueError:
                self._names.add(host.lower())

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or where()
        if os.path.isdir(bundle):
            return ssl.create_default_context(capath=bundle)
        return ssl.create_default_context(cafile=bundle)

    def check(self, place: Place, limit: Deadline) -> bool:
        """Refuse a host that may not be contacted, without contacting it; returns whether its address was found.

        A host whose address can't be found within the limit passes unless its name belongs to a private network.

        Raises:
            InvalidRequest: it may not be contacted.
        """
        try:
            addresses = resolve(place.host, place.port, limit)
        except (InvalidRequest, TimeoutError):
            addresses = []
            if place.host not in self._names and ("." not in place.host or place.host.endswith(PRIVATE_NAMES)):
                raise self._not_public(place) from None
        self._check_addresses(place, addresses)
        return bool(addresses)

    def connect(self, place: Place, limit: Deadline) -> socket.socket:
        """A connection to the host, encrypted if its URL says so.

        Raises:
            InvalidRequest: it has no address, or may not be contacted.
            TimeoutError: it was not there within the limit.
            OSError: it can't be reached, or has no trusted certificate (ssl.SSLCertVerificationError).
        """
        addresses = resolve(place.host, place.port, limit)
        self._check_addresses(place, addresses)
        connection = self._connect(place, addresses, limit)
        try:
            self._check_is_elsewhere(place, connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _check_addresses(self, place: Place, addresses: Iterable[Address]) -> None:
        if not all(is_public(address) or self._is_allowed(place, address) for address in addresses):
            raise self._not_public(place)

    def _check_is_elsewhere(self, place: Place, connection: socket.socket) -> None:
        """Refuse this machine's own public address: firewalls that block others would admit it."""
        try:
            here, there = connection.getsockname()[0], connection.getpeername()[0]
        except OSError:  # the connection is closed already; reading will report it
            return
        if here == there and not self._is_allowed(place, ipaddress.ip_address(there.partition("%")[0])):
            raise self._not_public(place)

    def _is_allowed(self, place: Place, address: Address) -> bool:
        """Whether an address may be contacted although it is not public."""
        return place.host in self._names or any(address in network for network in self._networks)

    def _connect(self, place: Place, addresses: list[Address], limit: Deadline) -> socket.socket:
        """A connection to the first of the addresses that answers."""
        failure: OSError = OSError("no address")
        for address in addresses:
            try:
                plain = socket.create_connection((str(address), place.port), timeout=left(limit))
            except TimeoutError:
                raise
            except OSError as error:
                failure = error
                continue
            try:
                return self._secured(place, plain, limit)
            except BaseException:
                plain.close()
                raise
        raise failure

    def _secured(self, place: Place, plain: socket.socket, limit: Deadline) -> socket.socket:
        if place.scheme == "http":
            return plain
        plain.settimeout(left(limit))
        return self._tls.wrap_socket(plain, server_hostname=place.host)

    def _not_public(self, place: Place) -> InvalidRequest:
        return InvalidRequest(
            f"{place.host} is not a public host, and {self._rule}; the bridge's operator can allow others in "
            "COMFYBRIDGE_FETCH_ALLOW_HOSTS."
        )


def parse(url: str) -> Place:
    """Take a URL apart.

    Raises:
        InvalidRequest: it cannot be fetched; the message does not quote it.
    """
    if len(url) > LONGEST_URL:
        raise InvalidRequest(f"A URL has more than {LONGEST_URL} characters.")
    if re.search(r"[\x00-\x20\x7f\\]", url):
        raise InvalidRequest("A URL has a space, a backslash or a control character in it; write %20 and so on.")
    try:
        parts = urlsplit(url)
        if parts.scheme not in PORTS:
            found = f"A URL begins with {parts.scheme[:20]}:" if parts.scheme else "A URL has no https: before it"
            raise InvalidRequest(f"{found}; the bridge uses http and https only.")
        host = _host(parts.hostname or "")
        port = parts.port
    except ValueError:
        raise InvalidRequest("A URL cannot be read: its host or port is invalid.") from None
    try:
        target = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
        if parts.query:
            target += "?" + quote(parts.query, safe="/?%:@!$&'()*+,;=~-._[]|")
        authorization = None
        if parts.username is not None:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            authorization = "Basic " + base64.b64encode(pair.encode()).decode("ascii")
    except UnicodeError:
        raise InvalidRequest("A URL has half of a character in it, which is not text.") from None
    return Place(parts.scheme, host, PORTS[parts.scheme] if port is None else port, target, authorization)


def _host(host: str) -> str:
    """A host's name as the name server knows it, or an address.

    Raises:
        ValueError: the name is invalid.
    """
    if len(host) > LONGEST_HOST:
        raise ValueError("too long a name")
    if ":" in host:
        return str(ipaddress.IPv6Address(host))
    name = host.encode("idna").decode("ascii").lower()  # UnicodeError is a ValueError
    if not HOST_NAME.fullmatch(name):
        raise ValueError("no host name")
    return name.removesuffix(".")


def resolve(host: str, port: int, limit: Deadline) -> list[Address]:
    """The addresses of a host, from the system's resolver.

    Raises:
        InvalidRequest: it has none.
        TimeoutError: the name server is slower than the limit.
    """
    try:
        found = _look_up(host, port, limit)
        # an address with a scope, such as fe80::1%eth0, is never public
        return list(dict.fromkeys(ipaddress.ip_address(str(each[4][0])) for each in found))
    except TimeoutError:
        raise
    except (OSError, ValueError):
        raise InvalidRequest(f"{host} can't be found: no address is known for it.") from None


def _look_up(host: str, port: int, limit: Deadline) -> list[Any]:
    """The addresses of a host, looked up in a separate thread because the system's resolver has no time limit."""
    said: queue.SimpleQueue[list[Any] | Exception] = queue.SimpleQueue()

    def ask() -> None:
        try:
            said.put(list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))
        except Exception as error:
            said.put(error)
        finally:
            _lookups.release()

    if not _lookups.acquire(timeout=left(limit)):
        raise TimeoutError
    try:
        threading.Thread(target=ask, name="name lookup", daemon=True).start()
    except RuntimeError:  # the system allows no more threads
        _lookups.release()
        raise OSError("no thread") from None
    try:
        answer = said.get(timeout=left(limit))
    except queue.Empty:
        raise TimeoutError from None
    if isinstance(answer, Exception):
        raise answer
    return answer


def left(limit: Deadline) -> float:
    """Seconds for the next step.

    Raises:
        TimeoutError: no time is left.
    """
    seconds = limit.remaining()
    if seconds <= 0:
        raise TimeoutError
    return seconds

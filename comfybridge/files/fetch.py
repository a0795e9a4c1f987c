"""Files from URLs, fetched so that callers cannot use the bridge to reach its own network.

A host's addresses are looked up once, all of them are checked, and the connection goes to one that was checked: a
second, different answer of the name server has no effect. A proxy, which would look the host up again, is not used.
Every redirect is a new URL, checked like the first.
The time limit holds for the whole fetch, however slowly the bytes come in.
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
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import quote, unquote, urljoin, urlsplit

from certifi import where

from comfybridge.comfyui.head import fields_of
from comfybridge.comfyui.incoming import BadAnswer, EndedEarly, Incoming
from comfybridge.deadline import Deadline
from comfybridge.errors import InvalidRequest, TimedOut, TooLarge
from comfybridge.files.public_addresses import Address, is_public

MOST_REDIRECTS = 5
CHUNK = 256 * 1024
REDIRECTS = (301, 302, 303, 307, 308)
PORTS = {"http": 80, "https": 443}
# binary/octet-stream is S3's type for files of unknown type
MEDIA_TYPES = re.compile(r"(image|video|audio)/.+|(application|binary)/octet-stream")
HOST_NAME = re.compile(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_.])?")
LONGEST_URL = 8000  # characters; few servers take longer ones, and Python caches parsed URLs
LOOKUP_SECONDS = 5.0  # for a host that is only checked for being public
PRIVATE_NAMES = (".localhost", ".local", ".internal", ".lan", ".home.arpa")  # RFC 6761, 6762, 8375, and common usage
LONGEST_HOST = 253  # characters (RFC 1035)
# If a name server does not answer, its thread blocks for as long as the system waits.
_lookups = threading.BoundedSemaphore(64)


@dataclass(frozen=True)
class _Place:
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


class Allowance:
    """The bytes that remain for the files of one request. Safe to share between threads.

    Args:
        most_bytes: how many the files may have together.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._left = most_bytes
        self._lock = threading.Lock()

    def take(self, size: int) -> None:
        """Take a number of bytes.

        Raises:
            TooLarge: fewer bytes remain.
        """
        with self._lock:
            self._left -= size
            if self._left < 0:
                raise TooLarge(
                    f"The input files have more than {self._most_bytes} bytes, the most that a request may have."
                )


class Fetcher:
    """Fetches files. Safe to share between threads.

    Args:
        seconds: how long one fetch may take, redirects included.
        allowed_hosts: names, addresses and networks (`10.0.0.0/8`) that may be contacted though not public.
    """

    def __init__(self, *, seconds: float, allowed_hosts: Iterable[str] = ()) -> None:
        self.seconds = seconds
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

    def fetch(self, url: str, allowance: Allowance, deadline: Deadline | None = None) -> bytes:
        """The file at a URL.

        Args:
            allowance: the allowance that its bytes count against.
            deadline: the request's own, beside the limit of the fetcher.

        Raises:
            InvalidRequest: the URL can't be used, may not be used, or leads to no file.
            TooLarge: the file has more bytes than are allowed.
            TimedOut: the request's deadline passed.
        """
        left = self.seconds if deadline is None else min(self.seconds, deadline.remaining())
        limit = Deadline(left)
        place = parse(url)
        try:
            for _ in range(MOST_REDIRECTS + 1):
                answer = self._ask(place, allowance, limit)
                if isinstance(answer, bytes):
                    return answer
                place = answer
        except TimeoutError:
            if deadline is not None and deadline.passed:
                raise TimedOut(f"The time was up while a file was being fetched from {place.host}.") from None
            raise InvalidRequest(
                f"{place.host} did not send the file within {self.seconds:g} s, the most that a fetch may take."
            ) from None
        raise InvalidRequest(f"{place.host} redirects more than {MOST_REDIRECTS} times.")

    def check(self, url: str, deadline: Deadline) -> None:
        """Refuse a URL for another fetcher if this one would not contact its host.

        A host whose address can't be found here passes unless its name belongs to a private network: the fetcher may
        be able to resolve it.

        Raises:
            InvalidRequest: the URL can't be used, may not be used, or holds credentials.
            TimedOut: the request's deadline passed.
        """
        place = parse(url)
        if place.authorization is not None:
            raise InvalidRequest(f"The URL holds credentials for {place.host}, which ComfyUI would store.")
        try:
            addresses = resolve(place.host, place.port, Deadline(min(LOOKUP_SECONDS, deadline.remaining())))
        except (InvalidRequest, TimeoutError):
            if deadline.passed:
                raise TimedOut(f"The time was up while {place.host} was being looked up.") from None
            addresses = []
            if place.host not in self._names and ("." not in place.host or place.host.endswith(PRIVATE_NAMES)):
                raise _not_public(place) from None
        self._check_addresses(place, addresses)

    def _ask(self, place: _Place, allowance: Allowance, limit: Deadline) -> bytes | _Place:
        """The file, or the address that it redirects to."""
        addresses = self._checked_addresses(place, limit)
        try:
            with closing(self._connect(place, addresses, limit)) as plain:
                self._check_is_elsewhere(place, plain)
                plain.settimeout(_left(limit))
                plain.sendall(_head(place))
                incoming = Incoming(plain, limit.seconds, limit)
                incoming.read_head()
                if incoming.status in REDIRECTS:
                    return _redirected(place, incoming)
                return _body(place, incoming, allowance)
        except TimeoutError:
            raise
        except ssl.SSLCertVerificationError:
            raise InvalidRequest(f"{place.host} has no trusted certificate.") from None
        except (OSError, BadAnswer):
            raise InvalidRequest(f"{place.host} can't be reached, or does not speak HTTP.") from None

    def _checked_addresses(self, place: _Place, limit: Deadline) -> list[Address]:
        """All addresses of the host, if each of them may be contacted."""
        addresses = resolve(place.host, place.port, limit)
        self._check_addresses(place, addresses)
        return addresses

    def _check_addresses(self, place: _Place, addresses: Iterable[Address]) -> None:
        if not all(is_public(address) or self._is_allowed(place, address) for address in addresses):
            raise _not_public(place)

    def _check_is_elsewhere(self, place: _Place, connection: socket.socket) -> None:
        """Refuse this machine's own public address: firewalls that block others would admit it."""
        try:
            here, there = connection.getsockname()[0], connection.getpeername()[0]
        except OSError:  # the connection is closed already; reading will report it
            return
        if here == there and not self._is_allowed(place, ipaddress.ip_address(there.partition("%")[0])):
            raise _not_public(place)

    def _is_allowed(self, place: _Place, address: Address) -> bool:
        """Whether an address may be contacted although it is not public."""
        return place.host in self._names or any(address in network for network in self._networks)

    def _connect(self, place: _Place, addresses: list[Address], limit: Deadline) -> socket.socket:
        """A connection to the first of the addresses that answers."""
        failure: OSError = OSError("no address")
        for address in addresses:
            try:
                plain = socket.create_connection((str(address), place.port), timeout=_left(limit))
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

    def _secured(self, place: _Place, plain: socket.socket, limit: Deadline) -> socket.socket:
        if place.scheme == "http":
            return plain
        plain.settimeout(_left(limit))
        return self._tls.wrap_socket(plain, server_hostname=place.host)


def _not_public(place: _Place) -> InvalidRequest:
    return InvalidRequest(
        f"{place.host} is not a public host, and files are fetched only from those; the bridge's operator can allow "
        "others in COMFYBRIDGE_FETCH_ALLOW_HOSTS."
    )


def parse(url: str) -> _Place:
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
            raise InvalidRequest(
                f"A URL begins with {parts.scheme[:20]}:; files are fetched over http and https only."
            )
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
    return _Place(parts.scheme, host, PORTS[parts.scheme] if port is None else port, target, authorization)


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

    if not _lookups.acquire(timeout=_left(limit)):
        raise TimeoutError
    try:
        threading.Thread(target=ask, name="name lookup", daemon=True).start()
    except RuntimeError:  # the system allows no more threads
        _lookups.release()
        raise OSError("no thread") from None
    try:
        answer = said.get(timeout=_left(limit))
    except queue.Empty:
        raise TimeoutError from None
    if isinstance(answer, Exception):
        raise answer
    return answer


def _head(place: _Place) -> bytes:
    """The request to a host. All of it is ASCII without line breaks, as `parse` ensures."""
    headers = {
        "Host": place.host_header,
        "User-Agent": "comfybridge",
        "Accept": "*/*",
        "Accept-Encoding": "identity",
        "Connection": "close",
    }
    if place.authorization:
        headers["Authorization"] = place.authorization
    fields = fields_of(headers)
    assert fields is not None
    return b"GET %s HTTP/1.1\r\n%s\r\n" % (place.target.encode("ascii"), fields)


def _redirected(place: _Place, answer: Incoming) -> _Place:
    location = answer.headers.get("location")
    if not location:
        raise InvalidRequest(f"{place.host} answered {answer.status}, a redirect without a target.")
    host = f"{place.scheme}://{place.host_header}"
    with suppress(UnicodeError):  # Python reads headers as Latin-1, and servers write UTF-8
        location = location.encode("latin-1").decode("utf-8")
    try:
        url = urljoin(host + place.target, location)
    except ValueError:
        raise InvalidRequest(f"{place.host} redirects to something that is not a URL.") from None
    return parse(url)


def _body(place: _Place, answer: Incoming, allowance: Allowance) -> bytes:
    """The bytes of an answer that is a file."""
    if answer.status != 200:
        raise InvalidRequest(f"{place.host} answered {answer.status} instead of the file.")
    media_type = answer.headers.get("content-type", "application/octet-stream").partition(";")[0].strip().lower()
    if media_type in ("text/html", "application/xhtml+xml"):
        raise InvalidRequest(f"{place.host} answered with a web page ({media_type}), not with a file.")
    if not MEDIA_TYPES.fullmatch(media_type):
        raise InvalidRequest(
            f"{place.host} answered with {media_type[:60]!r}; it must be an image, a video, audio, or "
            "application/octet-stream."
        )
    if answer.headers.get("content-encoding", "identity").strip().lower() not in ("identity", ""):
        raise InvalidRequest(f"{place.host} sends the file compressed, although it was asked not to.")
    return _read(place, answer, allowance)


def _read(place: _Place, answer: Incoming, allowance: Allowance) -> bytes:
    expected = answer.length
    if expected is not None:
        allowance.take(expected)  # so that the download of a file that is too large does not even start
    chunks = []
    try:
        while chunk := answer.read_some(CHUNK):
            chunks.append(chunk)
            if expected is None:
                allowance.take(len(chunk))
    except EndedEarly:
        raise InvalidRequest(f"{place.host} cut the file off in the middle.") from None
    return b"".join(chunks)


def _left(limit: Deadline) -> float:
    """Seconds for the next step.

    Raises:
        TimeoutError: no time is left.
    """
    left = limit.remaining()
    if left <= 0:
        raise TimeoutError
    return left

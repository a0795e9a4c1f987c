"""Makes connections to a server for HTTP and websockets: direct or through a proxy, with or without TLS."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Mapping

from certifi import where

from comfybridge.address import ServerAddress
from comfybridge.comfyui.failures import NoConnectionInTime, NotConnected
from comfybridge.comfyui.head import TARGET, fields_of, host_field
from comfybridge.comfyui.incoming import BadAnswer, Incoming
from comfybridge.comfyui.proxies import Proxy, UnusableProxy, proxy_for
from comfybridge.deadline import Deadline

SHORTEST_SILENCE = 0.001  # seconds; a socket takes 0 for "don't wait at all"


class Route:
    """The route to one server, from the environment at the time of its creation.

    Attributes:
        proxy: the proxy on the route, if any.
    """

    def __init__(self, address: ServerAddress) -> None:
        self._address = address
        self._tls = _tls() if address.is_encrypted else None
        self.proxy: Proxy | None = None
        self._unusable: UnusableProxy | None = None
        try:
            self.proxy = proxy_for(address)
        except UnusableProxy as error:
            self._unusable = error  # reported at each call, like other failures

    @property
    def is_proxied_plainly(self) -> bool:
        """Whether HTTP calls go to a proxy with the full address, without a tunnel."""
        return self.proxy is not None and self._tls is None

    def connect(self, seconds: float, *, tunnel: bool = False) -> socket.socket:
        """Make a connection within a number of seconds.

        Args:
            tunnel: whether it must lead to the server itself, which a connection with TLS does in any case.

        Raises:
            NotConnected: it can't be made; the message names the proxy if that is at fault.
        """
        if self._unusable is not None:
            raise NotConnected(f"cannot be reached: {self._unusable}")
        limit = Deadline(seconds)
        connection: socket.socket | None = None
        place = (self.proxy.host, self.proxy.port) if self.proxy else (self._address.host, self._address.port)
        try:
            connection = socket.create_connection(place, max(seconds, SHORTEST_SILENCE))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.proxy is not None and (tunnel or self._tls is not None):
                self._open_tunnel(connection, self.proxy, seconds, limit)
            if self._tls is not None:
                connection.settimeout(max(limit.remaining(), SHORTEST_SILENCE))
                connection = self._tls.wrap_socket(connection, server_hostname=self._address.host)
            return connection
        except BaseException as error:
            if connection is not None:
                connection.close()
            if isinstance(error, (OSError, BadAnswer, ValueError)):
                kind = NoConnectionInTime if isinstance(error, TimeoutError) else NotConnected
                raise kind(self._why_not(error)) from None
            raise

    def _open_tunnel(self, connection: socket.socket, proxy: Proxy, seconds: float, limit: Deadline) -> None:
        """Have the proxy relay all further bytes."""
        host = self._address.host
        target = f"[{host}]:{self._address.port}" if ":" in host else f"{host_field(host)}:{self._address.port}"
        fields = fields_of({"Host": target, **proxy_fields(proxy)})
        if fields is None or not TARGET.fullmatch(target):
            raise ValueError("That is not a host name.")
        connection.sendall(b"CONNECT %s HTTP/1.1\r\n%s\r\n" % (target.encode(), fields))
        incoming = Incoming(connection, seconds, limit)
        incoming.read_head()  # nothing follows the head before we send
        if incoming.status != 200:
            raise _NoTunnel(f"does not connect to it (HTTP {incoming.status})")

    def _why_not(self, error: Exception) -> str:
        if isinstance(error, ssl.SSLCertVerificationError):
            return "has no trusted certificate"
        if isinstance(error, ssl.SSLError):
            return "does not speak TLS (if it has no https, COMFYUI_URL must begin with http://)"
        if self.proxy is not None:
            return f"cannot be reached: {self.proxy} {_fault_of_proxy(error)}"
        if isinstance(error, ConnectionRefusedError):
            return "refuses the connection (is it running?)"
        if isinstance(error, (socket.gaierror, UnicodeError)):  # the second: not a valid name
            return "cannot be found: its host name is unknown"
        return "cannot be reached"


class _NoTunnel(OSError):
    """The proxy opens no tunnel; the message says what it did instead."""


def _fault_of_proxy(error: Exception) -> str:
    if isinstance(error, _NoTunnel):
        return str(error)
    if isinstance(error, ConnectionRefusedError):
        return "refuses the connection"
    if isinstance(error, (socket.gaierror, UnicodeError)):
        return "cannot be found"
    if isinstance(error, (BadAnswer, ConnectionError)):
        return "gives an answer that makes no sense"
    return "does not answer" if isinstance(error, TimeoutError) else "cannot be reached"


def proxy_fields(proxy: Proxy) -> Mapping[str, str]:
    """The headers that are for the proxy alone."""
    return {} if proxy.authorization is None else {"Proxy-Authorization": proxy.authorization}


def _tls() -> ssl.SSLContext:
    """A TLS context, with the certificates that the environment names, if any."""
    bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or where()
    if os.path.isdir(bundle):
        return ssl.create_default_context(capath=bundle)
    return ssl.create_default_context(cafile=bundle)

"""A client's HTTP: requests to a bridge, and errors that say why there is no answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import requests
from requests.auth import AuthBase

from comfybridge.address import ServerAddress
from comfybridge.client.wire import error_of
from comfybridge.comfyui.proxies import UnusableProxy, proxy_for
from comfybridge.errors import BridgeError, BridgeUnreachable
from comfybridge.settings import SettingsError

CONNECT_SECONDS = 10.0
SILENCE_SECONDS = 60.0  # in an event stream, the bridge sends a comment every 15 s
# Bytes read from a stream at a time. If it is not chunked, reading waits for all of them.
CHUNK, CHUNK_OF_UNKNOWN = 64 * 1024, 512


class Connection:
    """Sends requests to a bridge. Safe to share between threads.

    Args:
        url: its address, with or without `http://`.
        api_key: empty if none is required.

    Attributes:
        url: its address, without credentials.

    Raises:
        SettingsError: the URL is wrong, or the environment names an unusable proxy.
    """

    def __init__(self, url: str, api_key: str) -> None:
        try:
            address = ServerAddress.parse(url)
        except ValueError as error:
            raise SettingsError(f"The bridge's URL {error}.") from None
        self.url = address.url
        self._asked = (url.strip() if "://" in url else f"http://{url.strip()}").rstrip("/")
        self._auth = _Bearer(api_key) if api_key else None
        try:
            self._proxy = proxy_for(address)
        except UnusableProxy as error:
            raise SettingsError(f"The bridge at {self.url} cannot be reached: {error}.") from None
        # without these, `requests` reads the environment by rules of its own, and asks a proxy for this machine too
        self._proxies = {"no_proxy": address.host}
        if self._proxy is not None:
            self._proxies = {"http": self._proxy.url, "https": self._proxy.url}

    def ask(
        self, method: str, path: str, timeout: tuple[float, float] | None = None, **options: Any
    ) -> requests.Response:
        """Send a request; returns the answer, whatever its status is.

        Args:
            timeout: seconds for the connection, and for its silence.

        Raises:
            BridgeUnreachable: no answer comes.
        """
        try:
            return requests.request(
                method,
                f"{self._asked}{path}",
                auth=self._auth,
                proxies=dict(self._proxies),
                timeout=timeout or (CONNECT_SECONDS, SILENCE_SECONDS),
                **options,
            )
        except requests.RequestException as error:
            raise self._lost(error) from None

    def file(self, url: str) -> bytes:
        """The file that a link of the bridge leads to; no API key is sent, as a link may lead elsewhere.

        Raises:
            BridgeError: the link has expired, or its file is gone.
            BridgeUnreachable: no answer comes, or not whole.
        """
        try:
            answer = requests.get(
                url, auth=_NoKey(), proxies=dict(self._proxies), timeout=(CONNECT_SECONDS, SILENCE_SECONDS)
            )
        except requests.RequestException as error:
            raise self._lost(error) from None
        if not answer.ok:
            raise self.refusal(answer)
        return answer.content

    def json(self, answer: requests.Response) -> dict[str, Any]:
        """The JSON object in a successful answer.

        Raises:
            BridgeError: the error that the bridge reports.
            BridgeUnreachable: the answer breaks off, or is not a bridge's.
        """
        try:
            body = answer.json()
        except requests.exceptions.JSONDecodeError:
            body = None
        except requests.RequestException:
            raise self.cut_off() from None
        if not answer.ok or not isinstance(body, dict):
            raise self.refusal(answer)
        return body

    def events(self, answer: requests.Response) -> Iterator[tuple[str, Any]]:
        """The events of an answer, each with its name.

        Raises:
            BridgeUnreachable: the answer breaks off, or makes no sense.
        """
        event = ""
        try:
            for line in _lines(answer):
                name, _, value = line.decode("utf-8").partition(": ")
                if name == "event":
                    event = value
                elif name == "data":
                    yield event, json.loads(value)
        except requests.RequestException:
            raise self.cut_off() from None
        except ValueError:
            raise self.nonsense() from None

    def nonsense(self) -> BridgeUnreachable:
        """The error for an answer that is not a bridge's."""
        return BridgeUnreachable(f"The bridge at {self.url} sent an answer that makes no sense.")

    def cut_off(self) -> BridgeUnreachable:
        """The error for an answer that ended too early."""
        return BridgeUnreachable(f"The bridge at {self.url} cut its answer off.")

    def refusal(self, answer: requests.Response) -> BridgeError:
        """The error that an answer reports."""
        try:
            return error_of(answer.json(), answer.status_code, answer.headers.get("Retry-After"))
        except (requests.RequestException, ValueError, KeyError, TypeError, AttributeError):
            path = answer.request.path_url
            return BridgeUnreachable(f"{self.url}{path} answered {answer.status_code}; is a bridge there?")

    def _lost(self, error: requests.RequestException) -> BridgeUnreachable:
        """The error that says why no answer came."""
        if isinstance(error, requests.exceptions.SSLError):
            why = "has no trusted certificate"
        elif self._proxy is not None:
            why = f"cannot be reached through {self._proxy}"
        elif isinstance(error, requests.Timeout):
            why = "does not answer"
        elif "refused" in str(error):
            why = "refuses the connection (is it running?)"
        elif isinstance(error, requests.ConnectionError):
            why = "cannot be reached"
        else:
            why = f"cannot be called ({type(error).__name__})"
        return BridgeUnreachable(f"The bridge at {self.url} {why}.")


def _lines(answer: requests.Response) -> Iterator[bytes]:
    """The lines of an answer as they arrive; the line of a result may have megabytes."""
    size = CHUNK if getattr(answer.raw, "chunked", False) else CHUNK_OF_UNKNOWN
    begun: list[bytes] = []
    for chunk in answer.iter_content(size):
        first, *others = chunk.split(b"\n")
        begun.append(first)
        for other in others:
            yield b"".join(begun)
            begun = [other]
    yield b"".join(begun)


class _NoKey(AuthBase):
    """Sends nothing, not even what `.netrc` has."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


class _Bearer(AuthBase):
    """Sends an API key; a plain header would be replaced by credentials from `.netrc`."""

    def __init__(self, key: str) -> None:
        self._key = key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._key}"
        return request

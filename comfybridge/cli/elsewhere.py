"""A bridge that runs elsewhere, as the command line asks it (`--url`)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import requests
from requests.auth import AuthBase

from comfybridge.address import ServerAddress
from comfybridge.cli.exit_codes import UNREACHABLE, USAGE, exit_code_of
from comfybridge.cli.placing import CommandFailed
from comfybridge.comfyui.proxies import UnusableProxy, proxy_for

API_KEY = "COMFYBRIDGE_API_KEY"  # the variable of the environment
CONNECT_SECONDS = 10.0
SILENCE_SECONDS = 60.0  # a bridge sends a comment every 15 s


class RemoteBridge:
    """Asks a bridge over HTTP.

    Args:
        url: its address, with or without `http://`.
        api_key: empty where it wants none.

    Attributes:
        url: its address, without credentials.

    Raises:
        CommandFailed: that is no address.
    """

    def __init__(self, url: str, api_key: str) -> None:
        try:
            address = ServerAddress.parse(url)
        except ValueError as error:
            raise CommandFailed(f"--url {error}.", USAGE) from None
        self.url = address.url
        self._asked = (url.strip() if "://" in url else f"http://{url.strip()}").rstrip("/")
        self._auth = _Bearer(api_key) if api_key else None
        try:
            self._proxy = proxy_for(address)
        except UnusableProxy as error:
            raise CommandFailed(f"The bridge at {self.url} cannot be reached: {error}.", USAGE) from None
        # without these, `requests` reads the environment by rules of its own, and asks a proxy for this machine too
        self._proxies = {"no_proxy": address.host}
        if self._proxy is not None:
            self._proxies = {"http": self._proxy.url, "https": self._proxy.url}

    def ask(
        self, method: str, path: str, timeout: tuple[float, float] | None = None, **options: Any
    ) -> requests.Response:
        """Send a request.

        Args:
            timeout: seconds for the connection, and for its silence.

        Raises:
            CommandFailed: no answer comes.
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
            raise self.lost(error) from None

    def json(self, path: str) -> Any:
        """What it answers to a GET.

        Raises:
            CommandFailed: it does not answer, or not with JSON of its own.
        """
        answer = self.ask("GET", path)
        try:
            body = answer.json()
        except ValueError:
            body = None
        if not answer.ok or not isinstance(body, dict):
            raise self.refusal(answer)
        return body

    def events(self, answer: requests.Response) -> Iterator[tuple[str, Any]]:
        """The events of an answer, each with its name.

        Raises:
            CommandFailed: it breaks off, or makes no sense.
        """
        event = ""
        try:
            for line in answer.iter_lines():
                name, _, value = line.decode("utf-8").partition(": ")
                if name == "event":
                    event = value
                elif name == "data":
                    yield event, json.loads(value)
        except requests.RequestException:
            raise CommandFailed(f"The bridge at {self.url} cut its answer off.", UNREACHABLE) from None
        except ValueError:
            raise self.nonsense() from None

    def nonsense(self) -> CommandFailed:
        """Its answer is none that a bridge gives."""
        return CommandFailed(f"The bridge at {self.url} sent an answer that makes no sense.", UNREACHABLE)

    def refusal(self, answer: requests.Response) -> CommandFailed:
        """What its answer says, which is not what was asked for."""
        try:
            said = answer.json()
            return CommandFailed(str(said["error"]), code_of(said, answer.status_code))
        except (ValueError, KeyError, TypeError, AttributeError):
            path = answer.request.path_url
            return CommandFailed(f"{self.url}{path} answered {answer.status_code}; is a bridge there?", UNREACHABLE)

    def lost(self, error: requests.RequestException) -> CommandFailed:
        """Why no answer came."""
        if isinstance(error, requests.exceptions.SSLError):
            why = "offers no certificate that can be trusted"
        elif self._proxy is not None:
            why = f"cannot be reached through {self._proxy}"
        elif isinstance(error, requests.Timeout):
            why = "does not answer"
        elif "refused" in str(error):
            why = "refuses the connection (is it running?)"
        elif isinstance(error, requests.ConnectionError):
            why = "cannot be reached"
        else:
            why = f"can't be asked ({type(error).__name__})"
        return CommandFailed(f"The bridge at {self.url} {why}.", UNREACHABLE)


def code_of(said: Any, status: int = 500) -> int:
    """The exit code for an error as a bridge sends it."""
    return exit_code_of(str(said.get("type")), status)


class _Bearer(AuthBase):
    """An API key; a header of its own would give way to what `.netrc` says of the host."""

    def __init__(self, key: str) -> None:
        self._key = key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._key}"
        return request

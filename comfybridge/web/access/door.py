"""Who is let in: the door that every request goes through before its view.

In this order: the host that it calls, the page that it comes from, the API key that it brings.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Flask, Response, g, request

from comfybridge.errors import Forbidden, Unauthorized
from comfybridge.keys import Keyring
from comfybridge.policy.policies import load_policies
from comfybridge.settings import Settings
from comfybridge.web.access.browsers import Browsers
from comfybridge.web.access.hosts import Hosts, check_listening, is_loopback

# For whoever watches the process: they know neither its name nor a key.
PROBES = ("probes.health", "probes.ready")
# A browser that opens the page has no key to send yet, and there is nothing secret in it: it is in the README.
DOCUMENTS = ("docs.docs", "docs.docs_file", "docs.docs_with_a_slash", "docs.openapi", "docs.root")
HOW = "send it as Authorization: Bearer KEY, or as X-API-Key: KEY."


def protect(app: Flask, settings: Settings) -> None:
    """Have an application let in only whom its settings mean. To be called before other functions are registered."""
    door = Door(settings)
    app.before_request(door.check)
    app.after_request(door.tell)


def check_start(settings: Settings, *hosts: str) -> None:
    """Find out before serving whether a bridge may start, where `create_app` would do so too late for a sentence.

    Args:
        hosts: the addresses that it is to listen on.

    Raises:
        SettingsError: it may not listen there, or the policy file is wrong.
    """
    load_policies(settings)
    for host in hosts:
        check_listening(settings, host)


class Door:
    """Lets requests in, or not."""

    def __init__(self, settings: Settings) -> None:
        self._keys = Keyring(settings.api_keys)
        self._takes_strangers = bool(settings.api_keys) or settings.allow_anonymous
        self._hosts = Hosts(settings)
        self._browsers = Browsers(settings)

    def check(self) -> Response | None:
        """Let the current request in; its owner is known from then on.

        Returns:
            The answer to a browser's preflight; else None.

        Raises:
            InvalidRequest, Forbidden, Unauthorized
        """
        endpoint, environ = request.endpoint, request.environ
        if endpoint in PROBES:
            return None
        self._hosts.check(environ.get("HTTP_HOST"))
        if not self._takes_strangers:
            _check_is_here(environ)
        preflight = self._browsers.check(environ)
        if preflight is None and self._keys and endpoint not in DOCUMENTS:
            g.owner = self._name_of(environ)
        return preflight

    def tell(self, response: Response) -> Response:
        """Say in an answer which pages may read it."""
        self._browsers.tell(response)
        return response

    def _name_of(self, environ: Mapping[str, Any]) -> str:
        scheme, _, credentials = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
        # another scheme is a proxy's own business
        sent = [credentials.strip()] if scheme.lower() == "bearer" else []
        if "HTTP_X_API_KEY" in environ:
            sent.append(environ["HTTP_X_API_KEY"].strip())
        for key in sent:
            name = self._keys.name_of(key)
            if name is not None:
                return name
        if sent:
            raise Unauthorized(f"The API key is not one of this bridge's; {HOW}")
        raise Unauthorized(f"This bridge takes requests with an API key only; {HOW}")


def _check_is_here(environ: Mapping[str, Any]) -> None:
    """Refuse other machines although the server, which may be any, listens where they can call."""
    address = environ.get("REMOTE_ADDR")
    if address and not is_loopback(address):  # over a Unix socket there is none
        raise Forbidden(
            "Without API keys this bridge serves its own machine only; COMFYBRIDGE_API_KEYS gives callers keys, and "
            "COMFYBRIDGE_ALLOW_ANONYMOUS=true lets everybody in."
        )

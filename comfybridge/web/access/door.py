"""Access control: the door that every request passes before its view.

It checks, in this order, the host, the web page, and the API key of a request.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flask import Flask, Response, g, request

from comfybridge.errors import Forbidden, Unauthorized
from comfybridge.keys import Keyring
from comfybridge.policy.policies import load_policies
from comfybridge.settings import Settings
from comfybridge.web.access.browsers import Browsers
from comfybridge.web.access.hosts import Hosts, check_listening, is_loopback
from comfybridge.web.access.key_places import KeyPlace
from comfybridge.web.marks import marks_of


def protect(app: Flask, settings: Settings, places: Callable[[], Sequence[KeyPlace]]) -> None:
    """Make an application admit only callers that its settings allow.

    Call it before registering functions that only admitted requests may reach.

    Args:
        places: returns where the current request may have its API key.
    """
    door = Door(settings, app.view_functions, places)
    app.before_request(door.check)
    app.after_request(door.tell)


def check_start(settings: Settings, *hosts: str) -> None:
    """Check before serving whether a bridge may start: errors from `create_app` come too late to print.

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

    def __init__(
        self,
        settings: Settings,
        views: Mapping[str, Callable[..., Any]],
        places: Callable[[], Sequence[KeyPlace]],
    ) -> None:
        self._views = views
        self._places = places
        self._keys = Keyring(settings.api_keys)
        self._takes_strangers = bool(settings.api_keys) or settings.allow_anonymous
        self._hosts = Hosts(settings)
        self._browsers = Browsers(settings)

    def check(self) -> Response | None:
        """Admit the current request, and record its owner.

        Returns:
            The answer to a browser's preflight; else None.

        Raises:
            InvalidRequest, Forbidden, Unauthorized
        """
        marks, environ = marks_of(self._views.get(request.endpoint or "")), request.environ
        if marks.is_open:
            return None
        self._hosts.check(environ.get("HTTP_HOST"))
        if not self._takes_strangers:
            _check_is_here(environ)
        preflight = self._browsers.check(environ)
        if preflight is None and self._keys and marks.needs_key and not _asks_for_methods(environ):
            g.owner = self._name_of(environ)
        return preflight

    def tell(self, response: Response) -> Response:
        """Add the headers for web pages to an answer, and to a refusal the headers that say where to send a key."""
        self._browsers.tell(response)
        if response.status_code == Unauthorized.status:
            challenges = [place.challenge for place in self._places() if place.challenge]
            if challenges:
                response.headers["WWW-Authenticate"] = ", ".join(challenges)
        return response

    def _name_of(self, environ: Mapping[str, Any]) -> str:
        places = self._places()
        sent = [key for place in places if (key := place.find(environ)) is not None]
        for key in sent:
            name = self._keys.name_of(key)
            if name is not None:
                return name
        how = f"send it as {', or as '.join(place.example for place in places)}."
        if sent:
            raise Unauthorized(f"The API key is not known to this bridge; {how}")
        raise Unauthorized(f"This bridge requires an API key; {how}")


def _asks_for_methods(environ: Mapping[str, Any]) -> bool:
    """Whether a request asks which methods an address takes, as some programs do to see whether it exists."""
    rule = request.url_rule
    return environ["REQUEST_METHOD"] == "OPTIONS" and getattr(rule, "provide_automatic_options", False) is True


def _check_is_here(environ: Mapping[str, Any]) -> None:
    """Refuse other machines, even if the server, which may be any WSGI server, listens on a public address."""
    address = environ.get("REMOTE_ADDR")
    if address and not is_loopback(address):  # over a Unix socket, there is no address
        raise Forbidden(
            "Without API keys this bridge serves its own machine only; COMFYBRIDGE_API_KEYS gives callers keys, and "
            "COMFYBRIDGE_ALLOW_ANONYMOUS=true admits everyone."
        )

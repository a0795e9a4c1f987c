"""The URLs that a webhook may have."""

from __future__ import annotations

import socket

import pytest

from comfybridge.errors import InvalidRequest
from comfybridge.jobs.webhook_urls import check_webhook
from comfybridge.settings import Settings, load_settings
from tests.files.site import named

ALLOWING = {"fetch_allow_hosts": "127.0.0.1,intranet"}


def settings_with(**given: str) -> Settings:
    return load_settings(_env_file=None, **given)


def refusal(url: str, **given: str) -> str:
    with pytest.raises(InvalidRequest) as raised:
        check_webhook(url, settings_with(**given))
    assert raised.value.field == "webhook"
    assert raised.value.message.startswith("webhook: ")
    return raised.value.message


def test_public_hosts_and_allowed_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    named(monkeypatch, shop_example=["203.0.114.7"])
    check_webhook("https://shop.example/hook?x=1", settings_with())
    check_webhook("http://127.0.0.1:8000/hook", settings_with(**ALLOWING))


def test_a_host_that_cannot_be_found_now(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_name_server(*args: object, **kwargs: object) -> object:
        raise OSError("no name server")

    monkeypatch.setattr(socket, "getaddrinfo", no_name_server)
    check_webhook("https://shop.example/hook", settings_with())
    check_webhook("https://intranet/hook", settings_with(**ALLOWING))
    assert "intranet is not a public host" in refusal("https://intranet/hook")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("ftp://shop.example/", "http and https only"),
        ("shop.example/hook", "http and https only"),
        ("https://", "its host or port is invalid"),
        ("https://shop.example/a b", "a space"),
        ("http://127.0.0.1/hook", "127.0.0.1 is not a public host, and webhooks are sent only to those"),
        ("http://[::1]/hook", "::1 is not a public host"),
        ("http://2130706433/hook", "is not a public host"),
        ("http://169.254.169.254/latest", "is not a public host"),
        ("http://printer.local/hook", "printer.local is not a public host"),
        ("https://me:secret@shop.example/", "user name or password"),
        ("https://shop.example/" + "x" * 2000, "more than 2000 characters"),
    ],
)
def test_urls_that_are_refused(url: str, said: str) -> None:
    message = refusal(url)
    assert said in message
    assert "secret@" not in message

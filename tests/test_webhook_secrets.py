"""The secrets that webhooks are signed with, as the settings write them."""

from __future__ import annotations

import base64

import pytest

from comfybridge.settings import SettingsError, load_settings
from comfybridge.webhook_secrets import parse_webhook_secrets, secrets_of
from tests.receiver import new_secret

SECRET = "whsec_" + base64.b64encode(b"0123456789" * 3).decode()


def test_a_secret_has_a_name() -> None:
    [secret] = parse_webhook_secrets(f" shop={SECRET} ")
    assert (secret.name, secret.key) == ("shop", b"0123456789" * 3)
    assert "0123" not in repr(secret)


def test_a_secret_for_no_key_stops_the_start() -> None:
    given = {"_env_file": None, "api_keys": "shop=sha256:" + "0" * 64}
    load_settings(**given, webhook_secrets=f"shop={SECRET},default={SECRET}")
    with pytest.raises(SettingsError) as raised:
        load_settings(**given, webhook_secrets=f"shoop={SECRET}")
    assert str(raised.value).startswith(
        "COMFYBRIDGE_WEBHOOK_SECRETS has a secret for 'shoop', which is the name of no"
    )
    with pytest.raises(SettingsError) as raised:
        load_settings(**given, webhook_secrets=SECRET)
    assert str(raised.value).startswith("COMFYBRIDGE_WEBHOOK_SECRETS has a secret (number 1) without a name")


def test_secrets_are_never_shown() -> None:
    settings = load_settings(_env_file=None, webhook_secrets=f"default={SECRET}")
    assert "0123" not in f"{settings!r} {settings.webhook_secrets!r}"
    assert SECRET not in f"{settings!r}"


def test_base64_without_padding_is_read() -> None:
    [secret] = parse_webhook_secrets("shop=whsec_" + base64.b64encode(b"x" * 25).decode().rstrip("="))
    assert secret.key == b"x" * 25


def test_a_drawn_secret_can_be_used() -> None:
    [secret] = parse_webhook_secrets(f"default={new_secret()}")
    assert len(secret.key) == 32


def test_a_key_without_secrets_takes_those_of_all_others() -> None:
    found = parse_webhook_secrets(f"shop={new_secret()},shop={new_secret()},default={SECRET}")
    assert secrets_of("shop", found) == [found[0].key, found[1].key]
    assert secrets_of("other", found) == [found[2].key]
    assert secrets_of(None, found) == [found[2].key]
    assert secrets_of("other", found[:2]) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (SECRET, "has a secret (number 1) without a name"),
        (f"shop={SECRET},{SECRET}", "has a secret (number 2) without a name"),
        (f"my shop={SECRET}", "has a secret (number 1) whose name must be"),
        ("shop=0123456789abcdef", "has a secret (number 1) that does not begin with whsec_"),
        ("shop=whsec_!!!!0123456789012345678901234567", "that is not base64 after whsec_"),
        ("shop=whsec_" + base64.b64encode(b"x" * 23).decode(), "of 23 bytes; it must have 24 to 64"),
        ("shop=whsec_" + base64.b64encode(b"x" * 65).decode(), "of 65 bytes; it must have 24 to 64"),
        (f"shop={SECRET},shop={SECRET}", "has the same secret twice under one name"),
    ],
)
def test_what_is_no_secret(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=r"^has (a|the) ") as raised:
        parse_webhook_secrets(text)
    assert said in str(raised.value)
    assert SECRET not in str(raised.value)
    assert "0123456789" not in str(raised.value)

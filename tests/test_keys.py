"""API keys as the settings write them."""

from __future__ import annotations

import hashlib
import re

import pytest

from comfybridge.cli.main import main
from comfybridge.keys import Keyring, parse_keys
from comfybridge.settings import SettingsError, load_settings

HASH = hashlib.sha256(b"secret").hexdigest()
PADDED = "c2VjcmV0c2VjcmV0c2VjcmV0cw=="  # the ending of keys from `openssl rand -base64`


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("shop=secret", "shop"),
        (f"shop=sha256:{HASH}", "shop"),
        (f"shop=sha256:{HASH.upper()}", "shop"),
        ("secret", f"key-{HASH[:8]}"),
        (f"sha256:{HASH}", f"key-{HASH[:8]}"),
        ("other=one, shop=secret ,", "shop"),
    ],
)
def test_a_key_is_plain_or_hashed_and_has_a_name(text: str, name: str) -> None:
    keys = Keyring(parse_keys(text))
    assert keys.name_of("secret") == name
    for wrong in ("", "Secret", "secret ", HASH, f"sha256:{HASH}", "sécret", "\udcff"):
        assert keys.name_of(wrong) is None


def test_every_key_of_several_is_known_by_its_own_name() -> None:
    keys = Keyring(parse_keys("a=one,b=two,c=three"))
    assert [keys.name_of(each) for each in ("one", "two", "three", "four")] == ["a", "b", "c", None]


def test_a_key_may_end_with_equals_signs() -> None:
    assert Keyring(parse_keys(PADDED)).name_of(PADDED)
    assert Keyring(parse_keys(f"shop={PADDED}")).name_of(PADDED) == "shop"


@pytest.mark.parametrize(
    "text",
    [
        "sha256:secret",
        f"shop=sha256:{HASH[1:]}secret",
        "shop=",  # an unset variable
        "a-long-name-of-a-shop-secret=",
        "=secret",
        "my shop=secret",
        "default=secret",
        "sec ret",
        "secrét",
        ",",
        "a=secret,a=secret2",
        "a=secret,b=secret",
        f"a=secret,b=sha256:{HASH}",
    ],
)
def test_keys_that_make_no_sense_stop_the_start_and_are_not_shown(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("COMFYBRIDGE_API_KEYS", text)
    with pytest.raises(SettingsError) as raised:
        load_settings()
    said = str(raised.value)
    assert said.startswith("COMFYBRIDGE_API_KEYS ")
    assert said.endswith(".")
    assert "secr" not in said
    assert HASH[:8] not in said


def test_keys_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYBRIDGE_API_KEYS", "shop=secret")
    settings = load_settings()
    for shown in (repr(settings), repr(settings.api_keys), str(settings.api_keys[0])):
        assert "secret" not in shown
        assert HASH not in shown
        assert repr(bytes.fromhex(HASH)) not in shown


@pytest.mark.parametrize(("arguments", "start"), [([], "sha256:"), (["shop"], "shop=sha256:")])
def test_the_command_makes_a_key_that_works(
    capsys: pytest.CaptureFixture[str], arguments: list[str], start: str
) -> None:
    made = set()
    for _ in range(2):
        assert main(["key", *arguments]) == 0
        first, second = capsys.readouterr().out.splitlines()
        key, setting = first.split()[-1], second.split()[-1]
        assert setting.startswith(start)
        assert re.fullmatch(r"[A-Za-z0-9_-]{43}", key)
        name = Keyring(parse_keys(setting)).name_of(key)
        assert name == "shop" or (not arguments and name is not None)
        made.add(key)
    assert len(made) == 2


def test_the_command_line_takes_no_keys_that_every_process_could_read(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--api-keys", "secret"])
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "--api-keys" not in capsys.readouterr().out


def test_the_command_line_listens_to_others_only_where_that_is_meant(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COMFYBRIDGE_HOST", "127.0.0.1")  # the command line changes it
    assert main(["--host", "0.0.0.0"]) == 2
    assert "ComfyBridge can't start: Other machines can reach 0.0.0.0" in capsys.readouterr().err


def test_the_command_refuses_a_name_that_no_key_can_have(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["key", "my shop"])
    assert stopped.value.code == 2
    assert "The name must be 1 to 64 letters" in capsys.readouterr().err

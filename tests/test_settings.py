"""Settings: each from one place, and a wrong one named."""

from __future__ import annotations

from pathlib import Path

import pytest

from comfybridge.cli.main import main
from comfybridge.settings import Settings, SettingsError, environment_name, load_settings, misspelt_variables
from tests import ROOT


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("COMFYUI_URL", "COMFYUI_HEADERS", "COMFYBRIDGE_PORT", "COMFYBRIDGE_TIMEOUT"):
        monkeypatch.delenv(name, raising=False)


def test_the_defaults_are_those_of_the_documentation() -> None:
    settings = load_settings()
    assert (settings.comfyui_url, settings.port, settings.timeout) == ("http://127.0.0.1:8188", 8189, 300)


def test_environment_and_env_file_are_read_and_the_environment_wins(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("COMFYUI_URL=http://file:1\nCOMFYBRIDGE_PORT=1\n")
    monkeypatch.setenv("COMFYBRIDGE_PORT", "2")
    settings = load_settings()
    assert (settings.comfyui_url, settings.port) == ("http://file:1", 2)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("COMFYBRIDGE_PORT", "99999", "COMFYBRIDGE_PORT is '99999'"),
        ("COMFYBRIDGE_PORT", "http", "COMFYBRIDGE_PORT is 'http'"),
        ("COMFYBRIDGE_TIMEOUT", "-1", "COMFYBRIDGE_TIMEOUT is '-1'"),
        ("COMFYBRIDGE_TIMEOUT", "9999", "more than COMFYBRIDGE_MAX_TIMEOUT"),
        ("COMFYBRIDGE_WAIT", "hope", "'websocket' or 'poll'"),
        ("COMFYBRIDGE_MAX_TIMEOUT", "inf", "COMFYBRIDGE_MAX_TIMEOUT is 'inf'"),
        ("COMFYUI_HEADERS", "A: 日本", "COMFYUI_HEADERS has a value with a character"),
        ("COMFYUI_HEADERS", '{"A": "x\\ny"}', "COMFYUI_HEADERS has a value with a character"),
        ("COMFYUI_HEADERS", '{"A B": "x"}', "COMFYUI_HEADERS has a name"),
        ("COMFYUI_URL", "ftp://me:secret@x", "COMFYUI_URL must begin with http"),
        ("COMFYUI_HEADERS", "secret", "COMFYUI_HEADERS must be a JSON object"),
        ("COMFYUI_HEADERS", "{secret", "COMFYUI_HEADERS is not valid JSON"),
    ],
)
def test_a_wrong_value_is_named_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as raised:
        load_settings()
    assert said in str(raised.value)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    "text", ["Authorization: Bearer a:b\nX-Other: 1", '{"Authorization": "Bearer a:b", "X-Other": "1"}']
)
def test_headers_are_read_line_by_line_or_as_json(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("COMFYUI_HEADERS", text)
    assert load_settings().comfyui_headers == {"Authorization": "Bearer a:b", "X-Other": "1"}


def test_secrets_are_not_shown() -> None:
    settings = load_settings(comfyui_url="http://me:secret@x", comfyui_headers={"A": "secret"})
    assert "secret" not in repr(settings)
    assert "secret" not in repr(settings.addresses[0])


def test_a_misspelt_variable_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYBRIDGE_TIMOUT", "5")
    (sentence,) = misspelt_variables()
    assert "COMFYBRIDGE_TIMOUT" in sentence
    assert "COMFYBRIDGE_TIMEOUT?" in sentence


def test_a_misspelt_name_in_the_env_file_is_noticed_too(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("COMFYUI_UR=http://x\n")
    assert misspelt_variables() == ["COMFYUI_UR is not a setting of ComfyBridge; did you mean COMFYUI_URL?"]


def test_every_setting_has_a_line_in_the_documentation() -> None:
    page = (ROOT / "docs" / "settings.md").read_text("utf-8")
    assert [name for name in Settings.model_fields if f"| `{environment_name(name)}` |" not in page] == []


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("openai", ("openai",)),
        (" OpenAI , a1111 ", ("openai", "automatic1111")),
        ("none", ()),
        ("", ()),
    ],
)
def test_dialects_are_named_in_a_list(text: str, names: tuple[str, ...]) -> None:
    assert load_settings(dialects=text).dialects == names


def test_an_unknown_dialect_is_refused() -> None:
    with pytest.raises(SettingsError, match="COMFYBRIDGE_DIALECTS is 'ollama'; it must be openai and automatic1111"):
        load_settings(dialects="ollama")


@pytest.mark.parametrize(
    ("options", "page", "jobs"),
    [([], True, True), (["--no-page"], False, True), (["--page", "false", "--no-jobs"], False, False)],
)
def test_what_is_on_by_default_can_be_switched_off(
    monkeypatch: pytest.MonkeyPatch, options: list[str], page: bool, jobs: bool
) -> None:
    served: list[Settings] = []
    monkeypatch.setattr("comfybridge.cli.main.serve", lambda _, settings: served.append(settings))
    for name in ("PAGE", "JOBS", "PORT"):
        monkeypatch.setenv(f"COMFYBRIDGE_{name}", "")  # as if it were not set; the options are put there
    assert main([*options, "--port", "0"]) == 0
    assert [(each.page, each.jobs) for each in served] == [(page, jobs)]

"""The hosts that a bridge is called by, and the machines that may call it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from comfybridge.settings import SettingsError, load_settings
from comfybridge.simulator import Simulator
from comfybridge.web.access.door import check_start
from tests.web.answers import failure, success
from tests.web.keys import KEYS, PICTURE, PROBES, SHOP

FINE_HOSTS = ["localhost", "LOCALHOST:8189", "a.localhost", "localhost.", "127.0.0.1:8189", "10.1.2.3", "[::1]:8189"]
STRANGE_HOSTS = ["evil.example", "evil.example:8189", "localhost.evil.example", "notlocalhost", "127.0.0.1.example"]
MALFORMED_HOSTS = ["", "a b", "a/b", "a@b", "[::1", "[1.2.3.4.5]", "a:b", "a:123456", "\xe4", "a,b", "x" * 300]


@pytest.mark.parametrize("host", FINE_HOSTS)
def test_addresses_and_localhost_are_fine(api: FlaskClient, host: str) -> None:
    assert api.get("/queue", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", STRANGE_HOSTS)
@pytest.mark.parametrize(("method", "path"), [("POST", "/generate"), ("GET", "/queue"), ("GET", "/docs")])
def test_names_that_nobody_set_are_not(api: FlaskClient, sim: Simulator, method: str, path: str, host: str) -> None:
    said = failure(api.open(path, method=method, json=PICTURE, headers={"Host": host}), 403, "forbidden")["error"]
    assert host in said
    assert "COMFYBRIDGE_ALLOWED_HOSTS" in said
    assert sim.history == {}


@pytest.mark.parametrize("host", MALFORMED_HOSTS)
@pytest.mark.parametrize("settings", [{}, {"allowed_hosts": "*"}, {"api_keys": KEYS}])
def test_what_is_no_host_is_malformed(make_app: Callable[..., Flask], settings: dict[str, str], host: str) -> None:
    api = make_app(**settings).test_client()
    failure(api.get("/queue", headers={**SHOP, "Host": host}), 400, "invalid_request")


@pytest.mark.parametrize("path", PROBES)
@pytest.mark.parametrize("host", ["evil.example", "a b"])
def test_probes_answer_whatever_they_are_called(api: FlaskClient, path: str, host: str) -> None:
    assert api.get(path, headers={"Host": host, "Origin": "http://evil.example"}).status_code == 200


@pytest.mark.parametrize(
    ("allowed", "host", "status"),
    [
        ("bridge.example", "bridge.example", 200),
        ("bridge.example, Other", "OTHER:80", 200),
        ("bridge.example", "bridge.example.", 200),
        ("bridge.example", "10.1.2.3", 200),
        ("bridge.example", "sub.bridge.example", 403),
        ("bridge.example", "evil.example", 403),
        ("*", "evil.example", 200),
    ],
)
def test_names_can_be_set(make_app: Callable[..., Flask], allowed: str, host: str, status: int) -> None:
    for keys in ("", KEYS):
        api = make_app(allowed_hosts=allowed, api_keys=keys).test_client()
        assert api.get("/queue", headers={**SHOP, "Host": host}).status_code == status


def test_the_name_that_is_listened_on_is_meant(make_app: Callable[..., Flask]) -> None:
    api = make_app(host="bridge.example", allow_anonymous=True).test_client()
    assert api.get("/queue", headers={"Host": "bridge.example:8189"}).status_code == 200


def test_with_keys_any_name_is_fine_for_a_page_that_rebinds_has_none(locked: FlaskClient) -> None:
    assert locked.get("/queue", headers={**SHOP, "Host": "bridge.example"}).status_code == 200
    failure(locked.get("/queue", headers={"Host": "bridge.example"}), 401, "unauthorized")


# -- other machines ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost", "::ffff:127.0.0.1"])
def test_a_bridge_for_its_own_machine_starts_without_keys(host: str) -> None:
    check_start(load_settings(host=host), host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "bridge.example", "", "127.evil.example"])
def test_one_for_others_takes_keys_or_an_explicit_choice(host: str) -> None:
    with pytest.raises(SettingsError) as raised:
        check_start(load_settings(), host)
    said = str(raised.value)
    assert "COMFYBRIDGE_API_KEYS" in said
    assert "COMFYBRIDGE_ALLOW_ANONYMOUS=true (--allow-anonymous)" in said
    assert "\n" not in said
    check_start(load_settings(api_keys="secret"), host)
    check_start(load_settings(allow_anonymous=True), host)


@pytest.mark.parametrize("address", ["192.168.1.2", "2001:db8::1", "nonsense"])
def test_whatever_server_runs_it_other_machines_are_refused(
    make_app: Callable[..., Flask], sim: Simulator, address: str
) -> None:
    """As where `waitress-serve --host 0.0.0.0` is told what the bridge is not."""
    ask: dict[str, Any] = {"json": PICTURE, "environ_base": {"REMOTE_ADDR": address}}
    said = failure(make_app().test_client().post("/generate", **ask), 403, "forbidden")["error"]
    assert "COMFYBRIDGE_API_KEYS" in said
    assert "COMFYBRIDGE_ALLOW_ANONYMOUS" in said
    assert sim.history == {}
    assert make_app().test_client().get("/health", environ_base=ask["environ_base"]).status_code == 200
    success(make_app(allow_anonymous=True).test_client().post("/generate", **ask))
    success(make_app(api_keys=KEYS).test_client().post("/generate", **ask, headers=SHOP))


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "::ffff:127.0.0.1", "localhost", ""])
def test_this_machine_is_served(api: FlaskClient, address: str) -> None:
    assert api.get("/queue", environ_base={"REMOTE_ADDR": address}).status_code == 200


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("COMFYBRIDGE_CORS_ORIGINS", "app.example"),
        ("COMFYBRIDGE_CORS_ORIGINS", "https://app.example/path"),
        ("COMFYBRIDGE_CORS_ORIGINS", "https://*.example"),
        ("COMFYBRIDGE_CORS_ORIGINS", "null"),
        ("COMFYBRIDGE_ALLOWED_HOSTS", "bridge.example:8189"),
        ("COMFYBRIDGE_ALLOWED_HOSTS", "http://bridge.example"),
        ("COMFYBRIDGE_ALLOWED_HOSTS", "*.example"),
        ("COMFYBRIDGE_WORKFLOWS_ONLY", "perhaps"),
    ],
)
def test_settings_that_make_no_sense_are_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=f"{name} is '") as raised:
        load_settings()
    assert "; it must be " in str(raised.value)

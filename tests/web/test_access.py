"""Who is let in: by the host that is called, by the page that a browser has open, by the API key."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient

from comfybridge.settings import SettingsError, load_settings
from comfybridge.simulator import Simulator
from comfybridge.web.access.door import check_start
from tests import graphs
from tests.web.answers import failure, success

KEYS = f"shop=shop-secret,press=sha256:{hashlib.sha256(b'press-secret').hexdigest()},plain-secret"
SHOP = {"Authorization": "Bearer shop-secret"}
PRESS = {"X-API-Key": "press-secret"}
EVERY_CALL = [
    ("POST", "/generate"),
    ("GET", "/results/x"),
    ("POST", "/cancel/x"),
    ("GET", "/queue"),
    ("GET", "/workflows"),
    ("GET", "/workflows/txt2img"),
    ("GET", "/models"),
    ("GET", "/models/checkpoints"),
    ("GET", "/stats"),
    ("GET", "/metrics"),
    ("GET", "/nowhere"),
    ("DELETE", "/generate"),
    ("OPTIONS", "/generate"),
]
DOCUMENTS = ["/", "/docs", "/docs/", "/docs/swagger.css", "/openapi.json"]
PROBES = ["/health", "/ready"]
PICTURE = {"prompt": "a cat", "width": 64, "height": 64, "steps": 1}


@pytest.fixture
def locked(make_app: Callable[..., Flask]) -> FlaskClient:
    """A bridge whose callers need keys."""
    return make_app(api_keys=KEYS).test_client()


# -- API keys ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "path"), EVERY_CALL)
def test_without_a_key_nothing_is_answered(locked: FlaskClient, method: str, path: str) -> None:
    response = locked.open(path, method=method)
    said = failure(response, 401, "unauthorized")["error"]
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert "Authorization: Bearer KEY" in said
    assert "X-API-Key: KEY" in said


@pytest.mark.parametrize("path", [*PROBES, *DOCUMENTS])
def test_probes_and_documents_need_no_key(locked: FlaskClient, path: str) -> None:
    assert locked.get(path).status_code in (200, 302)


@pytest.mark.parametrize(
    "headers",
    [
        SHOP,
        PRESS,
        {"Authorization": "bearer  press-secret "},
        {"X-API-Key": "plain-secret"},
        {"Authorization": "Basic cHJveHk6cHJveHk=", "X-API-Key": "shop-secret"},  # of a proxy's own
        {"Authorization": "Bearer nonsense", "X-API-Key": "shop-secret"},
    ],
)
def test_a_key_opens_the_door(locked: FlaskClient, headers: dict[str, str]) -> None:
    success(locked.post("/generate", json=PICTURE, headers=headers))
    assert locked.get("/queue", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer nonsense"},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"Authorization": "shop-secret"},
        {"Authorization": "Basic shop-secret"},
        {"X-API-Key": ""},
        {"X-API-Key": "shop-secre"},
        {"X-API-Key": "shop-secret2"},
        {"X-API-Key": "shop"},
        {"X-API-Key": hashlib.sha256(b"shop-secret").hexdigest()},
        {"X-API-Key": "sha256:" + hashlib.sha256(b"press-secret").hexdigest()},
        {"X-API-Key": "s\xe9cret"},
        {"Cookie": "X-API-Key=shop-secret"},
    ],
)
def test_what_is_no_key_does_not(locked: FlaskClient, sim: Simulator, headers: dict[str, str]) -> None:
    response = locked.post("/generate?api_key=shop-secret", json=PICTURE, headers=headers)
    said = failure(response, 401, "unauthorized")["error"]
    assert "secre" not in said
    assert sim.history == {}


def test_keys_are_never_logged(locked: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        success(locked.post("/generate", json=PICTURE, headers=SHOP))
        locked.get("/queue", headers={"X-API-Key": "wrong-secret"})
    assert caplog.records
    assert "secret" not in caplog.text


def test_the_document_asks_for_a_key_where_one_is_needed(locked: FlaskClient, api: FlaskClient) -> None:
    document = locked.get("/openapi.json").get_json()
    schemes = document["components"]["securitySchemes"]
    assert {"type": "http", "scheme": "bearer"}.items() <= schemes["bearer"].items()
    assert {"type": "apiKey", "in": "header", "name": "X-API-Key"}.items() <= schemes["header"].items()
    assert document["security"] == [{"bearer": []}, {"header": []}]
    assert document["paths"]["/health"]["get"]["security"] == []
    assert "security" not in document["paths"]["/generate"]["post"]
    answers = document["paths"]["/generate"]["post"]["responses"]
    assert "WWW-Authenticate" in answers["401"]["headers"]
    assert "Retry-After" in answers["429"]["headers"]
    assert "401" not in document["paths"]["/health"]["get"]["responses"]
    open_document = api.get("/openapi.json").get_json()
    assert "securitySchemes" not in open_document["components"]
    assert "security" not in open_document


# -- whose prompt it is ------------------------------------------------------------------------------------------


def kept(api: FlaskClient, headers: dict[str, str]) -> str:
    """The id of a prompt that waits or runs in a simulator that is held."""
    asked = {"workflow": graphs.picture(), "timeout": 0.2, "on_timeout": "keep"}
    prompt_id: str = failure(api.post("/generate", json=asked, headers=headers), 504, "timeout")["prompt_id"]
    return prompt_id


def as_unknown(api: FlaskClient, call: str, prompt_id: str, headers: dict[str, str]) -> None:
    """It must be answered as for a prompt that never was."""
    asked, never = (
        failure(api.open(f"{path}/{each}", method=method, headers=headers), 404, "unknown_prompt")
        for method, path in [call.split(" ")]
        for each in (prompt_id, "never-was")
    )
    assert asked["error"] == never["error"]
    assert asked.keys() == never.keys()


def test_a_key_gets_its_own_prompt_and_no_other(locked: FlaskClient) -> None:
    prompt_id = success(locked.post("/generate", json=PICTURE, headers=SHOP))["prompt_id"]
    assert success(locked.get(f"/results/{prompt_id}", headers=SHOP))["images"]
    assert "finished" in failure(locked.post(f"/cancel/{prompt_id}", headers=SHOP), 404, "unknown_prompt")["error"]
    as_unknown(locked, "GET /results", prompt_id, PRESS)
    as_unknown(locked, "POST /cancel", prompt_id, PRESS)


def test_what_failed_is_told_to_nobody_else_either(locked: FlaskClient, sim: Simulator) -> None:
    sim.fail_node("EmptyImage", "no memory")
    asked = {"workflow": graphs.picture()}
    prompt_id = failure(locked.post("/generate", json=asked, headers=SHOP), 500, "execution_failed")["prompt_id"]
    failure(locked.get(f"/results/{prompt_id}", headers=SHOP), 500, "execution_failed")
    as_unknown(locked, "GET /results", prompt_id, PRESS)


def test_a_key_sees_and_cancels_what_it_has_queued_itself(locked: FlaskClient, sim: Simulator) -> None:
    sim.hold()
    running = kept(locked, PRESS)
    sim.wait_until_running()
    mine, theirs = kept(locked, SHOP), kept(locked, PRESS)
    body = locked.get("/queue", headers=SHOP).get_json()
    assert body["running"] == []
    assert [(each["prompt_id"], each["position"]) for each in body["pending"]] == [(mine, 1)]
    body = locked.get("/queue", headers=PRESS).get_json()
    assert [each["prompt_id"] for each in body["running"]] == [running]
    assert [(each["prompt_id"], each["position"]) for each in body["pending"]] == [(theirs, 2)]  # behind another's
    assert locked.get(f"/results/{mine}", headers=SHOP).status_code == 202
    for prompt_id in (running, theirs):
        as_unknown(locked, "GET /results", prompt_id, SHOP)
        as_unknown(locked, "POST /cancel", prompt_id, SHOP)
    assert locked.post(f"/cancel/{mine}", headers=SHOP).get_json()["was"] == "pending"
    assert locked.post(f"/cancel/{running}", headers=PRESS).get_json()["was"] == "running"
    sim.release()


def test_what_strangers_queued_is_seen_by_callers_without_keys_only(
    locked: FlaskClient, api: FlaskClient, sim: Simulator
) -> None:
    sim.hold()
    answer = requests.post(f"{sim.url}/prompt", json={"prompt": graphs.picture()}, timeout=5)
    prompt_id = answer.json()["prompt_id"]
    sim.wait_until_running()
    assert locked.get("/queue", headers=SHOP).get_json() == {"running": [], "pending": []}
    as_unknown(locked, "GET /results", prompt_id, SHOP)
    as_unknown(locked, "POST /cancel", prompt_id, SHOP)
    assert api.get(f"/results/{prompt_id}").status_code == 202
    sim.release()
    sim.wait_until_idle()
    as_unknown(locked, "GET /results", prompt_id, SHOP)
    success(api.get(f"/results/{prompt_id}"))


def test_a_key_may_be_given_everybody_s_prompts(
    make_app: Callable[..., Flask], sim: Simulator, policy_file: Callable[..., str]
) -> None:
    settings = {"api_keys": KEYS, "policy_file": policy_file(press={"all_prompts": True})}
    api = make_app(**settings).test_client()
    sim.hold()
    prompt_id = kept(api, SHOP)
    sim.wait_until_running()
    assert [each["prompt_id"] for each in api.get("/queue", headers=PRESS).get_json()["running"]] == [prompt_id]
    assert api.get(f"/results/{prompt_id}", headers=PRESS).status_code == 202
    assert api.post(f"/cancel/{prompt_id}", headers=PRESS).get_json()["was"] == "running"
    sim.release()


def test_a_caller_can_t_say_whose_a_prompt_is(locked: FlaskClient) -> None:
    asked = {"workflow": graphs.picture(), "extra_data": {"comfybridge": json.dumps({"owner": "press"})}}
    prompt_id = success(locked.post("/generate", json=asked, headers=SHOP))["prompt_id"]
    success(locked.get(f"/results/{prompt_id}", headers=SHOP))
    as_unknown(locked, "GET /results", prompt_id, PRESS)


def test_a_key_remains_the_same_when_the_bridge_starts_again(make_app: Callable[..., Flask]) -> None:
    first, second = (make_app(api_keys=KEYS).test_client() for _ in range(2))
    prompt_id = success(first.post("/generate", json=PICTURE, headers=SHOP))["prompt_id"]
    success(second.get(f"/results/{prompt_id}", headers=SHOP))
    as_unknown(second, "GET /results", prompt_id, PRESS)


def test_a_history_that_makes_no_sense_is_nobody_s(locked: FlaskClient, sim: Simulator) -> None:
    sim.fail_route("/history", 200, b'{"odd": {"prompt": 3, "outputs": {}}}', times=None)
    failure(locked.get("/results/odd", headers=SHOP), 404, "unknown_prompt")


# -- the host that is called -------------------------------------------------------------------------------------


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


# -- the page that a browser has open ----------------------------------------------------------------------------


FOREIGN_PAGES = [
    {"Origin": "http://evil.example"},
    {"Origin": "https://localhost.evil.example"},
    {"Origin": "null"},
    {"Origin": ""},
    {"Origin": "http://localhost:3000"},  # another program of this machine
    {"Origin": "http://127.0.0.1"},
    {"Origin": "localhost"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
    {"Origin": "http://evil.example", "Sec-Fetch-Site": "same-origin"},
    {"Origin": "http://localhost", "Sec-Fetch-Site": "cross-site"},
]


@pytest.mark.parametrize("headers", FOREIGN_PAGES)
@pytest.mark.parametrize(("method", "path"), [("POST", "/generate"), ("POST", "/cancel/x"), ("GET", "/queue")])
def test_a_foreign_page_gets_nothing(
    api: FlaskClient, sim: Simulator, headers: dict[str, str], method: str, path: str
) -> None:
    response = api.open(path, method=method, json=PICTURE, headers=headers)
    said = failure(response, 403, "forbidden")["error"]
    assert "COMFYBRIDGE_CORS_ORIGINS" in said
    assert not [name for name, _ in response.headers if name.startswith("Access-Control")]
    assert sim.history == {}


def test_a_foreign_page_gets_nothing_even_with_a_key(locked: FlaskClient) -> None:
    failure(locked.get("/queue", headers={**SHOP, "Origin": "http://evil.example"}), 403, "forbidden")


def test_a_foreign_page_is_told_so_before_it_asks(api: FlaskClient) -> None:
    headers = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
    failure(api.options("/generate", headers=headers), 403, "forbidden")


@pytest.mark.parametrize(
    ("host", "headers"),
    [
        ("localhost", {"Origin": "http://localhost"}),
        ("127.0.0.1:8189", {"Origin": "http://127.0.0.1:8189", "Sec-Fetch-Site": "same-origin"}),
        ("[::1]:8189", {"Origin": "http://[::1]:8189"}),
        ("localhost", {"Origin": "https://localhost"}),  # behind a proxy that speaks TLS
        ("localhost:443", {"Origin": "https://localhost"}),
        ("localhost", {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}),
        ("localhost", {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}),
    ],
)
def test_the_bridge_s_own_page_may_use_it(api: FlaskClient, host: str, headers: dict[str, str]) -> None:
    success(api.post("/generate", json=PICTURE, headers={"Host": host, **headers}))


def test_a_link_on_another_site_may_lead_to_the_bridge(api: FlaskClient) -> None:
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert api.get("/docs", headers=headers).status_code == 200
    assert api.head("/docs", headers=headers).status_code == 200
    failure(api.post("/generate", json=PICTURE, headers=headers), 403, "forbidden")


def test_the_docs_page_can_t_be_put_into_a_frame(api: FlaskClient) -> None:
    assert api.get("/docs").headers["X-Frame-Options"] == "DENY"


def test_cors_is_off_unless_set(api: FlaskClient) -> None:
    for headers in ({}, {"Origin": "http://localhost"}):
        response = api.get("/queue", headers=headers)
        assert not [name for name, _ in response.headers if name.startswith("Access-Control")]
        assert "Origin" not in response.headers.get("Vary", "")


APP = {"Origin": "https://app.example"}


@pytest.fixture
def invited(make_app: Callable[..., Flask]) -> FlaskClient:
    """A bridge that pages of two sites may use."""
    return make_app(cors_origins="https://App.example:443/, http://localhost:3000").test_client()


@pytest.mark.parametrize("origin", ["https://app.example", "http://localhost:3000"])
def test_pages_of_sites_that_are_set_may_use_the_bridge(invited: FlaskClient, origin: str) -> None:
    headers = {"Origin": origin, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"}
    for response in (
        invited.post("/generate", json=PICTURE, headers=headers),
        invited.post("/generate", json={"steps": 0}, headers=headers),  # errors too
        invited.get("/nowhere", headers=headers),
    ):
        assert response.headers["Access-Control-Allow-Origin"] == origin
        assert "Origin" in response.headers["Vary"]
        exposed = response.headers["Access-Control-Expose-Headers"]
        for name in ("X-Prompt-Id", "X-Seed", "X-Request-Id", "Retry-After", "Content-Disposition"):
            assert name in exposed
        assert "Access-Control-Allow-Credentials" not in response.headers


def test_pages_of_others_may_not_all_the_same(invited: FlaskClient) -> None:
    for origin in ("http://app.example", "https://app.example.evil.example", "https://evil.example", "null"):
        response = invited.post("/generate", json=PICTURE, headers={"Origin": origin})
        failure(response, 403, "forbidden")
        assert "Access-Control-Allow-Origin" not in response.headers
        assert "Origin" in response.headers["Vary"]  # another's answer must not come from a cache


def test_answers_to_callers_that_are_no_page_vary_too(invited: FlaskClient) -> None:
    response = invited.get("/queue")
    assert "Access-Control-Allow-Origin" not in response.headers
    assert "Origin" in response.headers["Vary"]


@pytest.mark.parametrize(("path", "methods"), [("/generate", "POST"), ("/results/x", "GET, HEAD"), ("/health", None)])
def test_a_preflight_is_answered_without_a_key(
    make_app: Callable[..., Flask], path: str, methods: str | None
) -> None:
    api = make_app(cors_origins="https://app.example", api_keys=KEYS).test_client()
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    response = api.options(path, headers={**APP, **asked})
    assert response.status_code in (200, 204)
    assert response.headers["Access-Control-Allow-Origin"] == "https://app.example"
    if methods is None:  # nothing is refused there
        return
    assert response.data == b""
    assert response.headers["Access-Control-Allow-Methods"] == methods
    allowed = response.headers["Access-Control-Allow-Headers"].split(", ")
    assert {"Authorization", "X-API-Key", "Content-Type", "Accept", "X-Request-Id", "Idempotency-Key"} <= {*allowed}
    assert int(response.headers["Access-Control-Max-Age"]) > 0
    failure(api.post("/generate", json=PICTURE, headers=APP), 401, "unauthorized")
    success(api.post("/generate", json=PICTURE, headers={**APP, **SHOP}))


def test_a_preflight_for_nothing_is_not_found(invited: FlaskClient) -> None:
    response = invited.options("/nowhere", headers={**APP, "Access-Control-Request-Method": "GET"})
    failure(response, 404, "not_found")


def test_all_pages_may_be_invited(make_app: Callable[..., Flask]) -> None:
    api = make_app(cors_origins="*").test_client()
    for origin in ("https://evil.example", "null"):
        response = api.post("/generate", json=PICTURE, headers={"Origin": origin, "Sec-Fetch-Site": "cross-site"})
        success(response)
        assert response.headers["Access-Control-Allow-Origin"] == "*"
    # but by no name of their own
    failure(api.get("/queue", headers={"Origin": "http://x", "Host": "evil.example"}), 403, "forbidden")


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

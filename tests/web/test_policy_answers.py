"""`GET /policy`: what a caller may request, as it may be refused otherwise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from comfybridge import __version__
from comfybridge.web.dialects.native.policy import PolicyAnswer
from tests.web.policies import PRESS, SHOP, MakeApi

ANYTHING = {
    "owner": None,
    "needs_key": False,
    "workflows": None,
    "graphs": True,
    "overrides": True,
    "priority": True,
    "server_info": True,
    "all_prompts": True,
    "rate": None,
    "jobs": True,
    "webhooks": True,
    "max_n": 64,
    **dict.fromkeys(("max_width", "max_height", "max_pixels", "max_steps", "max_batch_size")),
    "timeout": 300,
    "max_timeout": 3600,
    "max_json_bytes": 2**25,
    "max_upload_bytes": 100 * 2**20,
    "version": __version__,
}
OF_KEY = {**ANYTHING, "owner": "shop", "needs_key": True, "all_prompts": False}
# a policy, and what it changes
POLICIES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {}),
    ({"workflows": ["txt2img"]}, {"workflows": ["txt2img"], "graphs": False, "overrides": False}),
    ({"workflows": ["txt2img"], "graphs": True}, {"workflows": ["txt2img"], "overrides": False}),
    ({"max_width": 512, "max_steps": 30}, {"max_width": 512, "max_steps": 30}),
    ({"max_height": 512, "max_pixels": 2**18}, {"max_height": 512, "max_pixels": 2**18}),
    ({"max_batch_size": 4}, {"max_batch_size": 4, "max_n": 4}),
    ({"max_batch_size": 100}, {"max_batch_size": 100}),
    ({"rate": "10 / minute"}, {"rate": "10/minute"}),
    ({"priority": False, "webhooks": False}, {"priority": False, "webhooks": False}),
    ({"server_info": False}, {"server_info": False}),
    ({"all_prompts": True}, {"all_prompts": True}),
    ({"refused_nodes": ["LoadImage"]}, {}),
]


def policy(api: FlaskClient, headers: dict[str, str] | None = None) -> dict[str, Any]:
    response = api.get("/policy", headers=headers or {})
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.get_json()
    assert body.keys() == PolicyAnswer.__annotations__.keys()
    return body


def test_without_keys_and_policies_everything_is_allowed(api: FlaskClient) -> None:
    assert policy(api) == ANYTHING


@pytest.mark.parametrize(("given", "changes"), POLICIES)
def test_a_key_is_told_its_policy(api_for: MakeApi, given: dict[str, Any], changes: dict[str, Any]) -> None:
    api = api_for(**given)
    assert policy(api, SHOP) == {**OF_KEY, **changes}
    assert policy(api, PRESS) == {**OF_KEY, "owner": "press"}


def test_the_settings_show(make_app: Callable[..., Flask]) -> None:
    settings = {"workflows_only": True, "jobs": False, "timeout": 5, "max_timeout": 6.5, "max_json_bytes": 1000}
    found = policy(make_app(**settings, max_upload_bytes=2000).test_client())
    told = {"graphs": False, "overrides": False, "jobs": False, "webhooks": False, "timeout": 5, "max_timeout": 6.5}
    assert found == {**ANYTHING, **told, "max_json_bytes": 1000, "max_upload_bytes": 2000}


def test_callers_without_a_key_are_told_the_default(
    make_app: Callable[..., Flask], policy_file: Callable[..., str]
) -> None:
    api = make_app(policy_file=policy_file(default={"max_steps": 9})).test_client()
    assert policy(api) == {**ANYTHING, "max_steps": 9}

"""The context of the current request: its bridge, its deadline and its caller."""

from __future__ import annotations

from flask import current_app, g, request

from comfybridge.assets.assets import Assets
from comfybridge.bridge import Bridge
from comfybridge.deadline import Deadline
from comfybridge.jobs.jobs import Jobs
from comfybridge.policy.rights import Rights
from comfybridge.prompts.runner import Runner

EXTENSION = "comfybridge"
JOBS = "comfybridge.jobs"
ASSETS = "comfybridge.assets"
RUNNER = "comfybridge.runner"
LONGEST_FORWARDED = 300  # characters of `X-Forwarded-For`


def current_bridge() -> Bridge:
    """The bridge that `create_app` made."""
    bridge = current_app.extensions[EXTENSION]
    assert isinstance(bridge, Bridge)
    return bridge


def current_jobs() -> Jobs | None:
    """The jobs of that bridge; None if the settings leave them out."""
    jobs = current_app.extensions[JOBS]
    assert jobs is None or isinstance(jobs, Jobs)
    return jobs


def current_assets() -> Assets:
    """The assets of that bridge, for a view that there is only with jobs."""
    assets = current_app.extensions[ASSETS]
    assert isinstance(assets, Assets)
    return assets


def base_url() -> str:
    """The address by which the caller reaches the bridge, without a slash at its end."""
    return current_bridge().settings.public_url or request.root_url.rstrip("/")


def current_runner() -> Runner:
    """What runs requests: the bridge itself, or a fleet."""
    runner: Runner = current_app.extensions[RUNNER]
    return runner


def request_deadline() -> Deadline:
    """The configured time, counted from when the current request came in."""
    return Deadline(current_bridge().settings.timeout, g.started)


def current_owner() -> str | None:
    """The name of the caller's API key; None if no key is required."""
    owner: str | None = g.get("owner")
    return owner


def current_caller() -> str:
    """The caller, as distinct from others: by its API key, or else by its address.

    Behind a proxy, the address is the proxy's together with what the proxy says in `X-Forwarded-For`.
    """
    owner = current_owner()
    if owner is not None:
        return f"key {owner}"
    forwarded = request.headers.get("X-Forwarded-For", "").replace(" ", "")
    return f"address {request.remote_addr or ''} {forwarded[:LONGEST_FORWARDED]}".rstrip()


def current_rights() -> Rights | None:
    """What the caller may do; None: anything."""
    return current_bridge().policies.of(current_owner())


def whose_prompts() -> str | None:
    """The owner whose prompts the caller may see and cancel; None: all owners."""
    rights = current_rights()
    return None if rights is not None and rights.policy.all_prompts else current_owner()


def check_server_info() -> None:
    """Refuse information about the servers to a caller who may not have it.

    Raises:
        Forbidden
    """
    rights = current_rights()
    if rights is not None:
        rights.check_server_info()

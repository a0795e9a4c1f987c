"""What the bridge logs when it starts: where it listens, which ComfyUI it found, which templates it loaded."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Sequence

from flask import Flask

from comfybridge.bridge import Bridge
from comfybridge.comfyui.servers import Server
from comfybridge.comfyui.versions import can_aim_interrupts, is_too_old, too_old
from comfybridge.deadline import Deadline
from comfybridge.engine.program import program_of, why_none
from comfybridge.errors import BridgeError
from comfybridge.jobs.jobs import Jobs
from comfybridge.settings import Settings, misspelt_variables
from comfybridge.web.current import EXTENSION, JOBS

log = logging.getLogger(__name__)

# A host and a port, or the path of a Unix socket.
Place = tuple[str, int] | str
# A log level, and a sentence.
Fact = tuple[int, str]

STARTUP_SECONDS = 3.0
DEMO = "COMFYBRIDGE_DEMO"  # set in the configuration of an application whose ComfyUI is the simulator


def announce(app: Flask, places: Sequence[Place]) -> None:
    """Log the announcement, one line for each fact; the demo also prints a command to try.

    Args:
        places: where the server listens.
    """
    bridge = app.extensions[EXTENSION]
    log.info("ComfyBridge listens on %s", " and ".join(map(_shown, places)))
    for line in _callers(bridge.settings):
        log.info(line)
    for level, line in (*_comfyui(bridge), *_templates(bridge), *_state(bridge, app.extensions[JOBS])):
        log.log(level, line)
    for line in misspelt_variables():
        log.warning(line)
    if app.config.get(DEMO):
        command = example(url_of(places[0]), needs_key=bool(bridge.settings.api_keys))
        print("\nThis is the demo: a stand-in paints the pictures. Try it; this saves picture.png:\n")
        print(f"  {command}\n", flush=True)


def _shown(place: Place) -> str:
    """The address listened on, and the one to use on this machine if it differs."""
    if isinstance(place, str):
        return f"unix:{place}"
    host, port = place
    listened = f"http://{_bracketed(host)}:{port}"
    here = url_of(place)
    return listened if here == listened else f"{listened} (every address of this machine, such as {here})"


def url_of(place: Place) -> str:
    """The URL at which this machine reaches a server that listens there."""
    if isinstance(place, str):
        return f"unix:{place}"
    host, port = place
    return f"http://{_bracketed({'0.0.0.0': '127.0.0.1', '': '127.0.0.1', '::': 'localhost'}.get(host, host))}:{port}"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def example(url: str, *, needs_key: bool = False) -> str:
    """A command that asks the bridge for a picture and saves it, for the shell of this system."""
    body = json.dumps({"prompt": "a lighthouse at dusk"})
    if os.name == "nt":  # its shells have no single quotes
        escaped = body.replace('"', '\\"')
        key = '-H "X-API-Key: KEY" ' if needs_key else ""
        return f'curl.exe -f -o picture.png {key}-H "Accept: image/*" {url}/generate -d "{escaped}"'
    key = "-H 'X-API-Key: KEY' " if needs_key else ""
    return f"curl --fail-with-body -o picture.png {key}-H 'Accept: image/*' {url}/generate -d '{body}'"


def _callers(settings: Settings) -> list[str]:
    if settings.api_keys:
        return [f"API keys: {', '.join(key.name for key in settings.api_keys)}"]
    return (
        ["No API key is required: everyone who can reach this address can use the bridge"]
        if settings.allow_anonymous
        else []
    )


def _comfyui(bridge: Bridge) -> list[Fact]:
    if bridge.settings.is_fleet:
        engine = " and ".join(each.url for each in bridge.settings.engine_addresses)
        return [(logging.INFO, f"Everything runs on the ComfyUIs of agents, through the engine at {engine}")]
    return [fact for server in bridge.servers.all for fact in _server(server, alone=len(bridge.servers.all) == 1)]


def _server(server: Server, *, alone: bool) -> list[Fact]:
    try:
        version = server.client.version(Deadline(STARTUP_SECONDS))
    except BridgeError as error:
        meanwhile = (
            "Requests get an error until it answers." if alone else "Requests go to other servers until it answers."
        )
        return [(logging.WARNING, f"No ComfyUI yet: {error.message} {meanwhile}")]
    proxy = server.client.route.proxy
    facts = [(logging.INFO, f"ComfyUI {version} found at {server.url}{f' through {proxy}' if proxy else ''}")]
    if is_too_old(version):
        facts.append((logging.WARNING, too_old(version)))
    elif not can_aim_interrupts(version):
        sentence = (
            f"ComfyUI {version} can't interrupt one prompt alone (0.3.57 and later can): a prompt that runs when "
            "its time is up is left to finish."
        )
        facts.append((logging.WARNING, sentence))
    return facts


def _state(bridge: Bridge, jobs: Jobs | None) -> list[Fact]:
    try:
        folder = str(bridge.state.path())
    except OSError as error:
        folder = f"nowhere ({error.strerror or error})"
    if jobs is None:
        said = "there are no jobs, because COMFYBRIDGE_JOBS is false"
    elif jobs.has_chosen_engine:
        said = "POST /jobs takes jobs, and the engine at COMFYBRIDGE_ENGINE keeps them"
    elif program_of(bridge.settings.nats_server) is None:
        why = why_none(bridge.settings.nats_server)
        return [(logging.WARNING, f"State is kept in {folder}; there are no jobs. {why}")]
    elif jobs.is_used:
        said = "POST /jobs takes jobs, and those from before go on"
    else:
        said = "POST /jobs takes jobs; their engine starts with the first"
    return [(logging.INFO, f"State is kept in {folder}; {said}")]


def _templates(bridge: Bridge) -> list[Fact]:
    library, default = bridge.library, bridge.settings.default_workflow
    names = [f"{name} (the default)" if name == default else name for name in library.names()]
    facts = [(logging.INFO, f"Workflows: {', '.join(names) or 'none'}")]
    broken = [each["name"] for each in library.broken()]
    if broken:
        sentence = f"Broken workflows: {', '.join(broken)}; GET /workflows and the log say why"
        facts.append((logging.WARNING, sentence))
    if library.is_missing:
        facts.append((logging.WARNING, "The folder that COMFYBRIDGE_WORKFLOWS_DIR names does not exist."))
    elif default not in library.names():
        sentence = f"There is no workflow {default!r}, the default; COMFYBRIDGE_DEFAULT_WORKFLOW names another."
        facts.append((logging.WARNING, sentence))
    return facts

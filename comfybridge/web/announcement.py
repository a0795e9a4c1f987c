"""What a bridge says when it starts: where it listens, which ComfyUI it found, which templates it loaded."""

from __future__ import annotations

import io
import json
import os
import sys

from flask import Flask

from comfybridge.bridge import Bridge
from comfybridge.comfyui.client import can_aim_interrupts
from comfybridge.comfyui.servers import Server
from comfybridge.deadline import Deadline
from comfybridge.errors import BridgeError
from comfybridge.settings import Settings, misspelt_variables
from comfybridge.web.current import EXTENSION

STARTUP_SECONDS = 3.0
DEMO = "COMFYBRIDGE_DEMO"  # set in the configuration of an application whose ComfyUI is the simulator


def announce(app: Flask, host: str, port: int | str) -> None:
    """Print the announcement, a line a fact, to standard output.

    Args:
        host, port: where the server listens.
    """
    bridge = app.extensions[EXTENSION]
    url = url_of(host, port)
    lines = [f"ComfyBridge listens on {url}", *_callers(bridge.settings)]
    lines += [*_comfyui(bridge), *_templates(bridge), *misspelt_variables()]
    if app.config.get(DEMO):
        lines += ["This is the demo: a stand-in paints the pictures. Try it; this saves picture.png:", ""]
        lines += [f"  {example(url, needs_key=bool(bridge.settings.api_keys))}", ""]
    if isinstance(sys.stdout, io.TextIOWrapper):  # a name that the terminal can't show is no reason not to start
        sys.stdout.reconfigure(errors="backslashreplace")
    print("\n".join(lines), flush=True)


def url_of(host: str, port: int | str) -> str:
    """The address at which a server that listens there is reached from this machine."""
    if host in ("0.0.0.0", "::", ""):
        host = "127.0.0.1"
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def example(url: str, *, needs_key: bool = False) -> str:
    """A command that asks the bridge for a picture and saves it, for the shell of this system."""
    body = json.dumps({"prompt": "a lighthouse at dusk"})
    if os.name == "nt":  # its shells know no single quotes
        escaped = body.replace('"', '\\"')
        key = '-H "X-API-Key: KEY" ' if needs_key else ""
        return f'curl.exe -f -o picture.png {key}-H "Accept: image/*" {url}/generate -d "{escaped}"'
    key = "-H 'X-API-Key: KEY' " if needs_key else ""
    return f"curl --fail-with-body -o picture.png {key}-H 'Accept: image/*' {url}/generate -d '{body}'"


def _callers(settings: Settings) -> list[str]:
    if settings.api_keys:
        return [f"API keys: {', '.join(key.name for key in settings.api_keys)}"]
    return ["Nobody needs an API key: whoever reaches this address can use it"] if settings.allow_anonymous else []


def _comfyui(bridge: Bridge) -> list[str]:
    return [line for server in bridge.servers.all for line in _server(server, alone=len(bridge.servers.all) == 1)]


def _server(server: Server, *, alone: bool) -> list[str]:
    try:
        version = server.client.version(Deadline(STARTUP_SECONDS))
    except BridgeError as error:
        meanwhile = (
            "Requests get an error until it is there." if alone else "Requests go to others until it is there."
        )
        return [f"No ComfyUI yet: {error.message} {meanwhile}"]
    lines = [f"ComfyUI {version} found at {server.url}"]
    if not can_aim_interrupts(version):
        lines.append(
            f"ComfyUI {version} can't interrupt one prompt alone (0.3.57 and later can): a prompt that runs when "
            "its time is up is left to finish."
        )
    return lines


def _templates(bridge: Bridge) -> list[str]:
    library, default = bridge.library, bridge.settings.default_workflow
    names = [f"{name} (the default)" if name == default else name for name in library.names()]
    lines = [f"Workflows: {', '.join(names) or 'none'}"]
    broken = [each["name"] for each in library.broken()]
    if broken:
        lines.append(f"Broken workflows: {', '.join(broken)}; GET /workflows and the log say why")
    if library.is_missing:
        lines.append("The folder that COMFYBRIDGE_WORKFLOWS_DIR names does not exist.")
    elif default not in library.names():
        lines.append(f"There is no workflow {default!r}, the default; COMFYBRIDGE_DEFAULT_WORKFLOW names another.")
    return lines

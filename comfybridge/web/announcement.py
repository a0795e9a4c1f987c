"""What a bridge says when it starts: where it listens, which ComfyUI it found, which templates it loaded."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys

from flask import Flask

from comfybridge.bridge import Bridge
from comfybridge.comfyui.client import can_aim_interrupts
from comfybridge.deadline import Deadline
from comfybridge.errors import BridgeError
from comfybridge.settings import misspelt_variables
from comfybridge.web.current import EXTENSION

STARTUP_SECONDS = 3.0
DEMO = "COMFYBRIDGE_DEMO"  # set in the configuration of an application whose ComfyUI is the simulator


def announce(app: Flask) -> None:
    """Print the announcement, a line a fact, to standard output."""
    bridge = app.extensions[EXTENSION]
    lines = announcement(bridge)
    if app.config.get(DEMO):
        lines += ["This is the demo: a stand-in paints the pictures. Try it; this saves picture.png:", ""]
        lines += [f"  {example(bridge)}", ""]
    print("\n".join(lines), flush=True)


def announcement(bridge: Bridge) -> list[str]:
    """The lines of the announcement; asks ComfyUI for its version."""
    return [
        f"ComfyBridge listens on {url_of(bridge)}",
        *_comfyui(bridge),
        *_templates(bridge),
        *misspelt_variables(),
    ]


def url_of(bridge: Bridge) -> str:
    """The address at which the bridge is reached from this machine."""
    host = bridge.settings.host
    if host in ("0.0.0.0", "::", ""):
        host = "127.0.0.1"
    return f"http://{f'[{host}]' if ':' in host else host}:{bridge.settings.port}"


def example(bridge: Bridge) -> str:
    """A command that asks the bridge for a picture and saves it, for the shell of this system."""
    url, body = f"{url_of(bridge)}/generate", json.dumps({"prompt": "a lighthouse at dusk"})
    code = (
        "import sys,json,base64;open('picture.png','wb').write(base64.b64decode(json.load(sys.stdin)['images'][0]))"
    )
    if os.name == "nt":
        escaped = body.replace('"', '\\"')
        return f'curl.exe -s {url} -d "{escaped}" | "{sys.executable}" -c "{code}"'
    # the terminal in which this is pasted may know nothing of our virtual environment
    python = "python3" if shutil.which("python3") else shlex.quote(sys.executable)
    return f"curl -s {url} -d '{body}' | {python} -c \"{code}\""


def _comfyui(bridge: Bridge) -> list[str]:
    url = bridge.client.address.url
    try:
        version = bridge.client.version(Deadline(STARTUP_SECONDS))
    except BridgeError as error:
        return [f"No ComfyUI yet: {error.message} Requests get an error until it is there."]
    lines = [f"ComfyUI {version} found at {url}"]
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
    lines += [f"Workflow {each['name']} is broken: {each['error']}" for each in library.broken()]
    if default not in library.names():
        lines.append(f"There is no workflow {default!r}, the default; COMFYBRIDGE_DEFAULT_WORKFLOW names another.")
    return lines

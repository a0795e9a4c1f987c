"""The request that the options of `comfybridge generate` describe, with the files that they name."""

from __future__ import annotations

import argparse
import base64
import contextlib
import json
from pathlib import Path
from typing import Any

from comfybridge.cli.endings import FORMATS
from comfybridge.cli.exit_codes import USAGE
from comfybridge.cli.graph_files import is_graph_file, read_graph_file
from comfybridge.cli.placing import CommandFailed
from comfybridge.media import named_ending
from comfybridge.workflow.written import Written


def request_body(options: argparse.Namespace) -> dict[str, Any]:
    """The request as `POST /generate` takes it."""
    body: dict[str, Any] = {"params": dict(_param(text) for text in options.param)}
    if options.prompt is not None:
        body["prompt"] = options.prompt
    if options.workflow is not None:
        name = options.workflow
        body["workflow"] = read_graph_file(name) if is_graph_file(name) else name
    if options.preset:
        body["presets"] = dict(_preset(text) for text in options.preset)
    if options.timeout is not None:
        body["timeout"] = options.timeout
    if options.image:
        body["images"] = dict(_image(text) for text in options.image)
    chosen = FORMATS.get(named_ending(Path(options.output).name)) if options.output else None
    if chosen:
        body["output"] = {"format": chosen}
    return body


def _param(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise CommandFailed(f"-p takes NAME=VALUE, not {text!r}.", USAGE)
    with contextlib.suppress(ValueError, RecursionError):
        read = json.loads(value)
        if isinstance(read, (str, dict)):  # a quoted text stays a text
            return name, read
    return name, Written(value)  # the parameter says whether 5 is a number or a text


def _preset(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise CommandFailed(f"--preset takes NAME=VALUE, not {text!r}.", USAGE)
    return name, value


def _image(text: str) -> tuple[str, str]:
    name, equals, path = text.partition("=")
    if not equals:
        name, path = "image", text
    return name, base64.b64encode(Path(path).read_bytes()).decode("ascii")

"""`comfybridge convert`: a workflow that ComfyUI's editor saved, as a graph in API format.

A bridge that runs elsewhere converts it (`--url`), or a bridge of its own by what a ComfyUI says of its nodes.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from comfybridge.bridge import Bridge
from comfybridge.cli.elsewhere import API_KEY, client_of
from comfybridge.cli.exit_codes import DONE, USAGE, exit_code_of
from comfybridge.cli.graph_files import read_graph_file
from comfybridge.cli.placing import CommandFailed
from comfybridge.cli.program import program
from comfybridge.cli.version import add_version
from comfybridge.deadline import Deadline
from comfybridge.errors import BridgeError
from comfybridge.logs import printable
from comfybridge.settings import load_settings

STDOUT = "-"


def convert(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit code, one of `exit_codes`."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.url and options.comfyui_url:
        parser.error("--url and --comfyui-url choose where the file is converted; give only one")
    if options.api_key and not options.url:
        parser.error("--api-key is for the bridge that --url names")
    try:
        graph = read_graph_file(options.file)
        if not isinstance(graph, dict):
            raise CommandFailed(f"{options.file} holds no workflow.", USAGE)
        prompt, warnings = _elsewhere(options, graph) if options.url else _here(options, graph)
        _write(json.dumps(prompt, indent=2, ensure_ascii=False) + "\n", options.output)
    except (CommandFailed, BridgeError, OSError) as error:
        print(f"{program()} convert: {printable(str(error))}", file=sys.stderr)
        if isinstance(error, BridgeError):
            return exit_code_of(error)
        return error.code if isinstance(error, CommandFailed) else USAGE
    for warning in warnings:
        print(f"Warning: {printable(str(warning))}", file=sys.stderr)
    return DONE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"{program()} convert",
        description="Turn a workflow that ComfyUI's editor saved into a graph in API format.",
    )
    add_version(parser)
    parser.add_argument("file", help="the workflow: JSON, or a picture that ComfyUI made; -: from standard input")
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        default=STDOUT,
        help="where to write the graph (an existing file is replaced); default: standard output",
    )
    parser.add_argument("--url", metavar="URL", help="the address of a running bridge, such as http://127.0.0.1:8189")
    parser.add_argument(
        "--api-key", metavar="KEY", help=f"for --url (default: {API_KEY}, which other users cannot see)"
    )
    parser.add_argument("--comfyui-url", metavar="URL", help="the address of a ComfyUI (default: COMFYUI_URL)")
    return parser


def _here(options: argparse.Namespace, graph: Mapping[str, Any]) -> tuple[Mapping[str, Any], Sequence[str]]:
    settings = load_settings(**({"comfyui_url": options.comfyui_url} if options.comfyui_url else {}))
    with Bridge(settings) as bridge:
        template = bridge.convert(graph, Deadline(settings.timeout)).template
    return template.graph, [] if template.authored is None else template.authored.warnings


def _elsewhere(options: argparse.Namespace, graph: Mapping[str, Any]) -> tuple[Mapping[str, Any], Sequence[str]]:
    said = client_of(options).convert(graph)
    return said.get("prompt", {}), said.get("warnings", [])


def _write(text: str, output: str) -> None:
    if output == STDOUT:
        sys.stdout.buffer.write(text.encode())
        sys.stdout.flush()
    else:
        Path(output).write_text(text, encoding="utf-8")

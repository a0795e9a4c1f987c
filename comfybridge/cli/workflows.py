"""`comfybridge workflows`: the templates, and the parameters of one."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from comfybridge.bridge import Bridge
from comfybridge.cli.elsewhere import API_KEY, client_of
from comfybridge.cli.exit_codes import DONE, USAGE, exit_code_of
from comfybridge.cli.placing import CommandFailed
from comfybridge.cli.program import program
from comfybridge.cli.version import add_version
from comfybridge.deadline import Deadline
from comfybridge.errors import BridgeError
from comfybridge.logs import printable
from comfybridge.settings import load_settings

ASK_SECONDS = 10.0  # for what ComfyUI must tell of templates that the editor saved
MOST_CHOICES = 8  # of a parameter; the rest is counted


def list_workflows(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit code, one of `exit_codes`."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.url and options.workflows_dir:
        parser.error("--url names a bridge, which has its own folder; give only one of --url and --workflows-dir")
    if options.api_key and not options.url:
        parser.error("--api-key is for the bridge that --url names")
    try:
        if options.name is None:
            _show_all(client_of(options).workflows() if options.url else _all_here(options))
        else:
            _show_one(client_of(options).workflow(options.name) if options.url else _one_here(options))
    except (CommandFailed, BridgeError) as error:
        print(f"{program()} workflows: {printable(str(error))}", file=sys.stderr)
        return error.code if isinstance(error, CommandFailed) else exit_code_of(error)
    return DONE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"{program()} workflows", description="List the templates, or the parameters of one."
    )
    add_version(parser)
    parser.add_argument("name", nargs="?", help="the template whose parameters to list")
    parser.add_argument(
        "--workflows-dir", metavar="FOLDER", help="the folder of the templates (default: COMFYBRIDGE_WORKFLOWS_DIR)"
    )
    parser.add_argument("--url", metavar="URL", help="list those of a running bridge, such as http://127.0.0.1:8189")
    parser.add_argument(
        "--api-key", metavar="KEY", help=f"for --url (default: {API_KEY}, which other users cannot see)"
    )
    return parser


@contextlib.contextmanager
def _bridge(options: argparse.Namespace) -> Iterator[Bridge]:
    """A bridge for the folder of templates. It asks ComfyUI only about those that the editor saved."""
    given = {"workflows_dir": options.workflows_dir} if options.workflows_dir else {}
    with Bridge(load_settings(**given)) as bridge:
        if bridge.library.is_missing:
            raise CommandFailed(f"There is no folder {bridge.settings.workflows_dir}.", USAGE)
        yield bridge


def _all_here(options: argparse.Namespace) -> Mapping[str, Any]:
    with _bridge(options) as bridge:
        listing = bridge.templates.listing(Deadline(ASK_SECONDS))
        default = bridge.settings.default_workflow
    templates = [
        {"name": each.name, "description": each.description, "parameters": list(each.parameters)}
        for each in listing.templates
    ]
    return {"default": default, "workflows": templates, "broken": listing.broken, "unread": listing.unread}


def _one_here(options: argparse.Namespace) -> Mapping[str, Any]:
    with _bridge(options) as bridge:
        template = bridge.templates.get(options.name, Deadline(ASK_SECONDS))
    return {
        "name": template.name,
        "description": template.description,
        "parameters": template.schema(),
        "tasks": template.tasks,
        "presets": template.presets,
    }


def _show_all(body: Mapping[str, Any]) -> None:
    for each in body["workflows"]:
        _say(each["name"] + (" (the default)" if each["name"] == body.get("default") else ""))
        for line in (each["description"], ", ".join(each["parameters"])):
            if line:
                _say(f"    {line}")
    for each in body["broken"]:
        print(printable(f"{each['name']} is broken: {each['error']}"), file=sys.stderr)
    for each in body.get("unread", ()):
        print(printable(f"{each['name']} is not read: {each['error']}"), file=sys.stderr)


def _show_one(body: Mapping[str, Any]) -> None:
    _say(f"{body['name']}: {body['description']}" if body["description"] else body["name"])
    parameters = body["parameters"]["properties"]
    width = max(map(len, parameters), default=0)
    for name, schema in parameters.items():
        about = f": {schema['description']}" if schema.get("description") else ""
        _say(f"    {name:<{width}}  {_accepted(schema)}{about}")
    if not parameters:
        _say("    It has no parameters; -p NODE.INPUT=VALUE sets any input of its graph.")
    for choice, values in (body.get("presets") or {}).items():
        _say(f"    preset {choice}: {', '.join(values)}")
    if body.get("tasks"):
        _say(f"    for {', '.join(body['tasks'])}")


def _accepted(schema: Mapping[str, Any]) -> str:
    """The values that a parameter accepts, in a few words."""
    kind = schema.get("type", "any")
    parts = [" or ".join(kind) if isinstance(kind, list) else str(kind)]
    if schema.get("enum"):
        choices = [str(each) for each in schema["enum"]]
        more = f" and {len(choices) - MOST_CHOICES} more" if len(choices) > MOST_CHOICES else ""
        parts.append(f"one of {', '.join(choices[:MOST_CHOICES])}{more}")
    if "minimum" in schema and "maximum" in schema:
        parts.append(f"{schema['minimum']} to {schema['maximum']}")
    if "default" in schema:
        parts.append(f"default {json.dumps(schema['default'], ensure_ascii=False)}")
    return ", ".join(parts)


def _say(line: str) -> None:
    """Print a line, replacing characters that the terminal cannot show."""
    encoding = sys.stdout.encoding or "utf-8"
    print(printable(line).encode(encoding, "backslashreplace").decode(encoding))

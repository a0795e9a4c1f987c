"""The command line: `comfybridge`, or `python app.py` in a checkout."""

from __future__ import annotations

import argparse
import os
import socket
import sys
from collections.abc import Sequence

from comfybridge import keys
from comfybridge.cli.agent import run_agent
from comfybridge.cli.convert import convert
from comfybridge.cli.engine_config import engine_config
from comfybridge.cli.generate import generate
from comfybridge.cli.program import program
from comfybridge.cli.version import add_version
from comfybridge.cli.workflows import list_workflows
from comfybridge.serving.demo import create_demo
from comfybridge.serving.demo_comfyui import check_demo
from comfybridge.serving.serve import serve
from comfybridge.settings import SECRET, Settings, SettingsError, environment_name, load_settings
from comfybridge.web.access.door import check_start
from comfybridge.web.application import create_app


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == ["serve"]:  # also the default
        del given[0]
    if given[:1] == ["generate"]:
        return generate(given[1:])
    if given[:1] == ["key"]:
        return make_key(given[1:])
    if given[:1] == ["agent"]:
        return run_agent(given[1:])
    if given[:1] == ["convert"]:
        return convert(given[1:])
    if given[:1] == ["workflows"]:
        return list_workflows(given[1:])
    if given[:1] == ["engine-config"]:
        return engine_config(given[1:])
    parser = _parser()
    options = vars(parser.parse_args(given))
    demo = options.pop("demo")
    if demo and options["comfyui_url"]:
        parser.error("--demo includes a stand-in for ComfyUI; give only one of --demo and --comfyui-url")
    # Options become environment variables, from which the server's own configuration reads them too.
    os.environ.update({environment_name(name): value for name, value in options.items() if value is not None})
    try:
        settings = load_settings()
        check_start(settings, settings.host)
        if demo:
            check_demo()
        _check_port(settings)
    except SettingsError as error:
        print(f"ComfyBridge can't start: {error}", file=sys.stderr)
        return 2
    serve(create_demo if demo else create_app, settings)
    return 0


def make_key(arguments: Sequence[str]) -> int:
    """Draw an API key, and print it with the hash for the settings. Returns the exit code."""
    parser = argparse.ArgumentParser(
        prog=f"{program()} key", description="Make an API key, and print it with its hash."
    )
    add_version(parser)
    parser.add_argument("name", nargs="?", help="the name of the key, which policies refer to")
    name = parser.parse_args(arguments).name
    try:
        if name is not None:
            keys.check_name(name)
    except ValueError as error:
        parser.error(f"The name {error}.")
    key = keys.new_key()
    print(f"The key, for the caller:          {key}")
    print(f"For {environment_name('api_keys')}:         {f'{name}=' if name else ''}{keys.hashed(key)}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=program(),
        usage="%(prog)s [serve] [options]\n       %(prog)s {generate,convert,workflows,key,agent,engine-config} ...",
        description="A synchronous bridge to ComfyUI: one blocking HTTP request, answered with the picture.",
        epilog=f"`{program()} generate` makes one picture instead of serving, `{program()} convert` turns a workflow "
        f"of ComfyUI's editor into a graph in API format, `{program()} workflows` lists the templates, "
        f"`{program()} key` makes an API key, `{program()} agent` runs jobs beside a ComfyUI, "
        f"`{program()} engine-config` prints the configuration of a fleet's engine; "
        "each has a --help. "
        "Every option can also be set in the environment or in .env: --timeout is COMFYBRIDGE_TIMEOUT, "
        "--comfyui-url is COMFYUI_URL. Whatever is true by default has an opposite too: --no-page.",
    )
    add_version(parser)
    parser.add_argument("--demo", action="store_true", help="run with a built-in stand-in for ComfyUI")
    for name, field in Settings.model_fields.items():
        if name in SECRET and name != "comfyui_url":
            continue  # every process can read the command line, so secrets have no option
        option, shown = f"--{name.replace('_', '-')}", ""
        if isinstance(field.default, bool):
            shown = f" ({'true' if field.default else 'false'})"
            parser.add_argument(option, nargs="?", const="true", metavar="BOOL", help=f"{field.description}{shown}")
            if field.default:
                opposite = f"--no-{name.replace('_', '-')}"
                parser.add_argument(opposite, dest=name, action="store_const", const="false", help=argparse.SUPPRESS)
            continue
        if isinstance(field.default, (str, int, float)):
            shown = f" ({field.default})"
        parser.add_argument(option, metavar="VALUE", help=f"{field.description}{shown}")
    return parser


def _check_port(settings: Settings) -> None:
    if os.environ.get("LISTEN_PID") == str(os.getpid()):  # systemd listens there, and hands its socket over
        return
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        if os.name != "nt":  # on Windows this option would let two servers share the port
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            raise SettingsError(
                f"Cannot listen on {settings.host} port {settings.port} ({error.strerror}); "
                "choose another with --port."
            ) from None

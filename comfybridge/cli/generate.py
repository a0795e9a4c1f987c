"""`comfybridge generate`: one picture from the command line.

It is made by a bridge that runs elsewhere (`--url`), by a bridge of its own in front of a ComfyUI, or by the demo's
stand-in. On success the file names are printed; on failure one line says why, and the exit code tells the kind of
error. Ctrl-C, SIGTERM and SIGHUP cancel the prompt.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Sequence

from comfybridge.cli.bar import ProgressBar
from comfybridge.cli.elsewhere import API_KEY
from comfybridge.cli.exit_codes import DONE, MEANINGS, USAGE, exit_code_of
from comfybridge.cli.generate_elsewhere import generate_elsewhere
from comfybridge.cli.generate_here import generate_here
from comfybridge.cli.placing import CommandFailed, place_of
from comfybridge.cli.program import program
from comfybridge.cli.request_body import request_body
from comfybridge.cli.stopping import Stopped, heeding_signals
from comfybridge.cli.version import add_version
from comfybridge.errors import BridgeError
from comfybridge.logs import printable


def generate(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit code, one of `exit_codes`."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if sum(map(bool, (options.url, options.comfyui_url, options.demo))) > 1:
        parser.error("--url, --comfyui-url and --demo choose where the picture is made; give only one")
    if options.api_key and not options.url:
        parser.error("--api-key is for the bridge that --url names")
    bar = ProgressBar(sys.stderr)
    try:
        with heeding_signals():
            place = place_of(options.output)
            body = request_body(options)
            made = (generate_elsewhere if options.url else generate_here)(options, body, place, bar.show)
    except (CommandFailed, BridgeError, OSError) as error:
        bar.clear()
        _say(error)
        return _code_of(error)
    except Stopped as stop:
        bar.clear()
        _say(stop if stop.args else "Stopped.")
        return stop.code
    bar.clear()
    for warning in made.warnings:
        print(f"Warning: {printable(str(warning))}", file=sys.stderr)
    for name in made.names:
        print(name)
    if made.seed is not None:
        print(f"seed {made.seed}", file=sys.stderr)
    return DONE


def _say(error: object) -> None:
    with contextlib.suppress(OSError):  # the terminal was closed
        print(f"{program()} generate: {printable(str(error))}", file=sys.stderr)


def _code_of(error: Exception) -> int:
    if isinstance(error, CommandFailed):
        return error.code
    return exit_code_of(error) if isinstance(error, BridgeError) else USAGE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"{program()} generate",
        description="Make a picture and save it.",
        epilog="Exit codes: " + "; ".join(f"{code}: {meaning}" for code, meaning in MEANINGS.items()) + ".",
    )
    add_version(parser)
    parser.add_argument("prompt", nargs="?", help="the text")
    parser.add_argument(
        "-w",
        "--workflow",
        metavar="NAME",
        help="a template's name, or a file with a whole graph: JSON as ComfyUI saves or exports it, or a picture or "
        "video that ComfyUI made",
    )
    parser.add_argument(
        "-p",
        "--param",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="steps=30, or 3.steps=30 for any input; a text needs no quotes",
    )
    parser.add_argument(
        "--preset", action="append", default=[], metavar="NAME=VALUE", help="a preset of the template: quality=high"
    )
    parser.add_argument(
        "--image", action="append", default=[], metavar="[NAME=]FILE", help="an input file, for image or for NAME"
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="where to save the output that fits the ending (an existing file is replaced); other outputs are saved "
        "beside it and replace nothing; .png, .jpg and .webp choose the format; -: write the bytes to stdout",
    )
    parser.add_argument("--timeout", type=float, metavar="SECONDS", help="how many seconds it may take")
    parser.add_argument("--url", metavar="URL", help="the address of a running bridge, such as http://127.0.0.1:8189")
    parser.add_argument(
        "--api-key", metavar="KEY", help=f"for --url (default: {API_KEY}, which other users cannot see)"
    )
    parser.add_argument("--comfyui-url", metavar="URL", help="the address of a ComfyUI (default: COMFYUI_URL)")
    parser.add_argument("--demo", action="store_true", help="use the stand-in ComfyUI of the demo")
    return parser

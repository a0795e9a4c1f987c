"""`python app.py generate`: one picture from the command line.

It is made by a bridge that runs elsewhere (`--url`), by a bridge of its own in front of a ComfyUI, or by the demo's
stand-in. On success the file names are printed; on failure one line says why, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import requests

from comfybridge.bridge import Bridge
from comfybridge.comfyui.events import Event
from comfybridge.errors import BridgeError
from comfybridge.progress import Progress, ProgressMeter
from comfybridge.request import GenerationRequest, LoadedFile, OpenFile, Output
from comfybridge.saving import safe_name, save
from comfybridge.settings import SettingsError, load_settings
from comfybridge.simulator import Simulator
from comfybridge.web.schemas import parse_generation

FORMATS = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp"}
BAR_WIDTH = 30
CONNECT_SECONDS = 10.0
SILENCE_SECONDS = 60.0  # a bridge sends a comment every 15 s

ShowProgress = Callable[[float, str], None]


class CommandFailed(Exception):
    """What went wrong, in one line."""


@dataclass
class Made:
    """What a workflow made, in files under these names."""

    names: list[str]
    seed: int | None
    warnings: list[str]


def generate(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit code: 0, 1 if nothing was made, 2 if the command line is wrong."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if sum(map(bool, (options.url, options.comfyui_url, options.demo))) > 1:
        parser.error("--url, --comfyui-url and --demo say who makes the picture; give one of them")
    bar = _Bar(sys.stderr)
    try:
        body = _body(options)
        made = (_by_bridge if options.url else _by_ourselves)(options, body, bar.show)
    except (CommandFailed, BridgeError, SettingsError, OSError) as error:
        bar.clear()
        print(f"app.py generate: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        bar.clear()
        return 130
    bar.clear()
    for warning in made.warnings:
        print(f"Warning: {warning}", file=sys.stderr)
    for name in made.names:
        print(name)
    if made.seed is not None:
        print(f"seed {made.seed}", file=sys.stderr)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="app.py generate", description="Make a picture and save it.")
    parser.add_argument("prompt", nargs="?", help="the text")
    parser.add_argument("-w", "--workflow", metavar="NAME", help="a template's name, or a file with a whole graph")
    parser.add_argument(
        "-p",
        "--param",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="steps=30, or 3.steps=30 for any input",
    )
    parser.add_argument(
        "--image", action="append", default=[], metavar="[NAME=]FILE", help="an input file, for image or for NAME"
    )
    parser.add_argument("-o", "--output", metavar="FILE", help="where to save; .png, .jpg and .webp say the format")
    parser.add_argument("--timeout", type=float, metavar="SECONDS", help="how long it may take")
    parser.add_argument("--url", metavar="URL", help="a running bridge, such as http://127.0.0.1:8189")
    parser.add_argument("--comfyui-url", metavar="URL", help="a ComfyUI (default: COMFYUI_URL)")
    parser.add_argument("--demo", action="store_true", help="the stand-in ComfyUI of the demo")
    return parser


def _body(options: argparse.Namespace) -> dict[str, Any]:
    """The request as `POST /generate` takes it."""
    body: dict[str, Any] = {"params": dict(_param(text) for text in options.param)}
    if options.prompt is not None:
        body["prompt"] = options.prompt
    if options.workflow is not None:
        body["workflow"] = _workflow(options.workflow)
    if options.timeout is not None:
        body["timeout"] = options.timeout
    if options.image:
        body["images"] = dict(_image(text) for text in options.image)
    chosen = FORMATS.get(Path(options.output).suffix.lower()) if options.output else None
    if chosen:
        body["output"] = {"format": chosen}
    return body


def _param(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise CommandFailed(f"-p takes NAME=VALUE, not {text!r}.")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value  # a text needs no quotes


def _workflow(name: str) -> Any:
    if not name.endswith(".json"):
        return name
    try:
        return json.loads(Path(name).read_text("utf-8-sig"))
    except ValueError:
        raise CommandFailed(f"{name} is no JSON file.") from None


def _image(text: str) -> tuple[str, str]:
    name, equals, path = text.partition("=")
    if not equals:
        name, path = "image", text
    return name, base64.b64encode(Path(path).read_bytes()).decode("ascii")


def _by_ourselves(options: argparse.Namespace, body: dict[str, Any], show: ShowProgress) -> Made:
    """Made by a bridge of our own, in front of a ComfyUI or of the simulator."""
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(Simulator()).url if options.demo else options.comfyui_url
        settings = load_settings(**({"comfyui_url": url} if url else {}))
        bridge = stack.enter_context(Bridge(settings))
        asked = parse_generation(body, GenerationRequest().started)
        with bridge.submit(asked) as submission:
            meter = ProgressMeter(submission.prompt)

            def listen(event: Event) -> None:
                for each in meter.read(event):
                    if isinstance(each, Progress):
                        show(each.percent, _step(each.class_type, each.value, each.max))

            generation = bridge.collect(submission, bridge.wait(submission, listen))
            names, warnings = _save(map(Output.open, generation.outputs), options.output)
        return Made(names, generation.seed, [*generation.warnings, *warnings])


def _by_bridge(options: argparse.Namespace, body: dict[str, Any], show: ShowProgress) -> Made:
    """Made by a bridge that runs elsewhere, whose events are followed."""
    url = options.url
    address = url if "://" in url else f"http://{url}"
    try:
        with requests.post(
            f"{address.rstrip('/')}/generate",
            json=body,
            headers={"Accept": "text/event-stream"},
            stream=True,
            timeout=(CONNECT_SECONDS, SILENCE_SECONDS),
        ) as answer:
            if not answer.headers.get("Content-Type", "").startswith("text/event-stream"):
                raise CommandFailed(_sentence(answer))
            for event, data in _events(answer):
                if event == "progress":
                    show(data["percent"], _step(data["class_type"], data["value"], data["max"]))
                elif event == "error":
                    raise CommandFailed(data["error"])
                elif event == "result":
                    names, _ = _save(_files(data), options.output)
                    return Made(names, data["seed"], data["warnings"])
    except (requests.RequestException, ValueError, KeyError) as error:
        raise CommandFailed(f"The bridge at {url} can't be asked: {type(error).__name__}.") from None
    raise CommandFailed(f"The bridge at {url} cut its answer off.")


def _events(answer: requests.Response) -> Iterator[tuple[str, Any]]:
    event = ""
    for line in answer.iter_lines():
        name, _, value = line.decode("utf-8").partition(": ")
        if name == "event":
            event = value
        elif name == "data":
            yield event, json.loads(value)


def _sentence(answer: requests.Response) -> str:
    try:
        return str(answer.json()["error"])
    except (ValueError, KeyError, TypeError):
        return f"{answer.url} answered {answer.status_code}; is a bridge there?"


def _files(body: dict[str, Any]) -> Iterator[OpenFile]:
    """The files in an answer of `/generate`."""
    for output in body["outputs"]:
        if output["index"] is not None:
            data = base64.b64decode(body["images"][output["index"]])
        else:
            data = base64.b64decode(output["data"]) if "data" in output else output["text"].encode()
        yield OpenFile.of(LoadedFile(data, output["media_type"], output["filename"]))


def _save(files: Iterable[OpenFile], output: str | None) -> tuple[list[str], list[str]]:
    """Write the files, under their own names or the wanted one, with a number if there are several.

    Returns:
        The names, and warnings.
    """
    names: list[str] = []
    warnings: list[str] = []
    for number, file in enumerate(files, 1):
        with file:
            target = Path(safe_name(file.filename or f"text_{number}.txt")) if output is None else Path(output)
            if output is not None and number > 1:
                target = target.with_name(f"{target.stem}_{number}{target.suffix}")
            names.append(str(save(file, target)))
            warnings += file.warnings
    return names, warnings


def _step(class_type: str, value: float, most: float) -> str:
    return f"{class_type} {value:g}/{most:g}" if most > 1 else class_type


class _Bar:
    """A progress bar on a terminal; nothing elsewhere."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._shown = stream.isatty()

    def show(self, percent: float, what: str) -> None:
        if self._shown:
            done = "#" * int(BAR_WIDTH * percent / 100)
            self._stream.write(f"\r[{done:<{BAR_WIDTH}}] {percent:3.0f}% {what[:40]:<40}")
            self._stream.flush()

    def clear(self) -> None:
        if self._shown:
            self._stream.write("\r" + " " * (BAR_WIDTH + 50) + "\r")
            self._stream.flush()

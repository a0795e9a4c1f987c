"""`python app.py generate`: one picture from the command line.

It is made by a bridge that runs elsewhere (`--url`), by a bridge of its own in front of a ComfyUI, or by the demo's
stand-in. On success the file names are printed; on failure one line says why, and the exit code is 1. Ctrl-C cancels
the prompt, and the exit code is 130.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import json
import math
import os
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import quote

import requests
from requests.auth import AuthBase

from comfybridge.bridge import Bridge
from comfybridge.comfyui.events import Event
from comfybridge.deadline import Deadline
from comfybridge.demo import demo_comfyui
from comfybridge.errors import BridgeError
from comfybridge.logs import printable
from comfybridge.media import embedded_graph, file_extension, media_type_of
from comfybridge.progress import Preview, Progress, meter_of
from comfybridge.request import GenerationRequest, LoadedFile, OpenFile, Output
from comfybridge.saving import safe_name, save
from comfybridge.settings import SettingsError, load_settings
from comfybridge.submission import Submission
from comfybridge.web.schemas import parse_generation
from comfybridge.workflow.written import Written

WORKFLOW_FILES = {".json", ".png", ".webp", ".jpg", ".jpeg"}
FORMATS = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp"}
NO_KIND = media_type_of("")
BAR_WIDTH = 30
LONGEST_STEP, TOLD_WIDTH = 30, 44  # columns of the node's name and step, and of those with the time left
CONNECT_SECONDS = 10.0
SILENCE_SECONDS = 60.0  # a bridge sends a comment every 15 s
CANCEL_SECONDS = 2.0  # whoever pressed Ctrl-C waits for it

API_KEY = "COMFYBRIDGE_API_KEY"

ShowProgress = Callable[[float, str, object], None]


class CommandFailed(Exception):
    """What went wrong, in one line."""


@dataclass
class Made:
    """What a workflow made, in files under these names."""

    names: list[str]
    seed: int | None
    warnings: list[str]


def generate(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit code.

    0; 1 if what was wanted was not made or not saved, 2 if the command line is wrong, 130 after Ctrl-C.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    if sum(map(bool, (options.url, options.comfyui_url, options.demo))) > 1:
        parser.error("--url, --comfyui-url and --demo say who makes the picture; give one of them")
    if options.api_key and not options.url:
        parser.error("--api-key is for the bridge that --url names")
    bar = _Bar(sys.stderr)
    try:
        _check_place(options.output)
        body = _body(options)
        made = (_by_bridge if options.url else _by_ourselves)(options, body, bar.show)
    except (CommandFailed, BridgeError, SettingsError, OSError) as error:
        bar.clear()
        print(f"app.py generate: {printable(str(error))}", file=sys.stderr)
        return 1
    except KeyboardInterrupt as stop:
        bar.clear()
        if stop.args:
            print(f"app.py generate: {printable(str(stop))}", file=sys.stderr)
        return 130
    bar.clear()
    for warning in made.warnings:
        print(f"Warning: {printable(str(warning))}", file=sys.stderr)
    for name in made.names:
        print(name)
    if made.seed is not None:
        print(f"seed {made.seed}", file=sys.stderr)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="app.py generate", description="Make a picture and save it.")
    parser.add_argument("prompt", nargs="?", help="the text")
    parser.add_argument(
        "-w",
        "--workflow",
        metavar="NAME",
        help="a template's name, or a file with a whole graph: JSON, or a picture that ComfyUI made",
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
        "--image", action="append", default=[], metavar="[NAME=]FILE", help="an input file, for image or for NAME"
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="where to save what fits the ending, and beside it what else is made; "
        ".png, .jpg and .webp say the format",
    )
    parser.add_argument("--timeout", type=float, metavar="SECONDS", help="how long it may take")
    parser.add_argument("--url", metavar="URL", help="a running bridge, such as http://127.0.0.1:8189")
    parser.add_argument("--api-key", metavar="KEY", help=f"for --url (default: {API_KEY}, which nobody else sees)")
    parser.add_argument("--comfyui-url", metavar="URL", help="a ComfyUI (default: COMFYUI_URL)")
    parser.add_argument("--demo", action="store_true", help="the stand-in ComfyUI of the demo")
    return parser


def _check_place(output: str | None) -> None:
    """Make sure that files can be saved there, before anybody works on them.

    Raises:
        CommandFailed: they can't.
    """
    place = Path(os.path.realpath(output)) if output is not None else Path.cwd() / "any"
    if place.is_dir():
        raise CommandFailed(f"-o takes the name of a file, and {output!r} is a folder.")
    if place.exists() and not place.is_file():  # a terminal, a pipe, /dev/null
        return
    if not place.parent.is_dir():
        raise CommandFailed(f"There is no folder {place.parent} to save files in.")
    if not os.access(place.parent, os.W_OK):
        raise CommandFailed(f"The folder {place.parent} can't be written to.")


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
    with contextlib.suppress(ValueError, RecursionError):
        read = json.loads(value)
        if isinstance(read, (str, dict)):  # a text in quotes is one in any case
            return name, read
    return name, Written(value)  # the parameter says whether 5 is a number or a text


def _workflow(name: str) -> Any:
    """The graph in a file, or the name of a template as it is."""
    if Path(name).suffix.lower() not in WORKFLOW_FILES:
        return name
    data = Path(name).read_bytes()
    if file_extension(data) is None:
        try:
            return json.loads(data)  # of any of the UTFs
        except (ValueError, RecursionError):
            raise CommandFailed(f"{name} is neither JSON nor a picture.") from None
    graph = embedded_graph(data)
    if graph is None:
        raise CommandFailed(f"{name} carries no graph: ComfyUI did not make it, or its metadata was taken away.")
    return graph


def _image(text: str) -> tuple[str, str]:
    name, equals, path = text.partition("=")
    if not equals:
        name, path = "image", text
    return name, base64.b64encode(Path(path).read_bytes()).decode("ascii")


def _by_ourselves(options: argparse.Namespace, body: dict[str, Any], show: ShowProgress) -> Made:
    """Made by a bridge of our own, in front of a ComfyUI or of the simulator."""
    with contextlib.ExitStack() as stack:
        url = options.comfyui_url
        if options.demo:
            url = stack.enter_context(demo_comfyui(load_settings().workflows_dir)).url
        settings = load_settings(**({"comfyui_url": url} if url else {}))
        bridge = stack.enter_context(Bridge(settings))
        asked = parse_generation(body, GenerationRequest().started)
        with bridge.submit(asked) as submission:
            meter = meter_of(submission)

            def tell(each: Progress | Preview | None) -> None:
                if isinstance(each, Progress):
                    show(each.percent, _step(each.class_type, each.value, each.max), each.eta_seconds)

            def listen(event: Event) -> None:
                for each in meter.read(event):
                    tell(each)

            try:
                with _every_second(lambda: tell(meter.still())):
                    outcome = bridge.wait(submission, listen)
            except KeyboardInterrupt:
                raise _cancelled(bridge, submission) from None
            generation = bridge.collect(submission, outcome)
            again = f"ComfyUI at {submission.server.url} still has what was made, as prompt {generation.prompt_id}."
            if options.demo:
                again = "What was made has gone with the demo."
            elif not all(each.is_remote for each in generation.outputs):
                again = _gone(generation.prompt_id)
            names, warnings = _save(map(Output.open, generation.outputs), options.output, again)
        return Made(names, generation.seed, [*generation.warnings, *warnings])


@contextlib.contextmanager
def _every_second(call: Callable[[], None]) -> Iterator[None]:
    """Call something every second, in a thread of its own."""
    over = threading.Event()

    def run() -> None:
        while not over.wait(1):
            call()

    thread = threading.Thread(target=run, name="progress bar", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _cancelled(bridge: Bridge, submission: Submission) -> KeyboardInterrupt:
    prompt_id = submission.prompt.id
    try:
        bridge.prompts.cancel(prompt_id, Deadline(CANCEL_SECONDS))
    except BridgeError as error:
        return _not_cancelled(prompt_id, error.message)
    return KeyboardInterrupt()


def _by_bridge(options: argparse.Namespace, body: dict[str, Any], show: ShowProgress) -> Made:
    """Made by a bridge that runs elsewhere, whose events are followed."""
    url = options.url
    address = (url if "://" in url else f"http://{url}").rstrip("/")
    prompt_id = ""
    try:
        with requests.post(
            f"{address}/generate",
            files=_form(body),
            headers={"Accept": "text/event-stream"},
            auth=_auth(options),
            stream=True,
            timeout=(CONNECT_SECONDS, SILENCE_SECONDS),
        ) as answer:
            if not answer.headers.get("Content-Type", "").startswith("text/event-stream"):
                raise CommandFailed(_sentence(answer))
            prompt_id = answer.headers.get("X-Prompt-Id", "")
            for event, data in _events(answer):
                if event == "queued":
                    prompt_id = data["prompt_id"]
                elif event == "progress":
                    what = _step(data["class_type"], data["value"], data["max"])
                    show(data["percent"], what, data.get("eta_seconds"))
                elif event == "error":
                    raise CommandFailed(data["error"])
                elif event == "result":
                    again = f"{address}/results/{prompt_id} has what was made, while ComfyUI remembers it."
                    if any(each.get("type") == "websocket" for each in data["outputs"]):
                        again = _gone(prompt_id)
                    names, _ = _save(_files(data), options.output, again)
                    return Made(names, data["seed"], data["warnings"])
    except (requests.RequestException, ValueError, KeyError) as error:
        raise CommandFailed(f"The bridge at {url} can't be asked: {type(error).__name__}.") from None
    except KeyboardInterrupt:
        raise _cancelled_elsewhere(address, prompt_id, _auth(options)) if prompt_id else KeyboardInterrupt from None
    raise CommandFailed(f"The bridge at {url} cut its answer off.")


def _auth(options: argparse.Namespace) -> _Bearer | None:
    key = (options.api_key or os.environ.get(API_KEY, "")).strip()
    return _Bearer(key) if key else None


class _Bearer(AuthBase):
    """An API key; a header of its own would give way to what `.netrc` says of the host."""

    def __init__(self, key: str) -> None:
        self._key = key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._key}"
        return request


def _cancelled_elsewhere(address: str, prompt_id: str, auth: AuthBase | None) -> KeyboardInterrupt:
    timeouts = (CANCEL_SECONDS / 2, CANCEL_SECONDS / 2)  # for the connection and for the answer
    try:
        answer = requests.post(f"{address}/cancel/{quote(prompt_id, safe='')}", timeout=timeouts, auth=auth)
    except requests.RequestException as error:
        return _not_cancelled(prompt_id, f"{type(error).__name__}.")
    return KeyboardInterrupt() if answer.ok else _not_cancelled(prompt_id, _sentence(answer))


def _not_cancelled(prompt_id: str, why: str) -> KeyboardInterrupt:
    return KeyboardInterrupt(f"Prompt {prompt_id} could not be cancelled: {why}")


def _gone(prompt_id: str) -> str:
    return f"Prompt {prompt_id} has run, and what it made can't all be fetched again."


def _form(body: dict[str, Any]) -> list[tuple[str, tuple[None, str]]]:
    """The request as a form: there a parameter's value can be a text that means what the parameter wants."""
    written = {name: value for name, value in body["params"].items() if isinstance(value, Written) and value.strip()}
    rest = {name: value for name, value in body["params"].items() if name not in written}
    fields = {"request": json.dumps({**body, "params": rest})}
    fields.update((f"params.{name}", value) for name, value in written.items())
    return [(name, (None, value)) for name, value in fields.items()]


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


def _save(files: Iterable[OpenFile], wanted: str | None, again: str) -> tuple[list[str], list[str]]:
    """Write the files: under their own names, or as the wanted one, those of other endings beside it.

    Several of one ending are numbered. An ending that no kind of file is known by is not looked at.

    Args:
        again: the sentence on whether they can still be had.

    Returns:
        The names, and warnings.

    Raises:
        CommandFailed: none is what the wanted name says, in which case they are saved all the same; or one can't be
            written.
    """
    place = None if wanted is None else Path(wanted)
    counts: Counter[str] = Counter()
    names: list[str] = []
    warnings: list[str] = []
    fits = place is None
    for number, file in enumerate(files, 1):
        with file:
            target = Path(safe_name(file.filename or f"text_{number}.txt"))
            is_wanted = False
            if place is not None:
                is_wanted = media_type_of(place.name) in (media_type_of(target.name), NO_KIND)
                ending = place.suffix if is_wanted else target.suffix
                counts[ending] += 1
                count = f"_{counts[ending]}" if counts[ending] > 1 else ""
                target = place.with_name(f"{place.stem}{count}{ending}")
                fits |= is_wanted
            if not is_wanted:
                target = _unused(target)
            try:
                names.append(str(save(file, target)))
            except OSError as error:
                raise CommandFailed(f"{target} can't be written: {error.strerror or error}. {again}") from None
            warnings += file.warnings
    if place is not None and not fits:
        raise CommandFailed(f"The workflow made no {place.suffix} file. What it made is saved: {', '.join(names)}.")
    return names, warnings


def _unused(target: Path) -> Path:
    """The name, with a number if there is such a file: who makes the files must not choose which are replaced."""
    number, unused = 1, target
    while unused.exists() or unused.is_symlink():
        number += 1
        unused = target.with_name(f"{target.stem} ({number}){target.suffix}")
    return unused


def _step(class_type: str, value: float, most: float) -> str:
    return f"{class_type} {value:g}/{most:g}" if most > 1 else class_type


def _left(eta_seconds: object) -> str:
    """How long it will still take: `, 12 s left`, `, 3:05 left`, `, 1:02:30 left`; nothing if that is unknown."""
    if not isinstance(eta_seconds, (int, float)) or not math.isfinite(eta_seconds):
        return ""
    seconds = math.ceil(max(eta_seconds, 0))
    if seconds < 60:
        return f", {seconds} s left"
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f", {hours}:{minutes:02}:{seconds:02} left" if hours else f", {minutes}:{seconds:02} left"


class _Bar:
    """A progress bar on a terminal; nothing elsewhere."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._shown = stream.isatty()

    def show(self, percent: float, what: str, eta_seconds: object) -> None:
        if self._shown:
            done = "#" * int(BAR_WIDTH * percent / 100)
            told = printable(what[:LONGEST_STEP]) + _left(eta_seconds)
            self._stream.write(f"\r[{done:<{BAR_WIDTH}}] {int(percent):3d}% {told:<{TOLD_WIDTH}}")
            self._stream.flush()

    def clear(self) -> None:
        if self._shown:
            self._stream.write("\r" + " " * (BAR_WIDTH + TOLD_WIDTH + 10) + "\r")
            self._stream.flush()

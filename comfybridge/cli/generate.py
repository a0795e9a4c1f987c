"""`comfybridge generate`: one picture from the command line.

It is made by a bridge that runs elsewhere (`--url`), by a bridge of its own in front of a ComfyUI, or by the demo's
stand-in. On success the file names are printed; on failure one line says why, and the exit code says of what kind it
is. Ctrl-C, SIGTERM and SIGHUP cancel the prompt.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import json
import math
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, TextIO

from comfybridge.bridge import Bridge, OnQueued
from comfybridge.cli.elsewhere import API_KEY, client_of
from comfybridge.cli.exit_codes import CTRL_C, DONE, HUNG_UP, MEANINGS, TERMINATED, UNREACHABLE, USAGE, exit_code_of
from comfybridge.cli.graph_files import is_graph_file, read_graph_file
from comfybridge.cli.placing import FORMATS, CommandFailed, MadeFile, Named, Place, check_ending, place_of
from comfybridge.cli.program import program
from comfybridge.cli.version import add_version
from comfybridge.client import Client
from comfybridge.comfyui.events import Event
from comfybridge.comfyui.waiting.waiter import OnEvent
from comfybridge.deadline import Deadline
from comfybridge.errors import BridgeError, ComfyUIUnreachable, UnknownPrompt
from comfybridge.logs import printable
from comfybridge.media import named_ending
from comfybridge.prompts.progress import Preview, Progress, Queued, meter_of
from comfybridge.prompts.submission import Submission
from comfybridge.request import Generation, GenerationRequest, Trace
from comfybridge.serving.demo_comfyui import demo_comfyui
from comfybridge.settings import load_settings
from comfybridge.web.dialects.native.schemas import parse_generation
from comfybridge.workflow.products import endings_of
from comfybridge.workflow.template import Template
from comfybridge.workflow.unconverted import Unconverted, read_workflow
from comfybridge.workflow.written import Written

BAR_WIDTH = 30
LONGEST_STEP, TOLD_WIDTH = 30, 44  # columns of the node's name and step, and of those with the time left
CANCEL_SECONDS = 2.0  # the user who pressed Ctrl-C waits for it

ShowProgress = Callable[[float, str, object], None]


class Stopped(KeyboardInterrupt):
    """Ctrl-C, or a signal handled like it."""

    code = CTRL_C


class Terminated(Stopped):
    """SIGTERM."""

    code = TERMINATED


class HungUp(Stopped):
    """SIGHUP: the terminal was closed."""

    code = HUNG_UP


_HEEDED: dict[str, type[Stopped]] = {"SIGINT": Stopped, "SIGTERM": Terminated, "SIGHUP": HungUp}


@dataclass
class Made:
    """The outputs of a workflow, in files under these names."""

    names: list[str]
    seed: int | None
    warnings: list[str]


def generate(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit code, one of `exit_codes`."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if sum(map(bool, (options.url, options.comfyui_url, options.demo))) > 1:
        parser.error("--url, --comfyui-url and --demo choose where the picture is made; give only one")
    if options.api_key and not options.url:
        parser.error("--api-key is for the bridge that --url names")
    bar = _Bar(sys.stderr)
    try:
        with _heeding_signals():
            place = place_of(options.output)
            body = _body(options)
            made = (_by_bridge if options.url else _by_ourselves)(options, body, place, bar.show)
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


@contextlib.contextmanager
def _heeding_signals() -> Iterator[None]:
    """Let the signals of this platform end the program in order, which cancels the prompt.

    One that is ignored stays so: `nohup` has SIGHUP ignored, and a shell Ctrl-C for what runs in the background.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        raise _HEEDED[signal.Signals(number).name]

    numbers = [getattr(signal, name) for name in _HEEDED if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    heeded = {number: handler for number, handler in before.items() if handler is not signal.SIG_IGN}
    for number in heeded:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in heeded.items():
            signal.signal(number, handler)


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


def _body(options: argparse.Namespace) -> dict[str, Any]:
    """The request as `POST /generate` takes it."""
    body: dict[str, Any] = {"params": dict(_param(text) for text in options.param)}
    if options.prompt is not None:
        body["prompt"] = options.prompt
    if options.workflow is not None:
        name = options.workflow
        body["workflow"] = read_graph_file(name) if is_graph_file(name) else name
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


def _image(text: str) -> tuple[str, str]:
    name, equals, path = text.partition("=")
    if not equals:
        name, path = "image", text
    return name, base64.b64encode(Path(path).read_bytes()).decode("ascii")


def _by_ourselves(options: argparse.Namespace, body: dict[str, Any], place: Place, show: ShowProgress) -> Made:
    """Make the outputs with a bridge in this process, in front of a ComfyUI or the simulator."""
    with contextlib.ExitStack() as stack:
        url = options.comfyui_url
        if options.demo:
            url = stack.enter_context(demo_comfyui(load_settings().workflows_dir)).url
        settings = load_settings(**({"comfyui_url": url} if url else {}))
        bridge = stack.enter_context(Bridge(settings))
        asked = parse_generation(body)
        if isinstance(place, Named):
            workflow = asked.template_name(settings.default_workflow) or ""
            endings = partial(_endings_here, bridge, asked.graph, workflow)
            _check_ending(options.output, asked.graph, workflow, endings)
        admitted = bridge.admit(asked)
        try:
            submission = bridge.submit(admitted)
            with contextlib.ExitStack() as running:
                with _shown(submission, show) as (listen, queued_again):
                    generation = running.enter_context(bridge.finishing(submission, listen, queued_again))
                again = _again(submission, generation, is_demo=options.demo)
                files = [MadeFile(each.filename, each.kind, each.open) for each in generation.outputs]
                saved = place.put(files, again)
        except Stopped as stop:
            raise type(stop)(_cancelled(bridge, admitted.trace)) from None
        except ComfyUIUnreachable as error:
            if url or "comfyui_url" in settings.model_fields_set:
                raise
            hint = "--comfyui-url gives the address of yours; --demo needs none."
            raise CommandFailed(f"{error.message} {hint}", UNREACHABLE) from None
        return Made(saved.names, generation.seed, [*generation.warnings, *saved.warnings])


@contextlib.contextmanager
def _shown(submission: Submission, show: ShowProgress) -> Iterator[tuple[OnEvent, OnQueued]]:
    """Show the progress of a prompt. Yields functions to call with its events, and with a prompt that replaces it."""
    meter = meter_of(submission)

    def tell(each: Progress | Preview | None) -> None:
        if isinstance(each, Progress):
            show(each.percent, _step(each.class_type, each.value, each.max), each.eta_seconds)

    def listen(event: Event) -> None:
        for each in meter.read(event):
            tell(each)

    with _every_second(lambda: tell(meter.still())):
        yield listen, lambda again: meter.follow(again.prompt)
    tell(meter.end())


@contextlib.contextmanager
def _every_second(call: Callable[[], None]) -> Iterator[None]:
    """Call a function every second, in a thread of its own."""
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


def _again(submission: Submission, generation: Generation, *, is_demo: bool) -> str:
    """A sentence on whether the outputs are still available."""
    if is_demo:
        return "The outputs are gone with the demo."
    if not all(each.is_remote for each in generation.outputs):
        return _gone(generation.prompt_id)
    return f"ComfyUI at {submission.server.url} still has the outputs, as prompt {generation.prompt_id}."


def _cancelled(bridge: Bridge, trace: Trace) -> str:
    """Cancel what was queued for a request; returns a sentence that says how that went."""
    prompt_id = trace.prompt_id or trace.sent_as
    if prompt_id is None:
        return "Stopped before a prompt was queued."
    try:
        bridge.prompts.cancel(prompt_id, Deadline(CANCEL_SECONDS), None)
    except BridgeError as error:
        if isinstance(error, UnknownPrompt) and trace.prompt_id is None:
            return "Stopped before a prompt was queued."
        return _not_cancelled(prompt_id, error.message)
    return f"Prompt {prompt_id} was cancelled."


def _by_bridge(options: argparse.Namespace, body: dict[str, Any], place: Place, show: ShowProgress) -> Made:
    """Make the outputs with a bridge elsewhere, following its events."""
    client = client_of(options)
    asked = parse_generation(body)
    if isinstance(place, Named):
        name = asked.template_name("")
        _check_ending(options.output, asked.graph, name, partial(_endings_there, client, asked.graph, name))
    generation = _followed(client, asked, show)
    again = f"{client.url}/results/{generation.prompt_id} has the outputs for as long as ComfyUI remembers them."
    if any(each.type == "websocket" for each in generation.outputs):
        again = _gone(generation.prompt_id)
    saved = place.put([MadeFile(each.filename, each.kind, each.open) for each in generation.outputs], again)
    return Made(saved.names, generation.seed, [*generation.warnings, *saved.warnings])


def _followed(client: Client, asked: GenerationRequest, show: ShowProgress) -> Generation:
    """The result from a bridge, with its progress shown; stopping cancels the prompt."""
    prompt_id = ""
    try:
        for event in client.events(asked):
            if isinstance(event, Queued):
                prompt_id = event.prompt_id
            elif isinstance(event, Progress):
                show(event.percent, _step(event.class_type, event.value, event.max), event.eta_seconds)
            elif isinstance(event, Generation):
                return event
    except Stopped as stop:
        raise type(stop)(_cancelled_elsewhere(client, prompt_id)) from None
    raise AssertionError("events end with a generation, or raise")


def _cancelled_elsewhere(client: Client, prompt_id: str) -> str:
    """Have a bridge cancel a prompt; returns a sentence that says how that went."""
    if not prompt_id:  # the bridge notices that its caller is gone
        return "Stopped before the bridge named a prompt; if it queued one, it cancels that one."
    try:
        client.cancel(prompt_id, CANCEL_SECONDS)
    except BridgeError as error:
        return _not_cancelled(prompt_id, error.message)
    return f"Prompt {prompt_id} was cancelled."


def _not_cancelled(prompt_id: str, why: str) -> str:
    return f"Prompt {prompt_id} could not be cancelled: {why}"


def _gone(prompt_id: str) -> str:
    return f"Prompt {prompt_id} has run, but not all of its outputs can be fetched again."


def _check_ending(
    output: str, graph: Mapping[str, Any] | None, workflow: str | None, endings: Callable[[], list[str] | None]
) -> None:
    """Refuse an ending of `-o` that the workflow cannot make; other faults are reported later.

    Args:
        workflow: the template's name, where it is known.
        endings: gives the endings of what the workflow makes.

    Raises:
        CommandFailed
    """
    try:
        made = endings()
    except (BridgeError, CommandFailed):
        return
    check_ending(output, made, "the graph" if graph is not None else f"the workflow {workflow or ''}".rstrip())


def _endings_here(bridge: Bridge, graph: Mapping[str, Any] | None, workflow: str) -> list[str] | None:
    source = bridge.library.get(workflow) if graph is None else read_workflow(graph)
    if isinstance(source, (Template, Unconverted)):
        source = bridge.templates.converted(source, Deadline(bridge.settings.timeout)).graph
    return endings_of(source)


def _endings_there(client: Client, graph: Mapping[str, Any] | None, workflow: str | None) -> list[str] | None:
    """The endings that a remote bridge's template makes, or a graph; None if the bridge does not say."""
    if graph is not None:
        source = read_workflow(graph)
        return endings_of(client.convert(graph)["prompt"] if isinstance(source, Unconverted) else source)
    said = client.workflows()
    name = workflow or said.get("default")
    with contextlib.suppress(TypeError, KeyError, AttributeError):
        return next((each.get("makes") for each in said["workflows"] if each["name"] == name), None)
    return None


def _step(class_type: str, value: float, most: float) -> str:
    return f"{class_type} {value:g}/{most:g}" if most > 1 else class_type


def _left(eta_seconds: object) -> str:
    """The remaining time: `, 12 s left`, `, 3:05 left`, `, 1:02:30 left`; empty if unknown."""
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
            self._write(f"\r[{done:<{BAR_WIDTH}}] {int(percent):3d}% {told:<{TOLD_WIDTH}}")

    def clear(self) -> None:
        if self._shown:
            self._write("\r" + " " * (BAR_WIDTH + TOLD_WIDTH + 10) + "\r")

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError:  # the terminal was closed
            self._shown = False

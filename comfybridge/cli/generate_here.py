"""`comfybridge generate` with a bridge in this process, in front of a ComfyUI or of the demo's stand-in."""

from __future__ import annotations

import argparse
import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from comfybridge.bridge import Bridge
from comfybridge.cli.endings import check_ending
from comfybridge.cli.exit_codes import UNREACHABLE
from comfybridge.cli.made import CANCEL_SECONDS, Made, ShowProgress, gone, not_cancelled
from comfybridge.cli.placing import CommandFailed, MadeFile, Named, Place
from comfybridge.cli.stopping import Stopped
from comfybridge.comfyui.events import Event
from comfybridge.comfyui.waiting.waiter import OnEvent
from comfybridge.deadline import Deadline
from comfybridge.errors import BridgeError, ComfyUIUnreachable, UnknownPrompt
from comfybridge.prompts.overall_progress import meter_of
from comfybridge.prompts.progress import Preview, Progress
from comfybridge.prompts.submission import OnQueued, Submission
from comfybridge.request import Generation, Trace
from comfybridge.serving.demo_comfyui import demo_comfyui
from comfybridge.settings import load_settings
from comfybridge.web.dialects.native.schemas import parse_generation
from comfybridge.workflow.products import endings_of
from comfybridge.workflow.template import Template
from comfybridge.workflow.unconverted import Unconverted, read_workflow


def generate_here(options: argparse.Namespace, body: dict[str, Any], place: Place, show: ShowProgress) -> Made:
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
            check_ending(options.output, asked.graph, workflow, partial(_endings, bridge, asked.graph, workflow))
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
            show(each)

    def listen(event: Event) -> None:
        for each in meter.read(event):
            tell(each)

    with _every_second(lambda: tell(meter.still())):
        yield listen, lambda again: meter.follow(again)
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
        return gone(generation.prompt_id)
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
        return not_cancelled(prompt_id, error.message)
    return f"Prompt {prompt_id} was cancelled."


def _endings(bridge: Bridge, graph: Mapping[str, Any] | None, workflow: str) -> list[str] | None:
    source = bridge.library.get(workflow) if graph is None else read_workflow(graph)
    if isinstance(source, (Template, Unconverted)):
        source = bridge.templates.converted(source, Deadline(bridge.settings.timeout)).graph
    return endings_of(source)

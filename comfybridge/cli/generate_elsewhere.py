"""`comfybridge generate` with a bridge that runs elsewhere."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Mapping
from functools import partial
from typing import Any

from comfybridge.cli.elsewhere import client_of
from comfybridge.cli.endings import check_ending
from comfybridge.cli.made import CANCEL_SECONDS, Made, ShowProgress, gone, not_cancelled
from comfybridge.cli.placing import MadeFile, Named, Place
from comfybridge.cli.stopping import Stopped
from comfybridge.client import Client
from comfybridge.errors import BridgeError
from comfybridge.prompts.progress import Progress, Queued
from comfybridge.request import Generation, GenerationRequest
from comfybridge.web.dialects.native.schemas import parse_generation
from comfybridge.workflow.products import endings_of
from comfybridge.workflow.unconverted import Unconverted, read_workflow


def generate_elsewhere(options: argparse.Namespace, body: dict[str, Any], place: Place, show: ShowProgress) -> Made:
    """Make the outputs with a bridge elsewhere, following its events."""
    client = client_of(options)
    asked = parse_generation(body)
    if isinstance(place, Named):
        name = asked.template_name("")
        check_ending(options.output, asked.graph, name, partial(_endings, client, asked.graph, name))
    generation = _followed(client, asked, show)
    again = f"{client.url}/results/{generation.prompt_id} has the outputs for as long as ComfyUI remembers them."
    if any(each.type == "websocket" for each in generation.outputs):
        again = gone(generation.prompt_id)
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
                show(event)
            elif isinstance(event, Generation):
                return event
    except Stopped as stop:
        raise type(stop)(_cancelled(client, prompt_id)) from None
    raise AssertionError("events end with a generation, or raise")


def _cancelled(client: Client, prompt_id: str) -> str:
    """Have a bridge cancel a prompt; returns a sentence that says how that went."""
    if not prompt_id:  # the bridge notices that its caller is gone
        return "Stopped before the bridge named a prompt; if it queued one, it cancels that one."
    try:
        client.cancel(prompt_id, CANCEL_SECONDS)
    except BridgeError as error:
        return not_cancelled(prompt_id, error.message)
    return f"Prompt {prompt_id} was cancelled."


def _endings(client: Client, graph: Mapping[str, Any] | None, workflow: str | None) -> list[str] | None:
    """The endings that a remote bridge's template makes, or a graph; None if the bridge does not say."""
    if graph is not None:
        source = read_workflow(graph)
        return endings_of(client.convert(graph)["prompt"] if isinstance(source, Unconverted) else source)
    said = client.workflows()
    name = workflow or said.get("default")
    with contextlib.suppress(TypeError, KeyError, AttributeError):
        return next((each.get("makes") for each in said["workflows"] if each["name"] == name), None)
    return None

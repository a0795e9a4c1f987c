"""Writes a generation as OpenAI's JSON, and as the events of a stream."""

from __future__ import annotations

import base64
import time
from collections.abc import Generator, Sequence
from functools import partial
from typing import Any, cast

from comfybridge.errors import BridgeError, NoOutput
from comfybridge.expected_size import size_warnings
from comfybridge.files.delivery import DeliveredFile, Delivery
from comfybridge.prompts.progress import Preview, Progress, Queued
from comfybridge.request import Generation, Output
from comfybridge.web.answers.embedding import PLACE, json_with_files
from comfybridge.web.answers.events import frame, framed
from comfybridge.web.answers.links import LinkTo
from comfybridge.web.answers.sending import Body, Streamed
from comfybridge.web.answers.style import EventStyle, Style
from comfybridge.web.dialects.openai.answers import (
    NO_USAGE,
    CompletedEvent,
    Extras,
    ImagesAnswer,
    PartialImageEvent,
    Picture,
    error_body,
    error_event,
)
from comfybridge.web.dialects.openai.schemas import ImageFields

AUTO = "auto"
ECHOED = {"quality": ("low", "medium", "high", "xhigh", "max"), "background": ("opaque", "transparent")}


def style_of(fields: ImageFields, kind: str, link_to: LinkTo | None) -> Style:
    """How the answer to one request is written.

    Args:
        kind: what the names of events begin with, such as `image_edit`.
        link_to: returns the URL that stands for a picture; None: the answer has it in base64.
    """
    told = _Previews(fields, kind).told
    result = partial(_completed, fields=fields, kind=kind)
    return Style(partial(_answer, fields=fields, link_to=link_to), error_body, EventStyle(told, result, _failed))


def _answer(generation: Generation, fields: ImageFields, link_to: LinkTo | None) -> Body:
    """The JSON of a generation.

    Raises:
        NoOutput: it has no picture.
        ComfyUIError, ComfyUIUnreachable, TimedOut: a file could not be fetched.
    """
    images = _images(generation)
    delivery = Delivery(images)
    pictures: list[Picture] = [{"b64_json": PLACE} for _ in delivery.files]
    if link_to is not None:
        pictures = [{"url": link_to(file.output)} for file in delivery.files]

    def body() -> ImagesAnswer:
        said: dict[str, Any] = {
            "created": int(time.time()),
            "data": pictures,
            "output_format": _format(delivery.files[0]),
            "size": _size(delivery.files[0]),
            **{name: value for name in ECHOED if (value := getattr(fields, name)) in ECHOED[name]},
            "comfybridge": _extras(generation, delivery),
        }
        return cast(ImagesAnswer, {name: value for name, value in said.items() if value is not None})

    return json_with_files(generation, delivery, [] if link_to is not None else delivery.files, body)


def _completed(generation: Generation, fields: ImageFields, kind: str) -> Body:
    """An event for each picture; raises what `_answer` raises."""
    delivery = Delivery(_images(generation))
    event = f"{kind}.completed"

    def body(file: DeliveredFile) -> CompletedEvent:
        return {
            "type": event,
            "b64_json": PLACE,
            "created_at": int(time.time()),
            "output_format": _format(file),
            "size": _size(file) or AUTO,
            "quality": fields.quality or AUTO,
            "background": fields.background or AUTO,
            "usage": NO_USAGE,
            "comfybridge": _extras(generation, delivery),
        }

    is_in_memory = delivery.is_in_memory
    frames = [
        framed(event, json_with_files(generation, delivery, [file], partial(body, file))) for file in delivery.files
    ]
    if is_in_memory:
        return b"".join(each for each in frames if isinstance(each, bytes))
    return Streamed(_in_a_row(frames), None, delivery, generation)


def _failed(error: BridgeError, request_id: str) -> bytes:
    return frame("error", error_event(error, request_id))


def _in_a_row(bodies: Sequence[Body]) -> Generator[bytes, None, None]:
    for each in bodies:
        if isinstance(each, bytes):
            yield each
        else:
            yield from each.chunks


def _images(generation: Generation) -> list[Output]:
    images = generation.images
    if not images:
        kinds = ", ".join(dict.fromkeys(each.kind for each in generation.outputs))
        raise NoOutput(
            f"The workflow made no picture, but {kinds}; POST /generate returns such outputs.",
            prompt_id=generation.prompt_id,
        )
    return images


def _extras(generation: Generation, delivery: Delivery) -> Extras:
    files = delivery.files
    warnings = [*generation.warnings, *delivery.warnings, *(each for file in files for each in file.warnings)]
    others = dict.fromkeys(each.kind for each in generation.outputs if each.kind != "image")
    if others:
        warnings.append(f"The workflow also made {', '.join(others)}, left out here; POST /generate returns all.")
    warnings += size_warnings(generation.size, [file.pixels for file in files if file.pixels])
    extras: Extras = {"prompt_id": generation.prompt_id, "seed": generation.seed, "warnings": warnings}
    if len(generation.parts) > 1:
        extras["seeds"] = [part.seed for part in generation.parts]
        extras["prompt_ids"] = [part.prompt_id for part in generation.parts]
    return extras


def _format(file: DeliveredFile) -> str:
    return file.media_type.rpartition("/")[2]


def _size(file: DeliveredFile) -> str | None:
    return None if file.pixels is None else "{}x{}".format(*file.pixels)


class _Previews:
    """Chooses the previews that become partial images: as many as asked at most, spread over the prompt's run."""

    def __init__(self, fields: ImageFields, kind: str) -> None:
        self._fields = fields
        self._event = f"{kind}.partial_image"
        self._most = fields.partial_images or 0
        self._sent = 0
        self._percent = 0.0

    def told(self, heard: Queued | Progress | Preview) -> bytes:
        """The event for a preview whose turn it is; nothing for others and for progress."""
        if isinstance(heard, Progress):
            self._percent = heard.percent
        due = 100 * (self._sent + 1) / (self._most + 1)
        if not isinstance(heard, Preview) or self._sent >= self._most or self._percent < due:
            return b""
        fields = self._fields
        event: PartialImageEvent = {
            "type": self._event,
            "b64_json": base64.b64encode(heard.data).decode("ascii"),
            "partial_image_index": self._sent,
            "created_at": int(time.time()),
            "output_format": heard.media_type.rpartition("/")[2],
            "size": fields.size or AUTO,
            "quality": fields.quality or AUTO,
            "background": fields.background or AUTO,
        }
        self._sent += 1
        return frame(self._event, event)

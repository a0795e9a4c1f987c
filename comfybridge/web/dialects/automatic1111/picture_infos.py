"""`POST /sdapi/v1/png-info` and `/interrogate`: what pictures hold, and what they show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from flask import Response, jsonify
from pydantic import Field
from typing_extensions import TypedDict

from comfybridge.errors import InvalidRequest, NotFound
from comfybridge.files.sent import LinkedFile
from comfybridge.media import embedded_graph, file_extension
from comfybridge.media.comments import user_comment
from comfybridge.media.containers import Malformed
from comfybridge.media.metadata import read_metadata
from comfybridge.web.describing import describes, json_answer
from comfybridge.web.dialects.automatic1111.blueprint import blueprint
from comfybridge.web.dialects.automatic1111.errors import Problem, Unprocessable
from comfybridge.web.dialects.automatic1111.fields import InterrogateBody, PictureBody
from comfybridge.web.dialects.automatic1111.infotexts import infotext, parsed
from comfybridge.web.dialects.automatic1111.models import bare
from comfybridge.web.dialects.automatic1111.refusals import shown_number
from comfybridge.web.dialects.automatic1111.requests import file_in
from comfybridge.web.dialects.automatic1111.results import KEYWORD
from comfybridge.web.dialects.automatic1111.samplers import shown_sampler, shown_scheduler
from comfybridge.web.dialects.automatic1111.views import BODY_ERRORS, TAG, read_body
from comfybridge.workflow.discovery import examine
from comfybridge.workflow.graph import check_graph
from comfybridge.workflow.links import literal_value

PROMPT = "prompt"  # what ComfyUI calls a graph in a picture


class InfoAnswer(TypedDict):
    """What a picture holds."""

    info: Annotated[str, Field(description="AUTOMATIC1111's text, or one made from ComfyUI's graph; empty if none")]
    items: Annotated[dict[str, str], Field(description="all texts of the picture, ComfyUI's graphs among them")]
    parameters: Annotated[dict[str, Any], Field(description="the values in the text, by name")]


class CaptionAnswer(TypedDict):
    """What a picture shows."""

    caption: str


@blueprint.post("/png-info")
@describes(
    tag=TAG,
    body={"application/json": PictureBody},
    answers=json_answer("What the picture holds.", InfoAnswer),
    raises=BODY_ERRORS,
)
def png_info() -> Response:
    """The texts in a picture (PNG, WebP or JPEG), and how it was made as far as they say."""
    file = file_in("image", read_body(PictureBody).image, "image")
    if isinstance(file, LinkedFile):
        raise Unprocessable([Problem("image", "image is a URL; send the picture itself, as base64.")])
    if file_extension(file.data) is None:
        raise Unprocessable([Problem("image", "image is not a picture that can be read.")])
    try:
        metadata = read_metadata(file.data)
    except Malformed as error:
        raise Unprocessable([Problem("image", f"image can't be read: {error}.")]) from None
    texts = metadata.texts
    info = texts.get(KEYWORD) or user_comment(metadata.exif) or (_from_graph(file.data) if PROMPT in texts else "")
    items = {name: text for name, text in texts.items() if name != KEYWORD}
    body: InfoAnswer = {"info": info, "items": items, "parameters": parsed(info) if info else {}}
    return jsonify(body)


@blueprint.post("/interrogate")
@describes(
    tag=TAG,
    body={"application/json": InterrogateBody},
    answers=json_answer("What the picture shows.", CaptionAnswer),
    raises=(*BODY_ERRORS, NotFound),
)
def interrogate() -> Response:
    """Not possible: no workflow describes pictures."""
    read_body(InterrogateBody)
    raise NotFound("This bridge describes no pictures; a workflow that does can be run with POST /generate.")


def _from_graph(data: bytes) -> str:
    """AUTOMATIC1111's text for the graph in a picture; empty if that shows nothing."""
    try:
        graph = check_graph(embedded_graph(data))
    except InvalidRequest:
        return ""
    found = {
        name: literal_value(graph, parameter.targets[0]) for name, parameter in examine(graph).parameters.items()
    }
    return _text(found)


def _text(found: Mapping[str, Any]) -> str:
    width, height, model = found.get("width"), found.get("height"), found.get("model")
    sampler, scheduler = found.get("sampler_name"), found.get("scheduler")
    return infotext(
        str(found.get("prompt") or ""),
        str(found.get("negative_prompt") or ""),
        {
            "Steps": found.get("steps"),
            "Sampler": shown_sampler(sampler) if isinstance(sampler, str) else None,
            "Schedule type": shown_scheduler(scheduler) if isinstance(scheduler, str) else None,
            "CFG scale": shown_number(found.get("cfg")),
            "Seed": found.get("seed"),
            "Size": f"{width}x{height}" if width and height else None,
            "Model": bare(model) if isinstance(model, str) else None,
            "Denoising strength": shown_number(found.get("denoise")),
        },
    ).strip()

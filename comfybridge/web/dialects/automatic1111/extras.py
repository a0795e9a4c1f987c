"""`POST /sdapi/v1/extra-single-image` and `/extra-batch-images`: larger pictures."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Annotated

from flask import Response, jsonify
from pydantic import Field
from typing_extensions import TypedDict

from comfybridge.request import Generation, GenerationRequest
from comfybridge.web.answers.answering import answer
from comfybridge.web.answers.embedding import PLACE, json_with_files
from comfybridge.web.answers.negotiation import JSON_ONLY
from comfybridge.web.answers.one_by_one import run_one_by_one
from comfybridge.web.answers.sending import Body
from comfybridge.web.answers.style import Style
from comfybridge.web.current import current_bridge, current_owner, request_deadline
from comfybridge.web.describing import describes, json_answer
from comfybridge.web.dialects.automatic1111.blueprint import blueprint
from comfybridge.web.dialects.automatic1111.errors import error_body
from comfybridge.web.dialects.automatic1111.fields import BatchExtrasBody, ExtrasBody, SingleExtrasBody
from comfybridge.web.dialects.automatic1111.requests import file_in
from comfybridge.web.dialects.automatic1111.results import pictures_of
from comfybridge.web.dialects.automatic1111.server import models_of
from comfybridge.web.dialects.automatic1111.upscalers import with_method, with_model
from comfybridge.web.dialects.automatic1111.upscaling import check, method_of, upscaling
from comfybridge.web.dialects.automatic1111.views import PICTURE_ERRORS, TAG, read_body

IMAGE = "image"  # the parameter of templates


class LargerPictureAnswer(TypedDict):
    """A larger picture."""

    html_info: str
    image: Annotated[str, Field(description="base64 of a PNG; empty if show_extras_results is false")]


class LargerPicturesAnswer(TypedDict):
    """Larger pictures."""

    html_info: str
    images: Annotated[list[str], Field(description="base64 of a PNG each")]


@blueprint.post("/extra-single-image")
@describes(
    tag=TAG,
    body={"application/json": SingleExtrasBody},
    answers=json_answer("The picture.", LargerPictureAnswer),
    raises=PICTURE_ERRORS,
)
def extra_single_image() -> Response:
    """Make a picture larger, with a workflow for the task upscale: by resampling, or by a model."""
    body = read_body(SingleExtrasBody)
    [asked] = _asked(body, [("image", body.image)])
    is_shown = body.show_extras_results is not False
    style = Style(lambda generation: _written(generation, is_shown=is_shown), error_body)
    return answer(asked, JSON_ONLY, style, shows_progress=True)


@blueprint.post("/extra-batch-images")
@describes(
    tag=TAG,
    body={"application/json": BatchExtrasBody},
    answers=json_answer("The pictures.", LargerPicturesAnswer),
    raises=PICTURE_ERRORS,
)
def extra_batch_images() -> Response:
    """Make several pictures larger, one after the other; each counts as a request of its own."""
    body = read_body(BatchExtrasBody)
    asked = _asked(body, [(f"imageList.{index}.data", each.data) for index, each in enumerate(body.imageList)])
    found: LargerPicturesAnswer = {"html_info": "", "images": run_one_by_one(asked, _base64)}
    return jsonify(found)


def _asked(body: ExtrasBody, pictures: list[tuple[str, str]]) -> Iterator[GenerationRequest]:
    """The request for each picture, by the field that holds it."""
    check(body)
    bridge, deadline, owner = current_bridge(), request_deadline(), current_owner()
    if method_of(body.upscaler_1) is not None:
        template, models = with_method(bridge, deadline, owner), []
    else:
        template = with_model(bridge, deadline, owner)
        models = models_of(bridge, template, deadline)
    files = [(field, file_in(field, text, IMAGE)) for field, text in pictures]  # all, before the first is run
    return (upscaling(body, field, file, template, models) for field, file in files)


def _written(generation: Generation, *, is_shown: bool) -> Body:
    delivery = pictures_of(generation)
    places = delivery.files[:1] if is_shown else []
    body: LargerPictureAnswer = {"html_info": "", "image": PLACE if is_shown else ""}
    return json_with_files(generation, delivery, places, lambda: body)


def _base64(generation: Generation) -> str:
    delivery = pictures_of(generation)
    try:
        return base64.b64encode(b"".join(delivery.chunks(delivery.files[0]))).decode("ascii")
    finally:
        delivery.close()

"""`POST /sdapi/v1/txt2img` and `/img2img`: pictures of a text, or of a text and a picture."""

from __future__ import annotations

from flask import Response

from comfybridge.web.answers.answering import answer
from comfybridge.web.answers.negotiation import JSON_ONLY
from comfybridge.web.current import request_deadline
from comfybridge.web.describing import describes, json_answer
from comfybridge.web.dialects.automatic1111.blueprint import blueprint
from comfybridge.web.dialects.automatic1111.fields import ImageToImageBody, TextToImageBody
from comfybridge.web.dialects.automatic1111.requests import image_to_image, text_to_image
from comfybridge.web.dialects.automatic1111.results import PicturesAnswer, style_of
from comfybridge.web.dialects.automatic1111.views import PICTURE_ERRORS, TAG, read_body, template_for
from comfybridge.web.parsing.idempotency import HEADER, KEY

PICTURES = json_answer("The pictures.", PicturesAnswer)


@blueprint.post("/txt2img")
@describes(
    tag=TAG,
    body={"application/json": TextToImageBody},
    examples={"application/json": {"a picture": {"prompt": "a lighthouse", "steps": 20, "sampler_name": "Euler a"}}},
    headers={HEADER: KEY},
    answers=PICTURES,
    raises=PICTURE_ERRORS,
)
def txt2img() -> Response:
    """Make pictures of a text, with the workflow for the task txt2img.

    What a request leaves out is as the workflow has it. Unknown fields are ignored.
    """
    body = read_body(TextToImageBody)
    template, known = template_for("txt2img", body, request_deadline())
    asked = text_to_image(body, template, known)
    return answer(asked, JSON_ONLY, style_of(body, template), shows_progress=True)


@blueprint.post("/img2img")
@describes(
    tag=TAG,
    body={"application/json": ImageToImageBody},
    headers={HEADER: KEY},
    answers=PICTURES,
    raises=PICTURE_ERRORS,
)
def img2img() -> Response:
    """Make pictures of a text and a picture, with the workflow for the task img2img, or inpaint if there is a mask.

    If a width or a height is given, the picture is brought to it first, as `resize_mode` says.
    """
    body = read_body(ImageToImageBody)
    template, known = template_for("inpaint" if body.mask else "img2img", body, request_deadline())
    asked = image_to_image(body, template, known)
    return answer(asked, JSON_ONLY, style_of(body, template), shows_progress=True)

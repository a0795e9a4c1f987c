"""The fields of a request, checked by pydantic: those of OpenAI's Images API, and short names of the bridge's own."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SkipValidation,
    StrictStr,
    WithJsonSchema,
    model_validator,
)
from typing_extensions import TypedDict

from comfybridge.web.parsing.lenient import Boolean, Integer, Number

LONGEST_PROMPT = 32_000
MOST_PICTURES = 10
MOST_IMAGES = 16
MOST_PARTIAL_IMAGES = 3
SIZE = "^(auto|[0-9]{1,5}x[0-9]{1,5})$"

Quality = Literal["auto", "low", "medium", "high", "xhigh", "max", "standard", "hd"]
Background = Literal["auto", "opaque", "transparent"]
Format = Literal["png", "webp", "jpeg"]
# Fields that forms of web pages send empty.
CHOICES = ("size", "quality", "background", "output_format", "response_format")
NOT_USED = "accepted and not used"


def _size(value: object) -> object:
    text = value.strip().lower() if isinstance(value, str) else ""
    if re.fullmatch(SIZE, text):
        return text
    raise ValueError("auto, or WIDTHxHEIGHT in pixels, such as 1024x1024")


def _nothing(value: object) -> object:
    if value is None:
        return value
    raise ValueError("left out, because this server does not support it")


Size = Annotated[str, BeforeValidator(_size), WithJsonSchema({"type": "string", "pattern": SIZE})]
# A field that asks for something that no workflow can do.
Unsupported = Annotated[None, BeforeValidator(_nothing), WithJsonSchema({"type": "null"})]


class ImageFields(BaseModel):
    """The fields that generations and edits have in common."""

    model_config = ConfigDict(extra="forbid", strict=True)

    prompt: Annotated[StrictStr, Field(min_length=1, max_length=LONGEST_PROMPT)] = Field(
        description="what the picture shows"
    )
    model: StrictStr | None = Field(
        None,
        description="a workflow, or a model for the default workflow, as /v1/models lists them; names of OpenAI's, "
        "such as gpt-image-2, mean the default workflow",
    )
    n: Annotated[Integer, Field(ge=1, le=MOST_PICTURES)] | None = Field(None, description="how many pictures to make")
    size: Size | None = Field(None, description="WIDTHxHEIGHT; auto: the workflow's own")
    quality: Quality | None = Field(None, description="a preset of the workflow, if it has one of that name")
    background: Background | None = Field(None, description="a preset of the workflow, if it has one of that name")
    output_format: Format | None = Field(
        None, description="the format to convert to; as ComfyUI made it if not given"
    )
    output_compression: Annotated[Integer, Field(ge=0, le=100)] | None = Field(
        None, description="the quality of jpeg and webp"
    )
    response_format: Literal["b64_json", "url"] | None = Field(
        None, description="url: a link that is valid for an hour; the default is b64_json, and url for dall-e models"
    )
    stream: Boolean | None = Field(None, description="whether to answer with server-sent events")
    partial_images: Annotated[Integer, Field(ge=0, le=MOST_PARTIAL_IMAGES)] | None = Field(
        None, description="how many previews to send before each picture, at most, in a stream"
    )
    user: Any = Field(None, description=NOT_USED)
    safety_identifier: Any = Field(None, description=NOT_USED)
    moderation: Any = Field(None, description=NOT_USED)
    style: Any = Field(None, description=NOT_USED)
    complexity: Any = Field(None, description=NOT_USED)
    input_fidelity: Any = Field(None, description=NOT_USED)
    frame_count: Unsupported = None
    frame_duration_ms: Unsupported = None
    svg: Unsupported = None
    negative_prompt: StrictStr | None = Field(None, description="the bridge's own: what the picture should not show")
    seed: Integer | None = Field(None, description="the bridge's own: the start of the random noise; -1 draws one")
    steps: Integer | None = Field(None, description="the bridge's own: how many steps to sample")
    cfg: Number | None = Field(None, description="the bridge's own: how closely to follow the prompt")
    sampler_name: StrictStr | None = Field(None, description="the bridge's own: the sampling method, such as euler")
    scheduler: StrictStr | None = Field(None, description="the bridge's own: how the noise is spread over the steps")
    denoise: Number | None = Field(None, description="the bridge's own: how much of the start to replace, 0 to 1")
    width: Integer | None = Field(None, description="the bridge's own: in place of size")
    height: Integer | None = Field(None, description="the bridge's own: in place of size")
    params: dict[str, Any] | None = Field(
        None, description="the bridge's own: values by parameter of the workflow, or by NODE.INPUT"
    )
    timeout: Annotated[Number, Field(gt=0)] | None = Field(
        None, description="the bridge's own: seconds, including the time in ComfyUI's queue"
    )

    @model_validator(mode="before")
    @classmethod
    def _without_blanks(cls, fields: Any) -> Any:
        if not isinstance(fields, dict):
            return fields
        return {name: value for name, value in fields.items() if value != "" or name not in CHOICES}


class ImagesBody(ImageFields):
    """The body of `POST /v1/images/generations`."""


class ImageReference(TypedDict):
    """A picture in a JSON body."""

    image_url: Annotated[str, Field(description="a data URI, or an http or https URL")]


# `edits.py` checks it, with sentences that name the field.
Picture = Annotated[str | ImageReference | None, SkipValidation]
Pictures = Annotated[str | ImageReference | list[str | ImageReference] | None, SkipValidation]


class EditBody(ImageFields):
    """The JSON body of `POST /v1/images/edits`; a form has the same fields, and files in `image` and `mask`."""

    image: Pictures = Field(None, description="the picture to edit, or several: base64, a data URI or a URL")
    images: Pictures = Field(None, description="the same as image")
    mask: Picture = Field(None, description="a picture whose transparent pixels mark what to edit")
    markup: Unsupported = None

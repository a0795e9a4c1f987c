"""The wire format of a generation request: names, aliases and types, checked by pydantic."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    SkipValidation,
    StrictStr,
    WithJsonSchema,
)
from typing_extensions import TypedDict

from comfybridge.errors import InvalidRequest
from comfybridge.files.sent import read_images
from comfybridge.media import usual_media_type
from comfybridge.request import GenerationRequest, InputFile, OutputOptions
from comfybridge.web.dialects.native.envelopes import opened
from comfybridge.web.dialects.native.unknown_fields import ParametersOf, of_unknown
from comfybridge.web.parsing.lenient import Boolean, Integer, Number, not_blank, whole
from comfybridge.web.parsing.models import validated
from comfybridge.web.parsing.written_fields import read_texts

COLOR = "^#[0-9a-fA-F]{6}$"


def _format(value: object) -> object:
    """The name of a format: endings and media types are names too."""
    if not isinstance(value, str):
        return value
    name = value.strip().lower().removeprefix("image/")
    return usual_media_type(f"image/{name}").removeprefix("image/")


def _color(value: object) -> object:
    if isinstance(value, str) and re.fullmatch(COLOR, value):
        return value
    raise ValueError("a colour as #rrggbb")


def _texts_by_name(value: object) -> object:
    if value is None or (isinstance(value, dict) and all(isinstance(each, str) for each in value.values())):
        return value
    raise ValueError('an object of texts, such as {"quality": "high"}')


class OutputBody(BaseModel):
    """The `output` object of a request: how to return the outputs."""

    model_config = ConfigDict(extra="forbid", strict=True)

    format: Annotated[Literal["png", "jpeg", "webp"] | None, BeforeValidator(_format)] = Field(
        None, description="the format that still images are converted to"
    )
    quality: Integer = Field(90, ge=1, le=100, description="for jpeg and webp; no effect on png")
    lossless: Boolean = Field(False, description="webp without loss")
    background: Annotated[str, BeforeValidator(_color), WithJsonSchema({"type": "string", "pattern": COLOR})] = Field(
        "#ffffff", description="#rrggbb, the colour behind transparent pixels in jpeg"
    )
    metadata: Literal["keep", "strip"] = Field("keep", description="whether the embedded graph is kept or stripped")
    max_size: Annotated[int, Field(strict=True, ge=1, le=65535), BeforeValidator(whole)] | None = Field(
        None, description="the most pixels of either side"
    )
    nodes: Annotated[list[StrictStr], Field(min_length=1)] | None = Field(
        None, description="the output nodes to return; all if not given"
    )
    previews: Boolean = Field(False, description="whether to return previews (temp files) besides other files")
    links: Boolean = Field(
        False, description="whether the JSON answer has a url for each file, valid for 60 minutes, and no base64"
    )

    def options(self) -> OutputOptions:
        """The same for the bridge."""
        given = self.model_dump(exclude={"nodes"})
        return OutputOptions(**given, nodes=None if self.nodes is None else tuple(self.nodes))


class NamedImage(TypedDict):
    """An input file and the name that the graph mentions."""

    name: str
    image: Annotated[str, Field(description="base64, a data URI, or an http or https URL")]


# `read_images` in `files/sent.py` checks it, with sentences that name the file.
Images = Annotated[dict[str, str] | list[NamedImage] | None, SkipValidation]


class GenerateBody(BaseModel):
    """The JSON body of `POST /generate`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    workflow: StrictStr | dict[str, Any] | None = Field(
        None,
        description="a template's name (default: the configured one), or a whole graph in either format of ComfyUI's",
    )
    workflow_template: StrictStr | None = Field(None, description="a template's name, as other bridges call it")
    prompt: StrictStr | dict[str, Any] | None = Field(
        None,
        description="text, for the workflow's prompt parameter; or a whole graph in either format of ComfyUI's",
    )
    params: dict[str, Any] | None = Field(
        None, description='values by parameter name, or by "NODE.INPUT" for any input of the graph'
    )
    presets: Annotated[dict[str, str] | None, BeforeValidator(_texts_by_name)] = Field(
        None, description="values of the template's presets, which set several of its parameters", examples=[{}]
    )
    negative_prompt: StrictStr | None = Field(None, description="what the picture should not show")
    seed: Annotated[Integer | None, BeforeValidator(not_blank)] = Field(
        None, description="the start of the random noise; -1, null or an empty text draws one at random"
    )
    steps: Integer | None = Field(None, description="how many steps to sample")
    cfg: Number | None = Field(None, description="how closely to follow the prompt")
    width: Integer | None = Field(None, description="of the picture, in pixels")
    height: Integer | None = Field(None, description="of the picture, in pixels")
    batch_size: Integer | None = Field(None, description="how many pictures to make")
    image_count: Integer | None = Field(None, description="batch_size, as other bridges call it")
    n: Annotated[int, Field(strict=True, ge=1, le=64), BeforeValidator(whole)] | None = Field(
        None, description="how many prompts to run, each with a seed of its own; 1 if not given"
    )
    seed_step: Annotated[int, Field(strict=True, ge=0), BeforeValidator(whole)] | None = Field(
        None, description="by how much the seeds of these prompts differ; 1 if not given"
    )
    model: StrictStr | None = Field(None, description="the file name of a model, as /models/checkpoints lists it")
    sampler_name: StrictStr | None = Field(None, description="the sampling method, such as euler")
    scheduler: StrictStr | None = Field(None, description="how the noise is spread over the steps")
    denoise: Number | None = Field(None, description="how much of the start to replace, from 0 to 1")
    timeout: Number | None = Field(None, gt=0, description="seconds, including the time in ComfyUI's queue")
    wait: Literal["hub", "websocket", "poll"] | None = Field(None, description="how to wait for ComfyUI")
    on_timeout: Literal["cancel", "keep"] | None = Field(
        None, description="whether to cancel or keep a prompt whose time is up"
    )
    retries: Annotated[int, Field(strict=True, ge=0, le=10), BeforeValidator(whole)] | None = Field(
        None, description="how often a lost prompt is queued again"
    )
    keepalive: Number | None = Field(
        None,
        ge=0.1,
        le=600,
        description="seconds between the spaces that keep a proxy from cutting a silent connection",
    )
    images: Images = Field(
        None,
        description="input files as {name: data} or [{name, image}], data being base64, a data URI or a URL; a name "
        "is one that the graph mentions, or that of an image parameter",
    )
    dynamic_texts: Boolean | None = Field(
        None,
        description="whether to replace {a|b} in prompts and %date:...% in filename_prefix, as ComfyUI's editor "
        "does; the bridge's setting if not given",
    )
    lora_tags: Boolean | None = Field(
        None,
        description="whether <lora:NAME:WEIGHT> in the prompt is taken out of it and loads that LoRA; false if not "
        "given",
    )
    output: OutputBody | None = Field(None, description="how to return the outputs", examples=[{"format": "webp"}])
    client_id: StrictStr | None = Field(None, description="accepted and not used")
    extra_data: dict[str, Any] | None = Field(None, description="passed to ComfyUI unchanged")
    front: Boolean | None = Field(None, description="whether ComfyUI should run it before all waiting prompts")
    number: Number | None = Field(None, description="its place in ComfyUI's queue: the lowest runs first")
    partial_execution_targets: list[StrictStr] | None = Field(
        None, description="the output nodes for which ComfyUI should run the graph; all if not given"
    )
    _warnings: list[str] = PrivateAttr(default_factory=list)  # of what was in the body and is no field


Body = TypeVar("Body", bound=GenerateBody)

# The short names, by the parameter that each stands for.
SHORT_NAMES = {
    "negative_prompt": "negative_prompt",
    "seed": "seed",
    "steps": "steps",
    "cfg": "cfg",
    "width": "width",
    "height": "height",
    "batch_size": "batch_size",
    "image_count": "batch_size",
    "model": "model",
    "sampler_name": "sampler_name",
    "scheduler": "scheduler",
    "denoise": "denoise",
}


def parse_generation(body: Mapping[str, Any], parameters_of: ParametersOf = lambda _: ()) -> GenerationRequest:
    """Make the request that a JSON body asks for: `read_fields` and `generation_of` in a row."""
    return generation_of(read_fields(body, GenerateBody, parameters_of))


def read_fields(body: Mapping[str, Any], model: type[Body], parameters_of: ParametersOf = lambda _: ()) -> Body:
    """The fields of a body, which may be a graph itself, or be wrapped as other tools do it.

    Args:
        model: the model of the body, which has the fields.
        parameters_of: returns the names of a template's parameters, for the error about one in the place of a field.

    Raises:
        InvalidRequest: a field is unknown, of the wrong type, out of range, or holds what ComfyUI can't.
    """
    found = opened(body, model.model_fields)
    fields = read_texts(found.fields, model)
    read = validated(fields, model, of_unknown(fields.get("workflow"), parameters_of))
    read._warnings = found.warnings
    return read


def generation_of(fields: GenerateBody, files: Sequence[InputFile] = ()) -> GenerationRequest:
    """The request that the fields of a body ask for.

    Args:
        files: those beside the fields.

    Raises:
        InvalidRequest: a field is at odds with another, or an input file can't be read.
    """
    graph = _graph(fields)
    given = {
        name: getattr(fields, name)
        for name in (
            *("timeout", "wait", "on_timeout", "retries", "extra_data", "dynamic_texts", "lora_tags"),
            *("n", "seed_step"),
        )
    }
    return GenerationRequest(
        workflow=_workflow_name(fields, graph),
        graph=graph,
        params=_params(fields),
        presets=fields.presets or {},
        front=fields.front,
        number=fields.number,
        partial_execution_targets=fields.partial_execution_targets,
        images=[*([] if fields.images is None else read_images(fields.images)), *files],
        output=OutputOptions() if fields.output is None else fields.output.options(),
        wants_first_image=isinstance(fields.prompt, dict),
        warnings=fields._warnings,
        **{name: value for name, value in given.items() if value is not None},
    )


def _graph(fields: GenerateBody) -> dict[str, Any] | None:
    graphs = [value for value in (fields.prompt, fields.workflow) if isinstance(value, dict)]
    if len(graphs) > 1:
        raise InvalidRequest("prompt and workflow both hold a graph; one request runs one graph.", field="workflow")
    return graphs[0] if graphs else None


def _workflow_name(fields: GenerateBody, graph: dict[str, Any] | None) -> str | None:
    names = {name for name in (fields.workflow, fields.workflow_template) if isinstance(name, str)}
    if len(names) > 1:
        said = f"workflow and workflow_template name two templates ({', '.join(sorted(names))})."
        raise InvalidRequest(said, field="workflow")
    name = names.pop() if names else None
    if graph is not None and name is not None:
        said = f"The request has a whole graph and also names the workflow {name!r}; give one of them."
        raise InvalidRequest(said, field="workflow")
    return name


def _params(fields: GenerateBody) -> dict[str, Any]:
    """All parameters under their own names. A field that is null is not given, but for the seed: it is drawn."""
    params = dict(fields.params or {})
    short = [("prompt", "prompt", fields.prompt)] if isinstance(fields.prompt, str) else []
    given = fields.model_fields_set
    short += [(field, name, getattr(fields, field)) for field, name in SHORT_NAMES.items() if field in given]
    for field, name, value in short:
        if value is None and field != "seed":
            continue
        if name in params and params[name] != value and str(params[name]) != str(value):
            other = "params" if name in (fields.params or {}) else "another field"
            raise InvalidRequest(f"{field} is {value!r}, but {other} gives {name} as {params[name]!r}.", field=field)
        params[name] = value
    return params

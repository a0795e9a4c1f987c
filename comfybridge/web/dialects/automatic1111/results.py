"""Writes a generation as AUTOMATIC1111 answers: the pictures, and what it says of them as a JSON text."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field
from typing_extensions import TypedDict

from comfybridge import __version__
from comfybridge.errors import NoOutput
from comfybridge.expected_size import size_warnings
from comfybridge.files.delivery import DeliveredFile, Delivery
from comfybridge.media import png
from comfybridge.request import Generation
from comfybridge.web.answers.embedding import PLACE, json_with_files
from comfybridge.web.answers.sending import Body
from comfybridge.web.answers.style import Style
from comfybridge.web.dialects.automatic1111.errors import error_body
from comfybridge.web.dialects.automatic1111.fields import GenerationBody, ImageToImageBody
from comfybridge.web.dialects.automatic1111.infotexts import infotext
from comfybridge.web.dialects.automatic1111.models import bare
from comfybridge.web.dialects.automatic1111.names import parameter_of
from comfybridge.web.dialects.automatic1111.refusals import shown_number
from comfybridge.web.dialects.automatic1111.samplers import shown_sampler, shown_scheduler
from comfybridge.workflow.template import Template

Size = tuple[int, int]

VERSION = f"comfybridge {__version__}"
KEYWORD = "parameters"  # of the text in a PNG
PICTURES = {"init_images", "mask", "latent_mask", "firstpass_image"}
# The fields whose values are told.
TOLD = (
    *("prompt", "negative_prompt", "steps", "sampler_name", "scheduler", "cfg_scale", "width", "height", "model"),
    *("vae", "denoising_strength", "clip_skip"),
)
_LORA = "<lora:"
_NO_PICTURE = "The workflow made no picture, so there is nothing to answer with here."


class PicturesAnswer(TypedDict):
    """The pictures of a request."""

    images: Annotated[list[str], Field(description="base64, without a prefix; PNG if no other format was asked for")]
    parameters: Annotated[
        dict[str, Any],
        Field(description="the fields of the request, without its pictures, and what was used for those left out"),
    ]
    info: Annotated[str, Field(description="a JSON text: prompt, seed, all_seeds, infotexts, warnings, ...")]


def style_of(body: GenerationBody, template: Template) -> Style:
    """How a request is answered."""
    return Style(lambda generation: _written(generation, body, template), error_body)


def pictures_of(generation: Generation) -> Delivery:
    """The pictures of a generation.

    Raises:
        NoOutput: it has none.
        ComfyUIError, ComfyUIUnreachable, TimedOut: one could not be fetched.
    """
    if not generation.images:
        raise NoOutput(_NO_PICTURE, prompt_id=generation.prompt_id)
    return Delivery(generation.images)


def _written(generation: Generation, body: GenerationBody, template: Template) -> Body:
    delivery = Delivery([]) if body.send_images is False else pictures_of(generation)
    sheet = _Sheet(generation, body, template, delivery)
    return json_with_files(generation, delivery, delivery.files, sheet.body, sheet.with_infotext)


@dataclass(frozen=True)
class _Told:
    """What is told of a picture.

    Attributes:
        used: what ran, by the names of the fields.
        values: by AUTOMATIC1111's names, as in the last line of the text.
    """

    prompt: str
    negative_prompt: str
    seed: int
    size: Size
    used: Mapping[str, Any]
    values: Mapping[str, Any]
    text: str


class _Sheet:
    """What is told of the pictures of a request."""

    def __init__(self, generation: Generation, asked: GenerationBody, template: Template, delivery: Delivery) -> None:
        self._generation = generation
        self._asked = asked
        self._names = {field: parameter_of(template, field) for field in TOLD}
        self._own_model = None if template.model is None else template.model.default
        self._delivery = delivery
        self._known: dict[tuple[str, Size | None], _Told] = {}  # by the run and the size of the picture

    def body(self) -> PicturesAnswer:
        """The JSON of the answer."""
        pictures = self._pictures()
        return {
            "images": [PLACE] * len(self._delivery.files),
            "parameters": self._parameters(pictures[0]),
            "info": json.dumps(self._info(pictures)),
        }

    def _pictures(self) -> list[_Told]:
        """What is told of each picture; of each run if the answer has no pictures."""
        told = [self._told(self._part_of(file), file.pixels) for file in self._delivery.files]
        return told or [self._told(each, None) for each in self._generation.parts]

    def _parameters(self, first: _Told) -> dict[str, Any]:
        """The request's fields, and what was used where it says nothing."""
        values = first.values
        used = {**first.used, "seed": values["Seed"], "sampler_name": values["Sampler"]}
        used |= {"scheduler": values["Schedule type"], "clip_skip": values["Clip skip"], "batch_size": 1, "n_iter": 1}
        asked = self._asked.model_dump(exclude=PICTURES)
        return asked | {field: value for field, value in used.items() if field in asked and asked[field] is None}

    def with_infotext(self, file: DeliveredFile, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """A picture with its text in it, if it is a PNG."""
        for start in chunks:  # once the first has come, what it is is known
            told = self._told(self._part_of(file), file.pixels)
            yield png.with_chunk(start, png.text_chunk(KEYWORD, told.text))
            yield from chunks

    def _part_of(self, file: DeliveredFile) -> Generation:
        parts = self._generation.parts
        return next((each for each in parts if any(file.output is output for output in each.outputs)), parts[0])

    def _info(self, pictures: Sequence[_Told]) -> dict[str, Any]:
        first, values = pictures[0], pictures[0].values
        seeds = [each.seed for each in pictures]
        return {
            "prompt": first.prompt,
            "all_prompts": [each.prompt for each in pictures],
            "negative_prompt": first.negative_prompt,
            "all_negative_prompts": [each.negative_prompt for each in pictures],
            "seed": first.seed,
            "all_seeds": seeds,
            "subseed": first.seed,
            "all_subseeds": seeds,
            "subseed_strength": 0,
            "width": first.size[0],
            "height": first.size[1],
            "sampler_name": values["Sampler"] or "",
            "scheduler": values["Schedule type"] or "",
            "cfg_scale": values["CFG scale"] or 0,
            "steps": values["Steps"] or 0,
            "batch_size": self._asked.batch_size or 1,
            "restore_faces": False,
            "face_restoration_model": None,
            "sd_model_name": values["Model"] or "",
            "sd_model_hash": "",
            "sd_vae_name": values["VAE"],
            "sd_vae_hash": None,
            "seed_resize_from_w": -1,
            "seed_resize_from_h": -1,
            "denoising_strength": values["Denoising strength"],
            "extra_generation_params": {},
            "index_of_first_image": 0,
            "infotexts": [each.text for each in pictures],
            "styles": [],
            "job_timestamp": time.strftime("%Y%m%d%H%M%S"),
            "clip_skip": values["Clip skip"] or 1,
            "is_using_inpainting_conditioning": False,
            "version": VERSION,
            "prompt_id": self._generation.prompt_id,
            "warnings": self._warnings(),
        }

    def _told(self, part: Generation, pixels: Size | None) -> _Told:
        known = self._known.get((part.prompt_id, pixels))
        if known is None:
            known = self._known[part.prompt_id, pixels] = self._made(part, pixels)
        return known

    def _made(self, part: Generation, pixels: Size | None) -> _Told:
        used = {field: part.params.get(name) for field, name in self._names.items() if name is not None}
        size = pixels or (_number(used.get("width")), _number(used.get("height")))
        values = self._values(used, part.seed, size)
        prompt, negative = (self._text(used, field) for field in ("prompt", "negative_prompt"))
        return _Told(prompt, negative, _number(part.seed), size, used, values, infotext(prompt, negative, values))

    def _values(self, used: Mapping[str, Any], seed: int | None, size: Size) -> dict[str, Any]:
        sampler, scheduler, skipped = used.get("sampler_name"), used.get("scheduler"), used.get("clip_skip")
        model, vae = used.get("model") or self._own_model, used.get("vae")
        has_picture = isinstance(self._asked, ImageToImageBody)
        return {
            "Steps": used.get("steps"),
            "Sampler": shown_sampler(sampler) if isinstance(sampler, str) else None,
            "Schedule type": shown_scheduler(scheduler) if isinstance(scheduler, str) else None,
            "CFG scale": shown_number(used.get("cfg_scale")),
            "Seed": seed,
            "Size": f"{size[0]}x{size[1]}" if all(size) else None,
            "Model": bare(model) if isinstance(model, str) else None,
            "VAE": bare(vae) if isinstance(vae, str) else None,
            "Denoising strength": used.get("denoising_strength") if has_picture else None,
            "Clip skip": -skipped if isinstance(skipped, int) and skipped < -1 else None,
            "Version": VERSION,
        }

    def _text(self, used: Mapping[str, Any], field: str) -> str:
        """A prompt as it ran; with its LoRAs, which are no part of what ran."""
        asked = getattr(self._asked, field)
        if asked is not None and (_LORA in asked or field not in used):
            return str(asked)
        return str(used.get(field) or "")

    def _warnings(self) -> list[str]:
        files = self._delivery.files
        warnings = [*self._generation.warnings, *self._delivery.warnings]
        warnings += (warning for file in files for warning in file.warnings)
        return warnings + size_warnings(self._generation.size, [file.pixels for file in files if file.pixels])


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0

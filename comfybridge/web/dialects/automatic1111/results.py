"""Writes a generation as AUTOMATIC1111 answers: the pictures, and what it says of them as a JSON text."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
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
from comfybridge.web.dialects.automatic1111.fields import GenerationBody
from comfybridge.web.dialects.automatic1111.infotexts import infotext
from comfybridge.web.dialects.automatic1111.models import bare
from comfybridge.web.dialects.automatic1111.names import parameter_of, value_of
from comfybridge.web.dialects.automatic1111.refusals import shown_number
from comfybridge.web.dialects.automatic1111.samplers import shown_sampler, shown_scheduler
from comfybridge.workflow.template import Template

VERSION = f"comfybridge {__version__}"
KEYWORD = "parameters"  # of the text in a PNG
PICTURES = {"init_images", "mask", "latent_mask", "firstpass_image"}
_LORA = "<lora:"
_NO_PICTURE = "The workflow made no picture, so there is nothing to answer with here."


class PicturesAnswer(TypedDict):
    """The pictures of a request."""

    images: Annotated[list[str], Field(description="base64, without a prefix; PNG if no other format was asked for")]
    parameters: Annotated[dict[str, Any], Field(description="the fields of the request, without its pictures")]
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
class _Sheet:
    """What is said of the pictures of a request."""

    generation: Generation
    asked: GenerationBody
    template: Template
    delivery: Delivery

    def body(self) -> PicturesAnswer:
        """The JSON of the answer."""
        return {
            "images": [PLACE] * len(self.delivery.files),
            "parameters": self.asked.model_dump(exclude=PICTURES),
            "info": json.dumps(self._info()),
        }

    def with_infotext(self, file: DeliveredFile, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """A picture with its text in it, if it is a PNG."""
        for start in chunks:  # once the first has come, what it is is known
            chunk = png.text_chunk(KEYWORD, self._infotext(self._part_of(file), file.pixels))
            yield png.with_chunk(start, chunk)
            yield from chunks

    def _part_of(self, file: DeliveredFile) -> Generation:
        parts = self.generation.parts
        return next((each for each in parts if any(file.output is output for output in each.outputs)), parts[0])

    def _parts(self) -> list[tuple[Generation, tuple[int, int] | None]]:
        """For each picture, the run that made it, and its size if that is known."""
        files = self.delivery.files
        if files:
            return [(self._part_of(file), file.pixels) for file in files]
        return [(each, None) for each in self.generation.parts]

    def _info(self) -> dict[str, Any]:
        parts = self._parts()
        first, pixels = parts[0]
        values = self._values(first, pixels)
        prompts = [self._text(each, "prompt") for each, _ in parts]
        negatives = [self._text(each, "negative_prompt") for each, _ in parts]
        seeds = [_number(each.seed) for each, _ in parts]
        width, height = self._size(first, pixels)
        return {
            "prompt": prompts[0],
            "all_prompts": prompts,
            "negative_prompt": negatives[0],
            "all_negative_prompts": negatives,
            "seed": seeds[0],
            "all_seeds": seeds,
            "subseed": seeds[0],
            "all_subseeds": seeds,
            "subseed_strength": 0,
            "width": width,
            "height": height,
            "sampler_name": values["Sampler"] or "",
            "scheduler": values["Schedule type"] or "",
            "cfg_scale": values["CFG scale"] or 0,
            "steps": values["Steps"] or 0,
            "batch_size": self.asked.batch_size or 1,
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
            "infotexts": [self._infotext(*each) for each in parts],
            "styles": [],
            "job_timestamp": time.strftime("%Y%m%d%H%M%S"),
            "clip_skip": values["Clip skip"] or 1,
            "is_using_inpainting_conditioning": False,
            "version": VERSION,
            "prompt_id": first.prompt_id,
            "warnings": self._warnings(),
        }

    def _infotext(self, part: Generation, pixels: tuple[int, int] | None) -> str:
        values = self._values(part, pixels)
        return infotext(self._text(part, "prompt"), self._text(part, "negative_prompt"), values)

    def _values(self, part: Generation, pixels: tuple[int, int] | None) -> dict[str, object]:
        """What the last line of the text says, by AUTOMATIC1111's names."""
        used: Callable[[str], object] = lambda field: value_of(self.template, part.params, field)  # noqa: E731
        sampler, scheduler, model = used("sampler_name"), used("scheduler"), used("model") or self._own_model()
        skipped = used("clip_skip")
        width, height = self._size(part, pixels)
        vae = used("vae")
        return {
            "Steps": used("steps"),
            "Sampler": shown_sampler(sampler) if isinstance(sampler, str) else None,
            "Schedule type": shown_scheduler(scheduler) if isinstance(scheduler, str) else None,
            "CFG scale": shown_number(used("cfg_scale")),
            "Seed": part.seed,
            "Size": f"{width}x{height}" if width and height else None,
            "Model": bare(model) if isinstance(model, str) else None,
            "VAE": bare(vae) if isinstance(vae, str) else None,
            "Denoising strength": used("denoising_strength") if hasattr(self.asked, "init_images") else None,
            "Clip skip": -skipped if isinstance(skipped, int) and skipped < -1 else None,
            "Version": VERSION,
        }

    def _own_model(self) -> object:
        return None if self.template.model is None else self.template.model.default

    def _text(self, part: Generation, field: str) -> str:
        """A prompt as it ran; with its LoRAs, which are no part of what ran."""
        asked = getattr(self.asked, field)
        if asked is not None and (_LORA in asked or parameter_of(self.template, field) is None):
            return str(asked)
        used = value_of(self.template, part.params, field)
        return used if isinstance(used, str) else ""

    def _size(self, part: Generation, pixels: tuple[int, int] | None) -> tuple[int, int]:
        if pixels is not None:
            return pixels
        width, height = (value_of(self.template, part.params, side) for side in ("width", "height"))
        return _number(width), _number(height)

    def _warnings(self) -> list[str]:
        files: Sequence[DeliveredFile] = self.delivery.files
        warnings = [*self.generation.warnings, *self.delivery.warnings]
        warnings += (warning for file in files for warning in file.warnings)
        return warnings + size_warnings(self.generation.size, [file.pixels for file in files if file.pixels])


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0

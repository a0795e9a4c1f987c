"""From the fields of a request for larger pictures to what the bridge is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PIL import Image

from comfybridge.errors import InvalidRequest
from comfybridge.files.sent import LinkedFile
from comfybridge.request import GenerationRequest, InputFile, OutputOptions
from comfybridge.web.dialects.automatic1111 import pictures
from comfybridge.web.dialects.automatic1111.errors import Problem, UnknownChoice, Unprocessable
from comfybridge.web.dialects.automatic1111.fields import ExtrasBody
from comfybridge.web.dialects.automatic1111.models import installed
from comfybridge.web.dialects.automatic1111.names import parameter_of
from comfybridge.web.dialects.automatic1111.upscalers import LANCZOS, METHOD, METHODS, NEAREST, NONE
from comfybridge.workflow.template import Template
from comfybridge.workflow.wording import clip, describe, listed

TO_SIZE = 1  # resize_mode
FACTOR = 4.0  # AUTOMATIC1111's default
SIDE = 512
# AUTOMATIC1111's names of models that have others as files
ALIASES = {
    "r-esrgan 4x+": "RealESRGAN_x4plus",
    "r-esrgan 4x+ anime6b": "RealESRGAN_x4plus_anime_6B",
    "r-esrgan 2x+": "RealESRGAN_x2plus",
    "r-esrgan general 4xv3": "realesr-general-x4v3",
}
SCALE = "scale_by"
VISIBILITY = ("gfpgan_visibility", "codeformer_visibility")


def check(body: ExtrasBody) -> None:
    """Refuse what can't be done.

    Raises:
        Unprocessable
    """
    problems = [
        Problem(name, f"{name} is {describe(value)}; faces can't be restored here, so it must be 0.")
        for name in VISIBILITY
        if (value := getattr(body, name))
    ]
    if body.extras_upscaler_2_visibility and (body.upscaler_2 or NONE) != NONE:
        problems.append(Problem("upscaler_2", "upscaler_2 can't be mixed in; its visibility must be 0."))
    if problems:
        raise Unprocessable(problems)


def method_of(name: str | None) -> str | None:
    """ComfyUI's way to scale that an upscaler's name means; None if it is that of a model."""
    return METHODS.get((name or NONE).strip().lower())


def upscaling(
    body: ExtrasBody, field: str, file: InputFile, template: Template, models: Sequence[str] = ()
) -> GenerationRequest:
    """The request for one larger picture.

    Args:
        field: what holds the picture.
        file: the picture, named like the template's parameter for it.
        template: one for the task, with a parameter for a model or for a way to scale.
        models: the files of the models that there are.

    Raises:
        Unprocessable: the picture can't be read, or the template can't do what is asked.
        UnknownChoice: there is no such upscaler.
        Busy: too many large pictures are being read.
    """
    params: dict[str, Any] = {}
    method = method_of(body.upscaler_1)
    if method is not None:
        params[_needed(template, METHOD)] = method
    else:
        params[_needed(template, "model")] = _model(body.upscaler_1 or "", models)
    if body.resize_mode != TO_SIZE:
        _set_scale(params, template, body.upscaling_resize or FACTOR, "upscaling_resize")
    else:
        file, factor = _to_size(body, field, file)
        _set_scale(params, template, factor, "upscaling_resize_w")
    output = OutputOptions(format="png")
    return GenerationRequest(template.name, params=params, images=[file], output=output)


def _set_scale(params: dict[str, Any], template: Template, factor: float, field: str) -> None:
    """Set the factor; a field asks for it."""
    name = _needed(template, SCALE)
    try:
        template.parameters[name].check(factor)
    except InvalidRequest as error:
        message = f"{field} asks for {factor:.4g} times the size of the picture. {error.message}"
        raise Unprocessable([Problem(field, message)]) from None
    params[name] = factor


def _needed(template: Template, field: str) -> str:
    name = parameter_of(template, field)
    if name is None:
        raise Unprocessable([Problem("upscaler_1", f"The workflow {template.name} has no parameter {field}.")])
    return name


def _model(name: str, models: Sequence[str]) -> str:
    found = installed(ALIASES.get(name.strip().lower(), name), models)
    if found is None:
        offered = listed([NONE, LANCZOS, NEAREST, *models], name)
        raise UnknownChoice(f"No upscaler is called {clip(name)!r}; there are {offered}.", field="upscaler_1")
    return found


def _to_size(body: ExtrasBody, field: str, file: InputFile) -> tuple[InputFile, float]:
    """The picture, cropped to the proportions of the wanted size unless it may exceed that, and the factor to it."""
    if isinstance(file, LinkedFile):
        raise Unprocessable([Problem(field, f"{field} is a URL; with resize_mode 1, send the picture itself.")])
    wanted = body.upscaling_resize_w or SIDE, body.upscaling_resize_h or SIDE

    def cropped(image: Image.Image) -> tuple[bytes | None, float]:
        factor = max(wanted[0] / image.width, wanted[1] / image.height)
        # what the wanted size is before it is scaled
        width = min(image.width, max(1, round(wanted[0] / factor)))
        height = min(image.height, max(1, round(wanted[1] / factor)))
        if body.upscaling_crop is False or (width, height) == image.size:
            return None, factor
        left, top = (image.width - width) // 2, (image.height - height) // 2
        part = image.crop((left, top, left + width, top + height))
        return pictures.png(part), factor

    data, factor = pictures.read(field, file.data, cropped)
    return (file if data is None else InputFile(file.name, data)), factor

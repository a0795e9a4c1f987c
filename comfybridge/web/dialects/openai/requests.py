"""Turns the fields of a request into a `GenerationRequest` for a template."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from comfybridge.errors import InvalidRequest
from comfybridge.files.sent import LinkedFile
from comfybridge.media import MarkedAs, has_transparency, marked_mask, media_type_of, with_transparency
from comfybridge.request import GenerationRequest, InputFile, OutputOptions
from comfybridge.web.dialects.openai.schemas import ImageFields
from comfybridge.workflow.dialect_rules import DialectRules
from comfybridge.workflow.masks import MaskForm
from comfybridge.workflow.products import endings_of
from comfybridge.workflow.template import Template
from comfybridge.workflow.wording import clip

NAME = "openai"
MASK = "mask"
# The fields that are parameters of the workflow by the same name.
SHORT_NAMES = ("negative_prompt", "seed", "steps", "cfg", "sampler_name", "scheduler", "denoise")
# Values that ask for nothing, so that a workflow without the parameter can do them too.
HARMLESS = {"negative_prompt": "", "seed": -1, "denoise": 1.0}
# Qualities of older models, as today's.
OLD_QUALITIES = {"standard": "medium", "hd": "high"}
NO_RULES = DialectRules()
# What transparent pixels of a mask become; those of other forms stay as they are.
MARKED_AS: dict[MaskForm, MarkedAs] = {
    "opaque": "opaque",
    "red": "white",
    "green": "white",
    "blue": "white",
    "black": "black",
}


@dataclass(frozen=True)
class Pictures:
    """The files of a request.

    Attributes:
        images: the pictures to edit.
        mask: a picture whose transparent pixels mark what to edit.
    """

    images: Sequence[InputFile] = ()
    mask: InputFile | None = None


NO_PICTURES = Pictures()


def request_of(
    fields: ImageFields, template: Template, model: str | None = None, pictures: Pictures = NO_PICTURES
) -> GenerationRequest:
    """The request that some fields ask for.

    Args:
        template: the workflow to run.
        model: the model to run it with; None: its own.

    Raises:
        InvalidRequest: a field asks for what the template cannot do.
    """
    made = _Making(template)
    fields = fields.model_copy(update=dict.fromkeys(made.rules.ignore.intersection(type(fields).model_fields)))
    _check_pictures(made, fields, pictures)
    made.set("prompt", fields.prompt, is_optional=True)
    for name in SHORT_NAMES:
        made.set(name, getattr(fields, name))
    made.set("model", None if "model" in made.rules.ignore else model)
    _set_size(made, fields)
    count = _set_count(made, fields)
    return GenerationRequest(
        workflow=template.name,
        params={**made.params, **(fields.params or {})},
        images=list(_files(made, pictures)),
        output=_output(fields),
        warnings=made.warnings,
        n=count,
        presets=_presets(template, fields),
        lora_tags=True,
        timeout=fields.timeout,
    )


def field_named(name: str | None, fields: ImageFields, template: Template) -> str | None:
    """The field of a request that sets a parameter, which an error names.

    Args:
        name: of the parameter, or of the field itself.
    """
    renamed = {new: old for old, new in _rules(template).rename.items()}
    name = renamed.get(name or "", name)
    if name in (fields.params or {}):
        return name
    if name in ("width", "height") and getattr(fields, name) is None:
        return "size"
    if name in _pictures_of(template):
        return "image"
    return "n" if name == "batch_size" else name


@dataclass
class _Making:
    """A request in the making.

    Attributes:
        params: values by parameter.
        warnings: what is not done as asked.
    """

    template: Template
    params: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    @property
    def rules(self) -> DialectRules:
        return _rules(self.template)

    def takes(self, name: str) -> bool:
        """Whether the template may have the parameter of a field; some are found only with a server's help."""
        found = self.template.discovery
        is_known = self.template.is_declared or found is None or not found.unknown
        return self.parameter(name) in self.template.parameters or not is_known

    def parameter(self, name: str) -> str:
        """The parameter of a field."""
        return self.rules.rename.get(name, name)

    def set(self, name: str, value: object, *, is_optional: bool = False) -> None:
        """Set the parameter of a field, unless it is not given.

        Args:
            is_optional: whether a template without the parameter leads to a warning instead of an error.
        """
        if value is None or (HARMLESS.get(name) == value and not self.takes(name)):
            return
        if is_optional and not self.takes(name):
            self.warnings.append(f"The workflow {clip(self.template.name)} takes no {name}, which is ignored.")
        else:
            self.params[self.parameter(name)] = value


def _rules(template: Template) -> DialectRules:
    return template.dialects.get(NAME, NO_RULES)


def _check_pictures(made: _Making, fields: ImageFields, pictures: Pictures) -> None:
    """Refuse a workflow that makes no picture, or that needs one that the request does not have."""
    template, shown, given = made.template, clip(made.template.name), fields.params or {}
    makes = None if template.tasks else endings_of(template.graph)
    kinds = dict.fromkeys(media_type_of(f"file.{each}")[1] for each in makes or ())
    if kinds and "image" not in kinds:
        raise InvalidRequest(
            f"The workflow {shown} makes no picture, but {', '.join(kinds)}; POST /generate runs it.", field="model"
        )
    needed = [each.name for each in template.parameters.values() if each.type == "image" and each.required]
    if not pictures.images and any(name not in given for name in needed):
        raise InvalidRequest(
            f"The workflow {shown} needs a picture; POST /v1/images/edits takes pictures.", field="model"
        )
    if pictures.images and pictures.mask is None and MASK in needed and MASK not in given:
        raise InvalidRequest(
            f"The workflow {shown} needs mask, a picture whose transparent pixels mark what to edit.", field=MASK
        )


def _pictures_of(template: Template) -> list[str]:
    """The parameters for pictures, but the mask."""
    return [each.name for each in template.parameters.values() if each.type == "image" and each.name != MASK]


def _set_size(made: _Making, fields: ImageFields) -> None:
    """The size; clients always send one, also to workflows that take none."""
    made.set("width", fields.width)
    made.set("height", fields.height)
    if fields.size is None or fields.size == "auto":
        return
    sides = dict(zip(("width", "height"), map(int, fields.size.split("x")), strict=True))
    if not any(map(made.takes, sides)):
        made.warnings.append(f"The workflow {clip(made.template.name)} takes no size, which is ignored.")
        return
    for name, value in sides.items():
        if getattr(fields, name) is None:
            made.set(name, value, is_optional=True)


def _set_count(made: _Making, fields: ImageFields) -> int:
    """Have the workflow make several pictures at once if it can. Returns how often to run it."""
    name = made.rules.rename.get("n", "batch_size")
    parameter = made.template.parameters.get(name)
    if fields.n is None:
        return 1
    if parameter is None or fields.n > (parameter.range[1] or fields.n):
        return fields.n
    made.params[name] = fields.n
    return 1


def _presets(template: Template, fields: ImageFields) -> dict[str, str]:
    """The presets for quality and background. A quality that the template does not have has no effect."""
    chosen: dict[str, str] = {}
    qualities = template.presets.get("quality", {})
    if fields.quality is not None:
        quality = fields.quality if fields.quality in qualities else OLD_QUALITIES.get(fields.quality, fields.quality)
        if quality in qualities:
            chosen["quality"] = quality
    backgrounds = template.presets.get("background", {})
    if fields.background is not None and fields.background in backgrounds:
        chosen["background"] = fields.background
    if fields.background == "transparent":
        if "background" not in chosen:
            raise InvalidRequest(
                f"background is transparent, which the workflow {clip(template.name)} cannot do: it has no preset "
                "for that; give opaque or auto.",
                field="background",
            )
        if fields.output_format == "jpeg":
            raise InvalidRequest(
                "background is transparent, which jpeg cannot store; give output_format as png or webp.",
                field="output_format",
            )
    return chosen


def _output(fields: ImageFields) -> OutputOptions:
    options: dict[str, Any] = {"format": fields.output_format}
    if fields.output_compression is not None:
        options["quality"] = max(1, fields.output_compression)
    return OutputOptions(**options)


# -- files -----------------------------------------------------------------------------------------------------------


def _files(made: _Making, pictures: Pictures) -> Iterator[InputFile]:
    """The files under the names of the template's parameters, the mask in the form that the template reads."""
    template = made.template
    images, mask = list(pictures.images), pictures.mask
    if mask is not None:
        form = template.mask_form()
        if form is None:
            raise InvalidRequest(
                f"The workflow {clip(template.name)} takes no mask; name one for the task inpaint in model, or none.",
                field=MASK,
            )
        _check_transparent(mask)
        if form == "in_image":
            images[0] = _masked(images[0], mask)
        else:
            yield _renamed(_as_read(mask, form), MASK)
    names = _pictures_of(template)
    if len(images) > len(names):
        takes = {0: "no picture", 1: "one picture"}.get(len(names), f"{len(names)} pictures")
        raise InvalidRequest(
            f"The request has {_count(len(images))}, but the workflow {clip(template.name)} takes {takes}; name one "
            "that takes more in model, or send fewer.",
            field="image",
        )
    for name, picture in zip(names, images, strict=False):
        yield _renamed(picture, name)


def _check_transparent(mask: InputFile) -> None:
    if not isinstance(mask, LinkedFile) and has_transparency(mask.data) is False:
        raise InvalidRequest(
            "mask has no transparency; its transparent pixels mark what to edit, so it must be a PNG or WebP with an "
            "alpha channel.",
            field=MASK,
        )


def _as_read(mask: InputFile, form: MaskForm) -> InputFile:
    """A mask whose transparent pixels mark what to edit, in the form that the template reads."""
    marked = MARKED_AS.get(form)
    if marked is None:
        return mask
    _check_is_here(mask, MASK)
    return InputFile(MASK, marked_mask(MASK, mask.data, marked))


def _masked(image: InputFile, mask: InputFile) -> InputFile:
    """A picture with the transparency of a mask."""
    _check_is_here(image, "image")
    _check_is_here(mask, MASK)
    return InputFile("image", with_transparency("image", image.data, MASK, mask.data))


def _check_is_here(file: InputFile, name: str) -> None:
    if isinstance(file, LinkedFile):
        raise InvalidRequest(
            f"{name} is a URL, but this workflow reads masks in a form that it must be changed into; send the file.",
            field=name,
        )


def _renamed(file: InputFile, name: str) -> InputFile:
    return LinkedFile(name, url=file.url) if isinstance(file, LinkedFile) else InputFile(name, file.data)


def _count(number: int) -> str:
    return "one picture" if number == 1 else f"{number} pictures"

"""From the fields of a request and a template to what the bridge is asked for. Nothing is asked of a server here,
unless a name is not known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from comfybridge.errors import InvalidRequest
from comfybridge.files.sent import LinkedFile, read_file
from comfybridge.request import GenerationRequest, InputFile, OutputOptions
from comfybridge.web.dialects.automatic1111 import pictures
from comfybridge.web.dialects.automatic1111.errors import Problem, UnknownChoice, Unprocessable
from comfybridge.web.dialects.automatic1111.fields import GenerationBody, ImageToImageBody, TextToImageBody
from comfybridge.web.dialects.automatic1111.models import installed
from comfybridge.web.dialects.automatic1111.names import parameter_of, rules_of
from comfybridge.web.dialects.automatic1111.refusals import FEATURES, USUAL, shown_number
from comfybridge.web.dialects.automatic1111.samplers import AUTOMATIC, Chosen, Names, Offered, UnknownName
from comfybridge.web.dialects.automatic1111.samplers import USUAL as USUAL_OFFER
from comfybridge.web.parsing.lenient import whole
from comfybridge.workflow.template import Template
from comfybridge.workflow.wording import clip, describe, listed

MOST_PROMPTS = 64
MOST_SKIPPED = 24  # layers, of CLIPSetLastLayer
FORMATS = {"png": "png", "jpg": "jpeg", "jpeg": "jpeg", "webp": "webp"}
MODEL, SAMPLES_FORMAT = "sd_model_checkpoint", "samples_format"
# The settings that a request may override, by the field that means the same.
OVERRIDES = {MODEL: "model", "sd_vae": "vae", "CLIP_stop_at_last_layers": "clip_skip"}
_NO_VAE = ("automatic", "none", "")
PLAIN = ("prompt", "negative_prompt", "steps", "cfg_scale", "distilled_cfg_scale")
# The fields that are read whether or not the template names them.
_READ = {*PLAIN, *FEATURES, *USUAL, "batch_size", "model", "vae", "scheduler"}


@dataclass(frozen=True)
class Known:
    """What else is known when a request is read.

    Attributes:
        offered: says which samplers and schedulers the server offers.
        models: says which checkpoints it has; none if it does not say.
        default_model: the one that the caller has set for requests that name none.
        is_named: whether the model that the request names is the template itself.
    """

    offered: Callable[[], Offered] = lambda: USUAL_OFFER
    models: Callable[[], Sequence[str]] = lambda: ()
    default_model: str | None = None
    is_named: bool = False


def text_to_image(body: TextToImageBody, template: Template, known: Known) -> GenerationRequest:
    """The request that `txt2img` means.

    Raises:
        Unprocessable: it asks for something that the template can't do.
        UnknownChoice: it names a sampler, scheduler or model that there is none of.
    """
    reading = _Reading(template, known)
    reading.read(body)
    reading.give("width", body.width)
    reading.give("height", body.height)
    if body.enable_hr:
        reading.give("denoising_strength", body.denoising_strength, must=False)
    return reading.request()


def image_to_image(body: ImageToImageBody, template: Template, known: Known) -> GenerationRequest:
    """The request that `img2img` means, with its pictures prepared; raises what `text_to_image` raises, and Busy."""
    reading = _Reading(template, known)
    reading.read(body)
    for side in ("width", "height"):
        reading.give(side, getattr(body, side), must=False)  # the picture is brought to that size
    reading.give("denoising_strength", body.denoising_strength)
    if body.mask and body.inpainting_fill in (2, 3):
        reading.give("inpainting_fill", body.inpainting_fill)
    if body.mask and body.inpaint_full_res and not reading.give("inpaint_full_res", True, must=False):
        reading.warnings.append("inpaint_full_res has no effect; the whole picture is inpainted.")
    reading.check()
    reading.files = _files(body, template)
    return reading.request()


@dataclass
class _Reading:
    """A request that is being read."""

    template: Template
    known: Known
    params: dict[str, Any] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    files: Sequence[InputFile] = ()
    prompts: int = 1
    batch: int = 1
    has_lora_tags: bool = True
    output: OutputOptions = field(default_factory=lambda: OutputOptions(format="png"))

    def read(self, body: GenerationBody) -> None:
        """Read what all requests for pictures have."""
        self._read_features(body)
        for name in PLAIN:
            self.give(name, getattr(body, name))
        if body.seed != -1:
            self.give("seed", body.seed)
        self._read_counts(body)
        self._read_samplers(body)
        self._read_settings(body)
        self._read_further(body)
        self.has_lora_tags = not body.disable_extra_networks

    def give(self, name: str, value: Any, *, must: bool = True) -> bool:
        """Set the parameter that a field is for.

        Args:
            must: whether a value is refused that the template has no parameter for.

        Returns:
            Whether there is a parameter for it.
        """
        if value is None:
            return False
        parameter = parameter_of(self.template, name)
        if parameter is not None:
            self.params[parameter] = shown_number(value) if self._is_whole(parameter) else value
        elif must and name not in rules_of(self.template).ignore and value not in USUAL.get(name, ()):
            self.refuse(name, value)
        return parameter is not None

    def refuse(self, name: str, value: Any, instead: str = "") -> None:
        """Note that the template can't do what a field asks for."""
        field = next((mine for theirs, mine in OVERRIDES.items() if name.endswith(f".{theirs}")), name)
        way = instead or f"have the workflow ignore it (dialects: {{automatic1111: {{ignore: [{field}]}}}})"
        self.problems.append(
            Problem(
                name,
                f"{name} is {describe(value)}, but the workflow {clip(self.template.name)} has no parameter for it; "
                f"leave it out, or {way}.",
            )
        )

    def check(self) -> None:
        """Refuse the request if it has problems.

        Raises:
            Unprocessable
        """
        if self.problems:
            raise Unprocessable(self.problems)

    def request(self) -> GenerationRequest:
        """What the bridge is asked for; raises Unprocessable."""
        self.check()
        return GenerationRequest(
            self.template.name,
            params=self.params,
            images=self.files,
            output=self.output,
            n=self.prompts,
            seed_step=self.batch,
            lora_tags=self.has_lora_tags,
            warnings=self.warnings,
        )

    def _is_whole(self, parameter: str) -> bool:
        return self.template.parameters[parameter].type == "integer"

    def _read_features(self, body: GenerationBody) -> None:
        for name, (is_harmless, instead) in FEATURES.items():
            value = getattr(body, name) if name in body.model_fields_set else None
            if value is None or is_harmless(value) or name in rules_of(self.template).ignore:
                continue
            parameter = parameter_of(self.template, name)
            if parameter is not None and isinstance(value, (str, int, float)):
                self.params[parameter] = value
            else:
                self.refuse(name, value, instead)

    def _read_further(self, body: GenerationBody) -> None:
        """Read the fields that the template names itself."""
        for name in rules_of(self.template).rename.keys() - _READ:
            value = getattr(body, name, None)
            if isinstance(value, (str, int, float)):
                self.give(name, value)

    def _read_counts(self, body: GenerationBody) -> None:
        pictures_each, self.prompts = body.batch_size or 1, body.n_iter or 1
        if parameter_of(self.template, "batch_size") is not None:
            self.give("batch_size", body.batch_size)
            self.batch = pictures_each
        else:
            self.prompts *= pictures_each
        if self.prompts > MOST_PROMPTS:
            self.problems.append(Problem("n_iter", f"batch_size x n_iter must be at most {MOST_PROMPTS} here."))

    def _read_samplers(self, body: GenerationBody) -> None:
        ignored = rules_of(self.template).ignore
        name = None if "sampler_name" in ignored else body.sampler_name or body.sampler_index
        scheduler = None if "scheduler" in ignored else body.scheduler
        own = Chosen(self._own("sampler_name"), self._own("scheduler"))
        try:
            chosen = Names(self.known.offered, own).chosen(name, scheduler)
        except UnknownName as error:
            raise UnknownChoice(
                f"{error.field} is {describe(error.name)}; it must be one of {listed(error.names, error.name)}.",
                field=error.field,
            ) from None
        self.give("sampler_name", chosen.sampler)
        is_asked = (scheduler or AUTOMATIC).strip().lower() != AUTOMATIC
        if "scheduler" not in ignored:
            self.give("scheduler", chosen.scheduler, must=is_asked)

    def _own(self, name: str) -> str | None:
        parameter = parameter_of(self.template, name)
        value = None if parameter is None else self.template.parameters[parameter].default
        return value if isinstance(value, str) else None

    def _read_settings(self, body: GenerationBody) -> None:
        given: dict[str, tuple[str, Any]] = {
            "model": ("model", body.model),
            "clip_skip": ("clip_skip", body.clip_skip),
        }
        for name, value in (body.override_settings or {}).items():
            if value in (None, "") or name in rules_of(self.template).ignore:
                continue
            if name in OVERRIDES:
                given[OVERRIDES[name]] = (f"override_settings.{name}", value)
            elif name == SAMPLES_FORMAT:
                self._read_format(value)
            else:
                self.warnings.append(f"override_settings: {clip(name)} has no effect.")
        self._read_model(*given["model"])
        self._read_vae(*given.get("vae", ("vae", None)))
        self._read_clip_skip(*given["clip_skip"])

    def _read_format(self, value: Any) -> None:
        format = FORMATS.get(str(value).lower())
        if format is None:
            accepted = ", ".join(FORMATS)
            sentence = f"samples_format is {describe(value)}; it must be one of {accepted}."
            self.problems.append(Problem(f"override_settings.{SAMPLES_FORMAT}", sentence))
        else:
            self.output = OutputOptions(format=format)  # type: ignore[arg-type]  # one of three

    def _read_model(self, name: str, value: Any) -> None:
        wanted = value or self.known.default_model
        if not wanted or self.known.is_named or "model" in rules_of(self.template).ignore:
            return
        parameter = parameter_of(self.template, "model")
        own = self.template.model.default if self.template.model is not None else None
        if not isinstance(wanted, str):
            self.problems.append(Problem(name, f"The model is {describe(wanted)}; it must be a name."))
        elif installed(wanted, [own] if isinstance(own, str) else []) is not None:
            return
        elif parameter is None:
            if value:
                self.refuse(name, value)
            else:
                self.warnings.append(f"The model {clip(wanted)} is not used: the workflow has its own.")
        else:
            self.params[parameter] = model_called(wanted, self.known.models())

    def _read_vae(self, name: str, value: Any) -> None:
        is_asked = isinstance(value, str) and value.strip().lower() not in _NO_VAE
        if is_asked and not self.give("vae", value, must=False) and "vae" not in rules_of(self.template).ignore:
            self.refuse(name, value)

    def _read_clip_skip(self, name: str, value: Any) -> None:
        """ComfyUI counts the layers from the end, from -1 on."""
        if value is None or "clip_skip" in rules_of(self.template).ignore:
            return
        layer = whole(value)
        if not isinstance(layer, int) or isinstance(layer, bool) or layer > MOST_SKIPPED:
            message = f"{name} is {describe(value)}; it must be an integer from 1 to {MOST_SKIPPED}."
            self.problems.append(Problem(name, message))
        elif layer > 1 and not self.give("clip_skip", -layer, must=False):
            self.refuse(name, value)


def named_model(body: GenerationBody) -> str | None:
    """The model that a request names itself."""
    named = (body.override_settings or {}).get(MODEL) or body.model
    return named if isinstance(named, str) else None


def model_called(name: str, files: Sequence[str]) -> str:
    """The file of a model; the name itself if no server says which there are.

    Raises:
        UnknownChoice: there is none with that name.
    """
    if not files:
        return name
    found = installed(name, files)
    if found is None:
        raise UnknownChoice(f"No model is called '{clip(name)}'; there are {listed(files, name)}.", field="model")
    return found


# -- pictures ------------------------------------------------------------------------------------------------------


def _files(body: ImageToImageBody, template: Template) -> list[InputFile]:
    """The pictures of a request and its mask, as the template's parameters take them."""
    taking = [name for name, each in template.parameters.items() if each.type == "image" and name != "mask"]
    texts = body.init_images or []
    if not texts:
        raise Unprocessable([Problem("init_images", "init_images has no picture; it must have one or more.")])
    if len(texts) > len(taking):
        message = f"init_images has {len(texts)} pictures; the workflow {clip(template.name)} takes {len(taking)}."
        raise Unprocessable([Problem("init_images", message)])
    files = [file_in("init_images", text, name) for text, name in zip(texts, taking, strict=False)]
    if body.mask:
        first, mask = _masked(files[0], file_in("mask", body.mask, "mask"), body, template)
        return [first, *files[1:], *mask]
    return [_resized(each, body) for each in files]


def file_in(name: str, text: str, parameter: str) -> InputFile:
    """The file in a field, for a parameter.

    Raises:
        Unprocessable: it is neither base64, a data URI, nor a URL.
    """
    try:
        file = read_file(parameter, text, name)
    except InvalidRequest as error:
        raise Unprocessable([Problem(name, error.message)]) from None
    if not file.data and not isinstance(file, LinkedFile):
        raise Unprocessable([Problem(name, f"{name} has an empty picture.")])
    return file


def _size(body: ImageToImageBody, size: pictures.Size) -> pictures.Size:
    """The size that pictures of a size are brought to."""
    return body.width or size[0], body.height or size[1]


def _resized(file: InputFile, body: ImageToImageBody) -> InputFile:
    if isinstance(file, LinkedFile) or not (body.width or body.height):
        return file  # what is behind a URL is fetched later, and stays as it is
    mode = body.resize_mode or pictures.STRETCHED

    def changed(image: Any) -> bytes | None:
        size = _size(body, image.size)
        return None if size == image.size else pictures.png(pictures.resized(image, size, mode))

    data = pictures.read("init_images", file.data, changed, (body.width or 0, body.height or 0))
    return file if data is None else InputFile(file.name, data)


def _masked(
    file: InputFile, mask_file: InputFile, body: ImageToImageBody, template: Template
) -> tuple[InputFile, Iterable[InputFile]]:
    """The picture, and its mask as a file if the template takes one, both in the size that is wanted."""
    if isinstance(file, LinkedFile) or isinstance(mask_file, LinkedFile):
        name = "mask" if isinstance(mask_file, LinkedFile) else "init_images"
        message = f"{name} is a URL; a picture with a mask must be sent itself, as base64."
        raise Unprocessable([Problem(name, message)])
    form = template.mask_form()
    most = (body.width or 0, body.height or 0)
    mode = body.resize_mode or pictures.STRETCHED
    blur = (
        body.mask_blur or 0 if body.mask_blur_x is None else body.mask_blur_x,
        body.mask_blur or 0 if body.mask_blur_y is None else body.mask_blur_y,
    )
    is_rounded = body.mask_round is not False
    options = pictures.MaskOptions(bool(body.inpainting_mask_invert), blur, is_rounded)
    mask = pictures.read("mask", mask_file.data, lambda image: pictures.mask_of(image, options), most)

    def changed(image: Any) -> tuple[bytes | None, bytes | None]:
        size = _size(body, image.size)
        fitting = mask if mask.size == size else pictures.resized(mask, size, mode)
        picture = image if image.size == size else pictures.resized(image, size, mode)
        if body.inpainting_fill == pictures.AROUND:
            picture = pictures.filled(picture, fitting)
        if form == "in_image":
            return pictures.png(pictures.in_form(fitting, form, picture)), None
        made = pictures.png(pictures.in_form(fitting, form))
        return (None if picture is image else pictures.png(picture)), made

    picture, made = pictures.read("init_images", file.data, changed, most)
    first = file if picture is None else InputFile(file.name, picture)
    return first, () if made is None else (InputFile("mask", made),)

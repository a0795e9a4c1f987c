"""The fields of requests, as types that also take what programs without such types send.

A field that is absent or null counts as not given: the workflow's own value holds, not AUTOMATIC1111's default.
Unknown fields are ignored, as AUTOMATIC1111 does.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictStr

from comfybridge.web.parsing.lenient import Boolean, Integer, Number, not_blank, number, whole


def _of_one(value: object) -> object:
    """A list of the one text that some programs send without a list."""
    return [value] if isinstance(value, str) else value


def _or_none(value: object) -> object:
    """None for an empty list, which some languages send for an empty object."""
    return None if value == [] else value


def _of_number(value: object) -> object:
    """The boolean that 0 or 1 means, as in AUTOMATIC1111; other values are not changed."""
    return bool(value) if isinstance(value, (int, float)) and value in (0, 1) else value


def _of_boolean(value: object) -> object:
    """The 0 or 1 that a boolean means; other values are not changed."""
    return int(value) if isinstance(value, bool) else value


Text = StrictStr | None
Whole = Annotated[Integer | None, BeforeValidator(not_blank)]
Real = Annotated[Number | None, BeforeValidator(not_blank)]
Count = Annotated[
    Annotated[int, Field(strict=True, ge=1, le=64), BeforeValidator(whole)] | None, BeforeValidator(not_blank)
]
Side = Annotated[
    Annotated[int, Field(strict=True, ge=16, le=16384), BeforeValidator(whole)] | None, BeforeValidator(not_blank)
]
UpscaledSide = Annotated[
    Annotated[int, Field(strict=True, ge=1, le=16384), BeforeValidator(whole)] | None, BeforeValidator(not_blank)
]
Mode = Annotated[
    Annotated[int, Field(strict=True, ge=0, le=3), BeforeValidator(whole)] | None, BeforeValidator(not_blank)
]
ExtrasMode = Annotated[
    Annotated[int, Field(strict=True, ge=0, le=1), BeforeValidator(whole)] | None, BeforeValidator(not_blank)
]
Blur = Annotated[
    Annotated[int, Field(strict=True, ge=0, le=256), BeforeValidator(whole)] | None, BeforeValidator(not_blank)
]
Share = Annotated[
    Annotated[float, Field(strict=True, ge=0, le=1), BeforeValidator(number)] | None, BeforeValidator(not_blank)
]
Factor = Annotated[
    Annotated[float, Field(strict=True, gt=0, le=16), BeforeValidator(number)] | None, BeforeValidator(not_blank)
]
Truth = Annotated[Annotated[Boolean, BeforeValidator(_of_number)] | None, BeforeValidator(not_blank)]
Switch = Annotated[Annotated[Integer, BeforeValidator(_of_boolean)] | None, BeforeValidator(not_blank)]
Texts = Annotated[list[StrictStr] | None, BeforeValidator(_of_one)]
Mixed = list[Any] | None
Keyed = Annotated[dict[str, Any] | None, BeforeValidator(_or_none)]
NO_EFFECT = "accepted; it has no effect"
OF_HIRES = "for the second pass of enable_hr"


class Body(BaseModel):
    """A body whose unknown fields are ignored."""

    model_config = ConfigDict(extra="ignore", strict=True)


class GenerationBody(Body):
    """What requests for new pictures have in common."""

    prompt: Text = Field(None, description="what the picture shows; <lora:NAME:WEIGHT> in it applies a LoRA")
    negative_prompt: Text = Field(None, description="what the picture should not show")
    styles: Texts = Field(None, description="must be empty")
    seed: Whole = Field(None, description="-1, or no value, stands for a random one")
    subseed: Whole = Field(None, description=NO_EFFECT)
    subseed_strength: Real = Field(None, description="must be 0")
    seed_resize_from_h: Whole = Field(None, description="must be 0 or -1")
    seed_resize_from_w: Whole = Field(None, description="must be 0 or -1")
    sampler_name: Text = Field(None, description="AUTOMATIC1111's name or ComfyUI's, such as DPM++ 2M Karras")
    sampler_index: Text = Field(None, description="the same; counts only without sampler_name")
    scheduler: Text = Field(None, description="AUTOMATIC1111's name or ComfyUI's; Automatic: what suits the sampler")
    batch_size: Count = Field(None, description="pictures of one prompt")
    n_iter: Count = Field(None, description="prompts, each with its own seed")
    steps: Whole = Field(None, description="how many steps to sample")
    cfg_scale: Real = Field(None, description="how closely to follow the prompt")
    distilled_cfg_scale: Real = Field(None, description="the guidance of models such as Flux, if the workflow has it")
    width: Side = Field(None, description="pixels")
    height: Side = Field(None, description="pixels")
    denoising_strength: Share = Field(None, description="how much is replaced, 0 to 1")
    restore_faces: Truth = Field(None, description="must be false")
    tiling: Truth = Field(None, description="must be false")
    do_not_save_samples: Truth = Field(None, description=NO_EFFECT)
    do_not_save_grid: Truth = Field(None, description=NO_EFFECT)
    eta: Real = Field(None, description=NO_EFFECT)
    s_min_uncond: Real = Field(None, description=NO_EFFECT)
    s_churn: Real = Field(None, description=NO_EFFECT)
    s_tmax: Real = Field(None, description=NO_EFFECT)
    s_tmin: Real = Field(None, description=NO_EFFECT)
    s_noise: Real = Field(None, description=NO_EFFECT)
    override_settings: Keyed = Field(
        None,
        description="sd_model_checkpoint, sd_vae, CLIP_stop_at_last_layers, samples_format; others have no effect",
    )
    override_settings_restore_afterwards: Truth = Field(None, description=NO_EFFECT)
    refiner_checkpoint: Text = Field(None, description="must be empty")
    refiner_switch_at: Real = Field(None, description=NO_EFFECT)
    disable_extra_networks: Truth = Field(None, description="whether <lora:...> in prompts are plain text")
    firstpass_image: Text = Field(None, description="must be empty")
    comments: Keyed = Field(None, description=NO_EFFECT)
    script_name: Text = Field(None, description="must be empty")
    script_args: Mixed = Field(None, description=NO_EFFECT)
    send_images: Truth = Field(None, description="whether the answer has the pictures")
    save_images: Truth = Field(None, description=NO_EFFECT)
    alwayson_scripts: Keyed = Field(None, description="must have none that is enabled")
    infotext: Text = Field(None, description="must be empty")
    force_task_id: Text = Field(None, description=NO_EFFECT)
    model: Text = Field(None, description="the same as override_settings.sd_model_checkpoint")
    clip_skip: Whole = Field(None, description="the same as override_settings.CLIP_stop_at_last_layers")


class TextToImageBody(GenerationBody):
    """The JSON body of `POST /sdapi/v1/txt2img`."""

    enable_hr: Truth = Field(None, description="must be false")
    firstphase_width: Whole = Field(None, description=OF_HIRES)
    firstphase_height: Whole = Field(None, description=OF_HIRES)
    hr_scale: Real = Field(None, description=OF_HIRES)
    hr_upscaler: Text = Field(None, description=OF_HIRES)
    hr_second_pass_steps: Whole = Field(None, description=OF_HIRES)
    hr_resize_x: Whole = Field(None, description=OF_HIRES)
    hr_resize_y: Whole = Field(None, description=OF_HIRES)
    hr_checkpoint_name: Text = Field(None, description=OF_HIRES)
    hr_sampler_name: Text = Field(None, description=OF_HIRES)
    hr_scheduler: Text = Field(None, description=OF_HIRES)
    hr_prompt: Text = Field(None, description=OF_HIRES)
    hr_negative_prompt: Text = Field(None, description=OF_HIRES)


class ImageToImageBody(GenerationBody):
    """The JSON body of `POST /sdapi/v1/img2img`."""

    init_images: Texts = Field(None, description="the pictures to start from: base64, data URIs, or URLs")
    resize_mode: Mode = Field(
        None, description="how they are brought to width and height: 0 stretched, 1 cropped, 2 filled up, 3 as 0"
    )
    image_cfg_scale: Real = Field(None, description=NO_EFFECT)
    mask: Text = Field(None, description="a picture that is white where the other is to be repainted")
    mask_blur: Blur = Field(None, description="pixels")
    mask_blur_x: Blur = Field(None, description="pixels")
    mask_blur_y: Blur = Field(None, description="pixels")
    mask_round: Truth = Field(None, description="whether a mask in an alpha channel is made black and white")
    inpainting_fill: Mode = Field(
        None, description="what the masked place starts from: 0 the colours around it, 1 the picture"
    )
    inpaint_full_res: Truth = Field(None, description=NO_EFFECT)
    inpaint_full_res_padding: Whole = Field(None, description=NO_EFFECT)
    inpainting_mask_invert: Switch = Field(None, description="1: black is to be repainted")
    initial_noise_multiplier: Real = Field(None, description=NO_EFFECT)
    latent_mask: Text = Field(None, description="must be empty")
    include_init_images: Truth = Field(None, description=NO_EFFECT)


class ExtrasBody(Body):
    """What both requests for larger pictures have in common."""

    resize_mode: ExtrasMode = Field(None, description="0: by a factor, 1: to a size")
    show_extras_results: Truth = Field(None, description="whether the answer has the picture")
    gfpgan_visibility: Real = Field(None, description="must be 0")
    codeformer_visibility: Real = Field(None, description="must be 0")
    codeformer_weight: Real = Field(None, description=NO_EFFECT)
    upscaling_resize: Factor = Field(None, description="the factor")
    upscaling_resize_w: UpscaledSide = Field(None, description="pixels")
    upscaling_resize_h: UpscaledSide = Field(None, description="pixels")
    upscaling_crop: Truth = Field(None, description="whether what does not fit into the size is cut off")
    upscaler_1: Text = Field(None, description="a name of /sdapi/v1/upscalers; None means Lanczos")
    upscaler_2: Text = Field(None, description=NO_EFFECT)
    extras_upscaler_2_visibility: Real = Field(None, description="must be 0 if there is an upscaler_2")
    upscale_first: Truth = Field(None, description=NO_EFFECT)


class SingleExtrasBody(ExtrasBody):
    """The JSON body of `POST /sdapi/v1/extra-single-image`."""

    image: StrictStr = Field(description="the picture: base64, a data URI, or a URL")


class NamedPicture(Body):
    """A picture and its name."""

    data: StrictStr = Field(description="base64, a data URI, or a URL")
    name: Text = Field(None, description=NO_EFFECT)


class BatchExtrasBody(ExtrasBody):
    """The JSON body of `POST /sdapi/v1/extra-batch-images`."""

    imageList: Annotated[list[NamedPicture], Field(min_length=1, max_length=64)]  # noqa: N815


class PictureBody(Body):
    """The JSON body of `POST /sdapi/v1/png-info`."""

    image: StrictStr = Field(description="the picture: base64 or a data URI")


class InterrogateBody(Body):
    """The JSON body of `POST /sdapi/v1/interrogate`."""

    image: StrictStr = Field(description="the picture: base64, a data URI, or a URL")
    model: Text = Field(None, description=NO_EFFECT)

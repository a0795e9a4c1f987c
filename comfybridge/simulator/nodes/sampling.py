"""The samplers: they take their steps, announce them with previews, and output a scene to be decoded."""

from dataclasses import replace

from PIL import Image

from comfybridge.simulator.nodes.choices import SAMPLERS, SCHEDULERS
from comfybridge.simulator.nodes.definition import NodeRun, decimal, integer, node
from comfybridge.simulator.nodes.values import Conditioning, Latent, Model
from comfybridge.simulator.painter import Scene

SEED = integer(0, 0, 0xFFFFFFFFFFFFFFFF, control_after_generate=True)
CFG = decimal(8.0, 0.0, 100.0, 0.1, round=0.01)
STEPS = integer(20, 1, 10000)

# ComfyUI scales its previews to 512 pixels; a quarter of the area keeps twenty of them cheap.
_PREVIEW_PIXELS = 256


def sample(run: NodeRun, latent: Latent, scene: Scene, steps: int, denoise: float) -> Latent:
    """Runs `steps` steps with progress and previews; `denoise` is how much of the latent's picture is replaced."""
    ground = latent if latent.is_empty else replace(latent, sources=tuple(latent.pictures()), scene=None)
    done = replace(ground, scene=scene, denoise=denoise)
    preview = _shrunk(done.picture(0))
    blur = Image.effect_noise(preview.size, 80).convert("RGB")
    for number in range(1, steps + 1):
        run.step()
        run.progress(number, steps, ("JPEG", Image.blend(blur, preview, number / steps)))
    return done


def _shrunk(picture: Image.Image) -> Image.Image:
    scale = _PREVIEW_PIXELS / max(picture.size)
    return picture.resize((max(1, round(picture.width * scale)), max(1, round(picture.height * scale))))


@node(
    "KSampler",
    {
        "model": ("MODEL", {}),
        "seed": SEED,
        "steps": STEPS,
        "cfg": CFG,
        "sampler_name": (SAMPLERS, {}),
        "scheduler": (SCHEDULERS, {}),
        "positive": ("CONDITIONING", {}),
        "negative": ("CONDITIONING", {}),
        "latent_image": ("LATENT", {}),
        "denoise": decimal(1.0, 0.0, 1.0, 0.01),
    },
    returns=("LATENT",),
    category="sampling",
)
def ksampler(
    run: NodeRun,
    model: Model,
    seed: int,
    steps: int,
    cfg: float,
    sampler_name: str,
    scheduler: str,
    positive: Conditioning,
    negative: Conditioning,
    latent_image: Latent,
    denoise: float = 1.0,
) -> tuple[Latent]:
    settings = f"{sampler_name} {scheduler} {cfg:g}"
    scene = Scene(positive.text, negative.text, seed, steps, model.name, settings)
    return (sample(run, latent_image, scene, steps if denoise else 0, denoise),)


@node(
    "KSamplerAdvanced",
    {
        "model": ("MODEL",),
        "add_noise": (["enable", "disable"],),
        "noise_seed": SEED,
        "steps": STEPS,
        "cfg": CFG,
        "sampler_name": (SAMPLERS,),
        "scheduler": (SCHEDULERS,),
        "positive": ("CONDITIONING",),
        "negative": ("CONDITIONING",),
        "latent_image": ("LATENT",),
        "start_at_step": integer(0, 0, 10000),
        "end_at_step": integer(10000, 0, 10000),
        "return_with_leftover_noise": (["disable", "enable"],),
    },
    returns=("LATENT",),
    category="sampling",
    title="KSampler (Advanced)",
)
def ksampler_advanced(
    run: NodeRun,
    model: Model,
    add_noise: str,
    noise_seed: int,
    steps: int,
    cfg: float,
    sampler_name: str,
    scheduler: str,
    positive: Conditioning,
    negative: Conditioning,
    latent_image: Latent,
    start_at_step: int,
    end_at_step: int,
    return_with_leftover_noise: str,
) -> tuple[Latent]:
    start, end = min(start_at_step, steps), min(end_at_step, steps)
    settings = f"{sampler_name} {scheduler} {cfg:g}"
    scene = Scene(positive.text, negative.text, noise_seed, steps, model.name, settings)
    return (sample(run, latent_image, scene, max(0, end - start), 1 - start / steps),)

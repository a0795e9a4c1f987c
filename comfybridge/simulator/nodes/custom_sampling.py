"""The parts of a sampler in Flux and SD3 workflows: noise, guider, sampler and sigmas as separate nodes."""

from dataclasses import dataclass

from comfybridge.simulator.nodes.choices import SAMPLERS, SCHEDULERS
from comfybridge.simulator.nodes.definition import NodeRun, decimal, node
from comfybridge.simulator.nodes.sampling import CFG, SEED, STEPS, sample
from comfybridge.simulator.nodes.values import Conditioning, Latent, Model
from comfybridge.simulator.painter import Scene

_MODULE = "comfy_extras.nodes_custom_sampler"


@dataclass(frozen=True)
class Guider:
    """A model and the texts that guide it."""

    model: Model
    positive: str
    negative: str
    cfg: float


@dataclass(frozen=True)
class Sigmas:
    """A noise schedule: only its length and start matter here."""

    scheduler: str
    steps: int
    denoise: float


@node(
    "RandomNoise",
    {"noise_seed": SEED},
    returns=("NOISE",),
    category="sampling/custom_sampling/noise",
    module=_MODULE,
)
def random_noise(_: NodeRun, noise_seed: int) -> tuple[int]:
    return (noise_seed,)


@node(
    "BasicGuider",
    {"model": ("MODEL",), "conditioning": ("CONDITIONING",)},
    returns=("GUIDER",),
    category="sampling/custom_sampling/guiders",
    module=_MODULE,
)
def basic_guider(_: NodeRun, model: Model, conditioning: Conditioning) -> tuple[Guider]:
    return (Guider(model, conditioning.text, "", 1.0),)


@node(
    "CFGGuider",
    {"model": ("MODEL",), "positive": ("CONDITIONING",), "negative": ("CONDITIONING",), "cfg": CFG},
    returns=("GUIDER",),
    category="sampling/custom_sampling/guiders",
    module=_MODULE,
)
def cfg_guider(_: NodeRun, model: Model, positive: Conditioning, negative: Conditioning, cfg: float) -> tuple[Guider]:
    return (Guider(model, positive.text, negative.text, cfg),)


@node(
    "KSamplerSelect",
    {"sampler_name": (SAMPLERS,)},
    returns=("SAMPLER",),
    category="sampling/custom_sampling/samplers",
    module=_MODULE,
)
def select_sampler(_: NodeRun, sampler_name: str) -> tuple[str]:
    return (sampler_name,)


@node(
    "BasicScheduler",
    {
        "model": ("MODEL",),
        "scheduler": (SCHEDULERS,),
        "steps": STEPS,
        "denoise": decimal(1.0, 0.0, 1.0, 0.01),
    },
    returns=("SIGMAS",),
    category="sampling/custom_sampling/schedulers",
    module=_MODULE,
)
def basic_scheduler(_: NodeRun, model: Model, scheduler: str, steps: int, denoise: float) -> tuple[Sigmas]:
    return (Sigmas(scheduler, steps if denoise else 0, denoise),)


@node(
    "SamplerCustomAdvanced",
    {
        "noise": ("NOISE",),
        "guider": ("GUIDER",),
        "sampler": ("SAMPLER",),
        "sigmas": ("SIGMAS",),
        "latent_image": ("LATENT",),
    },
    returns=("LATENT", "LATENT"),
    return_names=("output", "denoised_output"),
    category="sampling/custom_sampling",
    module=_MODULE,
)
def sampler_custom_advanced(
    run: NodeRun, noise: int, guider: Guider, sampler: str, sigmas: Sigmas, latent_image: Latent
) -> tuple[Latent, Latent]:
    return _custom(run, guider, noise, sampler, sigmas, latent_image)


@node(
    "SamplerCustom",
    {
        "model": ("MODEL",),
        "add_noise": ("BOOLEAN", {"default": True}),
        "noise_seed": SEED,
        "cfg": CFG,
        "positive": ("CONDITIONING",),
        "negative": ("CONDITIONING",),
        "sampler": ("SAMPLER",),
        "sigmas": ("SIGMAS",),
        "latent_image": ("LATENT",),
    },
    returns=("LATENT", "LATENT"),
    return_names=("output", "denoised_output"),
    category="sampling/custom_sampling",
    module=_MODULE,
)
def sampler_custom(
    run: NodeRun,
    model: Model,
    add_noise: bool,
    noise_seed: int,
    cfg: float,
    positive: Conditioning,
    negative: Conditioning,
    sampler: str,
    sigmas: Sigmas,
    latent_image: Latent,
) -> tuple[Latent, Latent]:
    guider = Guider(model, positive.text, negative.text, cfg)
    return _custom(run, guider, noise_seed, sampler, sigmas, latent_image)


def _custom(
    run: NodeRun, guider: Guider, seed: int, sampler: str, sigmas: Sigmas, latent: Latent
) -> tuple[Latent, Latent]:
    settings = f"{sampler} {sigmas.scheduler} {guider.cfg:g}"
    scene = Scene(guider.positive, guider.negative, seed, sigmas.steps, guider.model.name, settings)
    done = sample(run, latent, scene, sigmas.steps, sigmas.denoise)
    return done, done

"""The names of samplers and schedulers: AUTOMATIC1111's, and ComfyUI's for the same.

The tables are those of its `modules/sd_samplers_kdiffusion.py`, `sd_samplers_timesteps.py` and `sd_schedulers.py`
(version 1.10). What ComfyUI has no equal for is left out: PLMS, Restart, DDIM CFG++, Polyexponential and Align Your
Steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

AUTOMATIC = "automatic"


@dataclass(frozen=True)
class Sampler:
    """A sampler.

    Attributes:
        name: as AUTOMATIC1111 shows it.
        comfy: ComfyUI's name.
        aliases: other names that AUTOMATIC1111 takes.
        scheduler: what its scheduler Automatic means with this sampler, by ComfyUI's name; None if it is unknown.
    """

    name: str
    comfy: str
    aliases: tuple[str, ...] = ()
    scheduler: str | None = None


@dataclass(frozen=True)
class Scheduler:
    """A scheduler.

    Attributes:
        name: as programs write it.
        label: as people read it.
        comfy: ComfyUI's name.
        aliases: other names, among them what ends an alias of a sampler, such as `k_dpmpp_2m_ka`.
        needs_model, rho: what AUTOMATIC1111's list says of it.
    """

    name: str
    label: str
    comfy: str
    aliases: tuple[str, ...] = ()
    needs_model: bool = False
    rho: float = -1


@dataclass(frozen=True)
class Offered:
    """What a server offers, by ComfyUI's names."""

    samplers: Sequence[str]
    schedulers: Sequence[str]


@dataclass(frozen=True)
class Chosen:
    """What a request asks for, by ComfyUI's names; None: what the workflow has."""

    sampler: str | None = None
    scheduler: str | None = None


class UnknownName(Exception):
    """No sampler or scheduler has that name.

    Attributes:
        field: the field of the request that names it.
        names: those that there are.
    """

    def __init__(self, field: str, name: str, names: Sequence[str]) -> None:
        super().__init__(name)
        self.field = field
        self.name = name
        self.names = names


SAMPLERS = (
    Sampler("DPM++ 2M", "dpmpp_2m", ("k_dpmpp_2m",), "karras"),
    Sampler("DPM++ SDE", "dpmpp_sde", ("k_dpmpp_sde",), "karras"),
    Sampler("DPM++ 2M SDE", "dpmpp_2m_sde", ("k_dpmpp_2m_sde",), "exponential"),
    Sampler("DPM++ 2M SDE Heun", "dpmpp_2m_sde_heun", ("k_dpmpp_2m_sde_heun",), "exponential"),
    Sampler("DPM++ 2S a", "dpmpp_2s_ancestral", ("k_dpmpp_2s_a",), "karras"),
    Sampler("DPM++ 3M SDE", "dpmpp_3m_sde", ("k_dpmpp_3m_sde",), "exponential"),
    Sampler("Euler a", "euler_ancestral", ("k_euler_a", "k_euler_ancestral"), "normal"),
    Sampler("Euler", "euler", ("k_euler",), "normal"),
    Sampler("LMS", "lms", ("k_lms",), "normal"),
    Sampler("Heun", "heun", ("k_heun",), "normal"),
    Sampler("DPM2", "dpm_2", ("k_dpm_2",), "karras"),
    Sampler("DPM2 a", "dpm_2_ancestral", ("k_dpm_2_a",), "karras"),
    Sampler("DPM fast", "dpm_fast", ("k_dpm_fast",), "normal"),
    Sampler("DPM adaptive", "dpm_adaptive", ("k_dpm_ad",), "normal"),
    Sampler("DDIM", "ddim", (), "ddim_uniform"),
    Sampler("UniPC", "uni_pc", (), "normal"),
    Sampler("LCM", "lcm", ("k_lcm",), "normal"),
)
SCHEDULERS = (
    Scheduler("uniform", "Uniform", "normal", needs_model=True),
    Scheduler("karras", "Karras", "karras", ("ka",), rho=7.0),
    Scheduler("exponential", "Exponential", "exponential", ("exp",)),
    Scheduler("sgm_uniform", "SGM Uniform", "sgm_uniform", ("SGMUniform",), needs_model=True),
    Scheduler("kl_optimal", "KL Optimal", "kl_optimal"),
    Scheduler("simple", "Simple", "simple", needs_model=True),
    Scheduler("normal", "Normal", "normal", ("discrete",), needs_model=True),
    Scheduler("ddim", "DDIM", "ddim_uniform", ("ddim_uniform",), needs_model=True),
    Scheduler("beta", "Beta", "beta", needs_model=True),
)


def _plain(name: str) -> str:
    return " ".join(name.lower().split())


def _key(name: str) -> str:
    """A name without what programs write differently: `DPM++ 2S a` is `dpm++2s_a` in stable-diffusion.cpp."""
    return _plain(name).replace(" ", "").replace("_", "")


def _names(each: Sampler | Scheduler) -> Iterable[str]:
    labels = (each.label,) if isinstance(each, Scheduler) else ()
    return (each.name, *labels, *each.aliases, each.comfy)


_SAMPLERS = {_key(name): each for each in reversed(SAMPLERS) for name in _names(each)}
_SCHEDULERS = {_key(name): each for each in reversed(SCHEDULERS) for name in _names(each)}
_BY_COMFY = {each.comfy: each for each in SAMPLERS}
_LABELS = {each.comfy: each.label for each in SCHEDULERS}
_ENDINGS = {_plain(name): each for each in SCHEDULERS for name in _names(each)}
_AUTOMATIC = ("", AUTOMATIC, "auto", "use same scheduler")


@dataclass(frozen=True)
class Names:
    """Reads names.

    Args:
        offered: says what the server offers; called only for names that the tables do not have.
        own: the workflow's own.
    """

    offered: Callable[[], Offered]
    own: Chosen = field(default_factory=Chosen)

    def chosen(self, sampler: str | None, scheduler: str | None) -> Chosen:
        """What a request asks for.

        A scheduler at the end of the sampler's name, as in `DPM++ 2M Karras`, wins over the other. Automatic means
        the workflow's own scheduler if the sampler is the workflow's own too.

        Raises:
            UnknownName
        """
        found, ending = self._sampler(sampler)
        if ending is None and _plain(scheduler or "") not in _AUTOMATIC:
            ending = self._scheduler(scheduler or "")
        if found is not None and ending is None and found != self.own.sampler:
            ending = self._automatic(found)
        return Chosen(found, ending)

    def _sampler(self, name: str | None) -> tuple[str | None, str | None]:
        """A sampler and the scheduler that its name ends with."""
        plain = _plain(name or "")
        if plain in ("", AUTOMATIC):
            return None, None
        if _key(plain) in _SAMPLERS:
            return _SAMPLERS[_key(plain)].comfy, None
        for ending, scheduler in _ENDINGS.items():
            for mark in (" ", "_"):
                start = plain.removesuffix(mark + ending)
                if start != plain and _key(start) in _SAMPLERS:
                    return _SAMPLERS[_key(start)].comfy, scheduler.comfy
        offered = self.offered()
        if plain in offered.samplers:
            return plain, None
        raise UnknownName("sampler_name", name or "", [shown_sampler(each) for each in offered.samplers])

    def _scheduler(self, name: str) -> str:
        plain = _plain(name)
        if _key(plain) in _SCHEDULERS:
            return _SCHEDULERS[_key(plain)].comfy
        offered = self.offered()
        if plain in offered.schedulers:
            return plain
        raise UnknownName("scheduler", name, ["Automatic", *map(shown_scheduler, offered.schedulers)])

    def _automatic(self, comfy: str) -> str | None:
        known = _BY_COMFY.get(comfy)
        return None if known is None else known.scheduler


def shown_sampler(comfy: str) -> str:
    """AUTOMATIC1111's name of one of ComfyUI's samplers; ComfyUI's own if it has none."""
    return _BY_COMFY[comfy].name if comfy in _BY_COMFY else comfy


def shown_scheduler(comfy: str) -> str:
    """The same of a scheduler."""
    return _LABELS.get(comfy, comfy)


def offered_samplers(offered: Offered) -> list[Sampler]:
    """The samplers that a server offers, those that AUTOMATIC1111 knows first."""
    known = [each for each in SAMPLERS if each.comfy in offered.samplers]
    named = {each.comfy for each in known}
    return known + [Sampler(each, each) for each in offered.samplers if each not in named]


def offered_schedulers(offered: Offered) -> list[Scheduler]:
    """The schedulers that a server offers, Automatic first."""
    known = [each for each in SCHEDULERS if each.comfy in offered.schedulers]
    named = {each.comfy for each in known}
    others = [Scheduler(each, each, each) for each in offered.schedulers if each not in named]
    return [Scheduler(AUTOMATIC, "Automatic", AUTOMATIC), *known, *others]


# What is offered as far as no server says.
USUAL = Offered([each.comfy for each in SAMPLERS], list(dict.fromkeys(each.comfy for each in SCHEDULERS)))

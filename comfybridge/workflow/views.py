"""What each node that makes pictures depends on: the samplers, or the nodes that take a prompt of their own."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cache, partial

from comfybridge.workflow.conditionings import Texts, find_texts, guidance_of, texts_of
from comfybridge.workflow.effective import Note
from comfybridge.workflow.formats import formats_of_latent, own_formats
from comfybridge.workflow.latents import Latent, find_latent, note_sizes
from comfybridge.workflow.links import Walked
from comfybridge.workflow.loaders import find_model
from comfybridge.workflow.makers import find_makers, find_workers, own
from comfybridge.workflow.parameters import Target
from comfybridge.workflow.samplers import PLACES, conditionings, downstream, find_samplers, latent, model, setting

COUNTS = ("batch_size", "num_images", "number_of_images", "num_outputs", "n")
MODELS = ("model", "model_name", "ckpt_name", "unet_name", "model_id", "model_version", "upscaler_model")
# what nodes that make models in space call their seed
SEEDS = ("model_seed", "image_seed")


@dataclass
class View:
    """What a node that makes pictures depends on.

    Attributes:
        node: its id.
        is_first: whether no other such node comes before it.
        settings: the inputs that hold its seed, steps, cfg, sampler_name, scheduler and denoise.
        model: the input that names its model.
        positive, negative: its texts.
        latent: what decides the size of its pictures.
        formats: what else they are to be like, by the names of parameters.
        met: inputs left out on the way to a setting, by the setting's name.
        is_sampler: whether it is a sampler.
    """

    node: str
    is_first: bool
    settings: dict[str, Target | None]
    model: Target | None = None
    positive: Texts = field(default_factory=Texts)
    negative: Texts = field(default_factory=Texts)
    latent: Latent = field(default_factory=Latent)
    formats: dict[str, Target] = field(default_factory=dict)
    met: dict[str, dict[str, Note]] = field(default_factory=dict)
    is_sampler: bool = False


def look(graph: Walked) -> list[View]:
    """The views of the samplers, those in front that no other one comes before.

    Without a sampler, those of the nodes that take a prompt of their own; else of the nodes with a seed; else of the
    nodes that change a file by a model of their own, or to a resolution.
    """
    samplers = find_samplers(graph)
    if samplers:
        views = _main_first(graph, _of_samplers(graph, samplers))
    else:
        nodes = (
            find_makers(graph)
            or [node for node in graph if own(graph, node, PLACES["seed"][0], "integer")]
            or find_workers(graph, MODELS)
        )
        later = downstream(graph, nodes)
        views = [_of_maker(graph, node, node not in later and node not in graph.dead) for node in nodes]
    return sorted(views, key=lambda view: not view.is_first)


def first_seed(graph: Walked) -> Target | None:
    """The seed of the node that makes pictures which no other such node comes before."""
    samplers = find_samplers(graph)
    if not samplers:
        return next((view.settings["seed"] for view in look(graph)), None)
    if len(samplers) == 1:
        return setting(graph, samplers[0], "seed")
    later = downstream(graph, samplers) | graph.dead
    first = next((node for node in samplers if node not in later), samplers[0])
    if find_texts(graph, conditionings(graph, first, "positive"), "positive").encoders:
        return setting(graph, first, "seed")
    return look(graph)[0].settings["seed"]


def _main_first(graph: Walked, views: list[View]) -> list[View]:
    """The views, without those that have no text and come before one that has: they prepare it, as to find depths."""
    told = [view.node for view in views if view.positive.encoders or view.positive.met]
    if len(told) in (0, len(views)):
        return views
    later = downstream(graph, told)
    return [
        replace(view, is_first=view.node not in later and view.node not in graph.dead)
        for view in views
        if view.node in told or view.node in later
    ]


def _of_samplers(graph: Walked, samplers: list[str]) -> list[View]:
    # samplers usually share what is above them, so each way up is gone once
    texts = cache(partial(find_texts, graph))
    models = cache(partial(find_model, graph))
    latents = cache(partial(find_latent, graph))
    later = downstream(graph, samplers)
    views = []
    for sampler in samplers:
        met: dict[str, dict[str, Note]] = {}
        settings: dict[str, Target | None] = {}
        for name in PLACES:
            graph.met = met[name] = {}
            settings[name] = setting(graph, sampler, name)
        view = View(
            node=sampler,
            is_first=sampler not in later and sampler not in graph.dead,
            settings=settings,
            met=met,
            model=models(model(graph, sampler)),
            positive=texts(conditionings(graph, sampler, "positive"), "positive"),
            negative=texts(conditionings(graph, sampler, "negative"), "negative"),
            latent=latents(latent(graph, sampler)),
            is_sampler=True,
        )
        _add_own(graph, view)
        view.formats = {**own_formats(graph, sampler), **formats_of_latent(graph, view.latent)}
        views.append(view)
    return views


def _of_maker(graph: Walked, node: str, is_first: bool) -> View:
    view = View(node, is_first, {name: own(graph, node, names, kind) for name, (names, _, kind) in PLACES.items()})
    view.settings["seed"] = view.settings["seed"] or own(graph, node, SEEDS, "integer")
    _add_own(graph, view)
    view.formats = {**formats_of_latent(graph, view.latent), **own_formats(graph, node)}
    return view


def _add_own(graph: Walked, view: View) -> None:
    """Add what a node holds itself, of which packs have all kinds: texts, a size, a model."""
    node = view.node
    if not view.positive.encoders:
        view.positive = _own_texts(graph, node, "positive", view.positive.met)
        if not view.negative.encoders:
            view.negative = _own_texts(graph, node, "negative", view.negative.met)
    if view.positive.guidance is None:
        view.positive.guidance = guidance_of(graph, node)
    mine = Latent()
    graph.met = view.latent.met
    graph.look_at(node)
    note_sizes(graph, node, mine)
    view.latent = replace(view.latent, open=view.latent.open or mine.open, length=view.latent.length or mine.length)
    own_size = mine.sizes or mine.rescales
    if own_size and not view.latent.size:
        view.latent = replace(view.latent, sizes=own_size, rescales=[], repeats=[], open=None)
    if view.latent.batch is None:
        batch = own(graph, node, COUNTS, "integer")
        view.latent = replace(view.latent, batches=[batch] if batch else [], repeats=[])
    if view.model is None:
        view.model = own(graph, node, MODELS, "string")


def _own_texts(graph: Walked, node: str, role: str, met: dict[str, Note]) -> Texts:
    graph.met = met
    texts = texts_of(graph, node, role, is_open=role == "negative")  # type: ignore[arg-type]
    return Texts(encoders=[texts], nodes={node}) if texts else Texts(met=met)

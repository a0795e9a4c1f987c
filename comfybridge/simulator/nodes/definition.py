"""The parts of a node class, and the decorator that declares one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Protocol

from PIL import Image

from comfybridge.simulator.version import Version
from comfybridge.simulator.world import World

Spec = tuple[Any, ...]
InputTypes = dict[str, dict[str, Any]]
Graph = dict[str, Any]


@dataclass(frozen=True)
class ModelFiles:
    """In a declaration, represents the list of files in a model folder."""

    folder: str
    is_combo: bool = False
    """Declared with the newer node interface, which wraps the list up."""


class InputImages:
    """In a declaration, represents the list of images in the input folder."""


class InputSounds:
    """In a declaration, represents the list of sounds and videos in the input folder."""


@dataclass(frozen=True)
class Result:
    """The result of a node that has outputs and also shows something (`ui`)."""

    outputs: tuple[Any, ...]
    shown: dict[str, Any]


class NodeRun(Protocol):
    """The first argument of a node's function: what it can reach while it runs."""

    world: World
    graph: Graph
    extra_data: dict[str, Any]
    memory: dict[str, Any]
    """Kept as long as prompts go on having a node of this id and class, as ComfyUI keeps its node objects."""

    def progress(self, value: int, maximum: int, image: tuple[str, Image.Image] | None = None) -> None:
        """Announces progress, with an image as ("JPEG" or "PNG", picture). Raises when interrupted."""

    def step(self) -> None:
        """Takes the time of one sampling step."""


@dataclass(frozen=True)
class NodeClass:
    """One node class. `run` returns a tuple of outputs, a dict of what it shows (`ui`), or both as a Result."""

    name: str
    run: Callable[..., tuple[Any, ...] | dict[str, Any] | Result]
    required: Mapping[str, Spec]
    optional: Mapping[str, Spec] = field(default_factory=dict)
    saves_metadata: bool = False
    returns: tuple[str, ...] = ()
    return_names: tuple[str, ...] | None = None
    category: str = "sd"
    title: str | None = None
    output_node: bool = False
    module: str = "nodes"
    modern: bool = False
    """Written with ComfyUI's newer node interface, whose /object_info has a few more keys."""
    experimental: bool = False
    changed: Callable[..., Any] | None = None
    """`IS_CHANGED`: called with the world and the inputs; another answer than last time makes the node run again."""
    accepts: Callable[..., bool | str] | None = None
    """`VALIDATE_INPUTS`: called with the world and the inputs named in `accepts_inputs`; True or the objection."""
    accepts_inputs: tuple[str, ...] = ()
    announces_cached: bool = False
    """`has_intermediate_output`: whether it shows what it has, cached or not, although it is no output node."""
    since: str = ""
    until: str = ""
    """The ComfyUI version that it came with, and the one that dropped it; empty: before all, and never."""

    def is_of(self, version: Version) -> bool:
        """Whether a ComfyUI of this version has it."""
        return version.reaches(self.since or "0") and not (self.until and version.reaches(self.until))

    def input_types(self, world: World) -> InputTypes:
        """The inputs in ComfyUI's shape, with the present choices."""
        types: InputTypes = {"required": _resolved(self.required, world)}
        if self.optional:
            types["optional"] = _resolved(self.optional, world)
        if self.saves_metadata:
            hidden = {"prompt": "PROMPT", "extra_pnginfo": "EXTRA_PNGINFO"}
            types["hidden"] = {name: (kind,) for name, kind in hidden.items()} if self.modern else hidden
        return types

    def info(self, world: World) -> dict[str, Any]:
        """This class's entry in /object_info."""
        types = self.input_types(world)
        info: dict[str, Any] = {
            "input": types,
            "input_order": {group: list(inputs) for group, inputs in types.items()},
            "output": self.returns,
            "output_is_list": [False] * len(self.returns),
            "output_name": self.return_names or self.returns,
            "name": self.name,
            "display_name": self.title if self.modern else self.title or self.name,
            "description": "",
            "python_module": self.module,
            "category": self.category,
            "output_node": self.output_node,
        }
        if world.version.is_modern:
            info.update(is_input_list=False, has_intermediate_output=self.announces_cached, search_aliases=[])
        if self.modern:
            info["output_tooltips"] = [None] * len(self.returns)
            info.update(deprecated=False, experimental=self.experimental, api_node=False)
        elif self.experimental:
            info["experimental"] = True
        return info


_DECLARED: list[NodeClass] = []


@cache
def node_classes(version: Version) -> dict[str, NodeClass]:
    """All node classes of a ComfyUI version by name, in the order in which /object_info lists them."""
    return {each.name: each for each in _DECLARED if each.is_of(version)}


def node(name: str, required: Mapping[str, Spec], **rest: Any) -> Callable[..., Callable[..., Any]]:
    """Declares the decorated function to be the node class `name`; `rest` are fields of NodeClass."""

    def declare(run: Callable[..., Any]) -> Callable[..., Any]:
        _DECLARED.append(NodeClass(name=name, run=run, required=required, **rest))
        return run

    return declare


def integer(default: int, low: int, high: int, step: int | None = None, **more: Any) -> Spec:
    """An INT input with its range."""
    return _number("INT", default, low, high, step, more)


def decimal(default: float, low: float, high: float, step: float | None = None, **more: Any) -> Spec:
    """A FLOAT input with its range."""
    return _number("FLOAT", default, low, high, step, more)


def _number(kind: str, default: float, low: float, high: float, step: float | None, more: dict[str, Any]) -> Spec:
    limits: dict[str, Any] = {"default": default, "min": low, "max": high}
    if step is not None:
        limits["step"] = step
    return (kind, {**limits, **more})


def _resolved(inputs: Mapping[str, Spec], world: World) -> dict[str, Any]:
    resolved = {}
    for name, spec in inputs.items():
        kind = _choices(spec[0], world)
        is_newer = isinstance(spec[0], InputSounds) and world.version.is_modern
        if is_newer or (isinstance(spec[0], ModelFiles) and spec[0].is_combo):
            resolved[name] = ("COMBO", {"multiselect": False, "options": kind, **dict(*spec[1:])})
        else:
            resolved[name] = (kind, *spec[1:])
    return resolved


def _choices(kind: Any, world: World) -> Any:
    if isinstance(kind, ModelFiles):
        return list(world.models[kind.folder])
    if isinstance(kind, InputImages):
        return world.input_images()
    if isinstance(kind, InputSounds):
        return world.input_sounds()
    return kind

"""What goes into the bridge and what comes out of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Kind = Literal["image", "video", "audio", "3d", "text", "file"]


@dataclass(frozen=True)
class InputFile:
    """A file that goes in with a request.

    Attributes:
        name: what the graph calls it, or the template's parameter of type `image` that it is for.
        data: its bytes.
    """

    name: str
    data: bytes = field(repr=False)


@dataclass(frozen=True)
class OutputOptions:
    """How outputs are to come back. What is no still image is left as it is.

    Attributes:
        format: what still images are converted to; None: as ComfyUI made them.
        quality: 1 to 100, for jpeg and webp.
        lossless: webp without loss.
        background: the colour, as `#rrggbb`, that transparency is flattened onto where the format has none.
        metadata: whether the graph that ComfyUI embeds is kept or stripped.
        max_size: the most pixels that either side may have; larger images are scaled down.
        nodes: the output nodes wanted; None: all.
        previews: whether `temp` files are wanted beside others.
    """

    format: Literal["png", "jpeg", "webp"] | None = None
    quality: int = 90
    lossless: bool = False
    background: str = "#ffffff"
    metadata: Literal["keep", "strip"] = "keep"
    max_size: int | None = None
    nodes: tuple[str, ...] | None = None
    previews: bool = False


@dataclass
class GenerationRequest:
    """One picture (or video, or text) wanted.

    Attributes:
        workflow: a template's name; the configured default if neither this nor `graph` is given.
        graph: a whole graph in ComfyUI's API format, instead of a template.
        params: values by parameter name, or by `"NODE.INPUT"` for any input of the graph.
        timeout: seconds from `started` until the caller gives up, time in ComfyUI's queue included;
            the configured timeout if None.
        wait: how to wait for ComfyUI, `"websocket"` or `"poll"`; the configured way if None.
        on_timeout: whether a prompt whose time is up is cancelled or kept.
        retries: how often a prompt that ComfyUI lost is queued again, within the same deadline.
        extra_data: handed to ComfyUI as it is, as are `front`, `number` and `partial_execution_targets`.
        images: files for the graph's loader nodes.
        output: how the outputs are to come back.
        started: when the request came in, on `time.monotonic()`'s clock.
        wants_first_image: whether the answer is to give the first image apart from the others too.
    """

    workflow: str | None = None
    graph: dict[str, Any] | None = None
    params: dict[str, Any] = field(default_factory=dict)
    timeout: float | None = None
    wait: str | None = None
    on_timeout: Literal["cancel", "keep"] = "cancel"
    retries: int = 0
    extra_data: dict[str, Any] = field(default_factory=dict)
    front: bool | None = None
    number: float | None = None
    partial_execution_targets: list[str] | None = None
    images: list[InputFile] = field(default_factory=list)
    output: OutputOptions = field(default_factory=OutputOptions)
    started: float = field(default_factory=time.monotonic)
    wants_first_image: bool = False


@dataclass(frozen=True)
class LoadedFile:
    """An output's bytes, converted as its request asked.

    Attributes:
        filename: with the ending of the format that it was converted to.
        warnings: what could not be done as asked.
    """

    data: bytes = field(repr=False)
    media_type: str
    filename: str
    warnings: tuple[str, ...] = ()


@dataclass
class Output:
    """One thing that a workflow made: a file on ComfyUI's disk, an image sent over its websocket, or a text.

    Attributes:
        node_id: the node of the graph that it comes from.
        kind: what sort of thing it is, by its file name.
        filename: its name as ComfyUI chose it; made up for a websocket image; empty for a text.
        subfolder: the folder it lies in, below ComfyUI's folder of that `type`.
        type: `output`, `temp` (a preview), `input`, or `websocket`; empty for a text.
        media_type: such as `image/png`, before any conversion.
        text: the text, if it is one.
        source: fetches and converts it; nothing is fetched before it is called.
    """

    node_id: str
    kind: Kind
    filename: str
    subfolder: str
    type: str
    media_type: str
    source: Callable[[], LoadedFile] = field(repr=False)
    text: str | None = None

    def load(self) -> LoadedFile:
        """Fetch the whole of it from ComfyUI, and convert it if its request asked for that.

        Raises:
            ComfyUIError: ComfyUI no longer has the file, or answered with something else.
            ComfyUIUnreachable: ComfyUI does not answer.
            TimedOut: the request's deadline passed meanwhile.
        """
        return self.source()

    def read(self) -> bytes:
        """The bytes of `load`; raises what it raises."""
        return self.load().data

    def save(self, path: str | Path) -> Path:
        """Fetch it and write it to a file; raises what `read` raises, and OSError."""
        target = Path(path)
        target.write_bytes(self.read())
        return target


@dataclass
class Timings:
    """Where the time went, in seconds; None where ComfyUI did not tell."""

    queued: float | None
    executing: float | None
    total: float


@dataclass
class Generation:
    """What became of a request that went well.

    Attributes:
        prompt_id: the id under which ComfyUI ran it.
        outputs: in the order of the graph's nodes; previews only if there is no other file.
        seed: the seed that was used, if the graph has one.
        params: the parameters that were used, defaults and the drawn seed included.
        warnings: what the caller should know, though it did not stop the request.
        timings: where the time went.
        started: when the request came in, on `time.monotonic()`'s clock.
    """

    prompt_id: str
    outputs: list[Output]
    seed: int | None
    params: dict[str, Any]
    warnings: list[str]
    timings: Timings
    started: float

    @property
    def images(self) -> list[Output]:
        """The outputs that are images."""
        return [output for output in self.outputs if output.kind == "image"]

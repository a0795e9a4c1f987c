"""What goes into the bridge and what comes out of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from comfybridge.deadline import Deadline
from comfybridge.errors import BridgeError
from comfybridge.expected_size import ExpectedSize
from comfybridge.saving import save
from comfybridge.showing import mimebundle

# bytes of a file that are handled at a time, at most; a multiple of 3, which suits base64
CHUNK = 3 * 128 * 1024

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
    """How to return the outputs. Outputs other than still images are not changed.

    Attributes:
        format: the format that still images are converted to; None: as ComfyUI made them.
        quality: 1 to 100, for jpeg and webp.
        lossless: webp without loss.
        background: the colour, as `#rrggbb`, that transparency is flattened onto where the format has none.
        metadata: whether the graph that ComfyUI embeds is kept or stripped.
        max_size: the most pixels that either side may have; larger images are scaled down.
        nodes: the output nodes wanted; None: all.
        previews: whether `temp` files are wanted beside others.
        links: whether a JSON answer names files by links instead of holding their bytes.
    """

    format: Literal["png", "jpeg", "webp"] | None = None
    quality: int = 90
    lossless: bool = False
    background: str = "#ffffff"
    metadata: Literal["keep", "strip"] = "keep"
    max_size: int | None = None
    nodes: tuple[str, ...] | None = None
    previews: bool = False
    links: bool = False


@dataclass
class Trace:
    """How far a request has come: filled in on its way, for logs and metrics.

    Attributes:
        workflow: the template's name, or `graph`; None until the request was found to be valid.
        server: the URL of the last ComfyUI that it was sent to, without credentials.
        prompt_id: the prompt that was queued for it.
        sent_as: the id under which ComfyUI was last asked to queue something for it, whether or not it did.
        graph: what was last sent to be queued.
        params: the parameters used.
        timings: where the time went until its prompt had run; None until then.
        ran_at: when that became known, on `time.monotonic()`'s clock.
        error: what went wrong after its answer had begun.
        ended: the numbers of its prompts that nobody waits for any more, from 0.
        given_up: why its outcome is no longer wanted, as a sentence; None while it is.
        is_left: whether its prompts are left to run when the waiting for them is given up.
        is_cancelled: whether nothing more is queued for it, and what is queued is cancelled.
        has_left: whether the caller has hung up, if that can be determined; checked before a prompt is queued.
    """

    workflow: str | None = None
    server: str | None = None
    prompt_id: str | None = None
    sent_as: str | None = None
    graph: Mapping[str, Any] | None = field(default=None, repr=False)
    params: dict[str, Any] | None = field(default=None, repr=False)
    timings: Timings | None = None
    ran_at: float | None = None
    error: BridgeError | None = None
    ended: set[int] = field(default_factory=set)
    given_up: str | None = None
    is_left: bool = False
    is_cancelled: bool = False
    has_left: Callable[[], bool] = field(default=lambda: False, repr=False)


@dataclass(frozen=True)
class GenerationRequest:
    """A request for pictures (or videos, or texts). It never changes; `Trace` records what becomes of it.

    Attributes:
        workflow: a template's name; the configured default if neither this nor `graph` is given. A whole graph may
            be given here too, and becomes `graph`.
        graph: a whole graph in ComfyUI's API format, instead of a template.
        params: values by parameter name, or by `"NODE.INPUT"` for any input of the graph.
        presets: values of the template's presets, such as `{"quality": "high"}`; `params` win over what they set.
        timeout: seconds from the request's arrival until the caller gives up, including time in ComfyUI's queue; the
            configured timeout if None.
        wait: how to wait for ComfyUI, `"websocket"` or `"poll"`; the configured way if None.
        on_timeout: whether a prompt whose time is up is cancelled or kept.
        retries: how often a prompt that ComfyUI lost is queued again, within the same deadline.
        extra_data: passed to ComfyUI unchanged, as are `front`, `number` and `partial_execution_targets`.
        images: files for the graph's loader nodes.
        dynamic_texts: whether `{a|b}` in prompts and `%date:...%` in the prefixes of file names are replaced as
            ComfyUI's editor does; as the settings say if None.
        lora_tags: whether `<lora:NAME:WEIGHT>` in the prompt is taken out of it and loads that LoRA.
        output: how to return the outputs.
        wants_first_image: whether the answer also has the first image in a field of its own.
        idempotency_key: with a key, a repeated request gets the prompt that was queued first. That prompt is not
            cancelled when the time is up.
        n: how many prompts to run, each with a seed of its own. They count as one request, and end together if one
            of them fails.
        seed_step: by how much the seed of each prompt differs from that of the one before.
        warnings: what the bridge does differently from what the caller asked.
    """

    workflow: str | dict[str, Any] | None = None
    graph: dict[str, Any] | None = None
    params: dict[str, Any] = field(default_factory=dict)
    presets: Mapping[str, str] = field(default_factory=dict)
    timeout: float | None = None
    wait: str | None = None
    on_timeout: Literal["cancel", "keep"] = "cancel"
    retries: int = 0
    extra_data: dict[str, Any] = field(default_factory=dict)
    front: bool | None = None
    number: float | None = None
    partial_execution_targets: list[str] | None = None
    images: Sequence[InputFile] = ()
    dynamic_texts: bool | None = None
    lora_tags: bool = False
    output: OutputOptions = field(default_factory=OutputOptions)
    wants_first_image: bool = False
    idempotency_key: str | None = field(default=None, repr=False)
    n: int = 1
    seed_step: int = 1
    warnings: Sequence[str] = ()

    def __post_init__(self) -> None:
        if isinstance(self.workflow, dict) and self.graph is None:
            object.__setattr__(self, "graph", self.workflow)
            object.__setattr__(self, "workflow", None)

    @property
    def outlasts_its_time(self) -> bool:
        """Whether its prompt is kept when its time is up. With a key, another request may be waiting for it."""
        return self.on_timeout == "keep" or self.idempotency_key is not None

    def template_name(self, default: str) -> str | None:
        """The template's name, `default` if none is named; None for a graph of the caller's own."""
        if self.graph is not None:
            return None
        return default if self.workflow is None else str(self.workflow)

    def workflow_name(self, default: str) -> str:
        """The name of its workflow in logs and metrics: the template's name, or `graph`."""
        name = self.template_name(default)
        return "graph" if name is None else name


@dataclass(frozen=True)
class LoadedFile:
    """An output's bytes, converted as its request asked.

    Attributes:
        filename: with the ending of the format that it was converted to.
        warnings: what could not be done as requested.
    """

    data: bytes = field(repr=False)
    media_type: str
    filename: str
    warnings: tuple[str, ...] = ()


class OpenFile:
    """An output whose bytes are fetched on demand. Close it, or use it in a `with`. For one thread at a time.

    Iterating gives all bytes once, in chunks of some 400 kB at most, and raises what `Output.load` raises.

    Args:
        chunks: its bytes.
        size: how many bytes; None if that is unknown until the last one.
        close: releases the source of the chunks.
    """

    def __init__(
        self,
        media_type: str,
        filename: str,
        chunks: Iterable[bytes],
        *,
        size: int | None,
        close: Callable[[], None] = lambda: None,
        warnings: tuple[str, ...] = (),
    ) -> None:
        self.media_type = media_type
        self.filename = filename
        self.size = size
        self.warnings = warnings
        self.close = close
        self.is_fetched = False
        self._fetched: deque[bytes] = deque()
        self._rest = iter(chunks)

    @classmethod
    def of(cls, file: LoadedFile) -> OpenFile:
        """A file that is in memory."""
        data = file.data
        chunks = [data] if len(data) <= CHUNK else (data[at : at + CHUNK] for at in range(0, len(data), CHUNK))
        return cls(file.media_type, file.filename, chunks, size=len(data), warnings=file.warnings)

    def fetch(self, count: int | None = None) -> bytes:
        """Fetch the first `count` bytes, or all of them, and keep them for the iteration.

        Returns:
            The bytes fetched so far; `is_fetched` tells whether they are the whole file.
        """
        have = sum(map(len, self._fetched))
        while not self.is_fetched and (count is None or have < count):
            chunk = next(self._rest, None)
            if chunk is None:
                self.is_fetched = True
            else:
                self._fetched.append(chunk)
                have += len(chunk)
        data = b"".join(self._fetched)
        if self.is_fetched:
            self._fetched = deque([data])
        return data

    def load(self) -> LoadedFile:
        """The whole file; it is closed after that."""
        with self:
            return LoadedFile(self.fetch(), self.media_type, self.filename, self.warnings)

    def __iter__(self) -> Iterator[bytes]:
        while self._fetched:
            yield self._fetched.popleft()
        yield from self._rest

    def __enter__(self) -> OpenFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass(frozen=True)
class StoredFile:
    """A file on a ComfyUI's disk, and how to return it: all that is needed to fetch it again.

    Attributes:
        server: the URL of the ComfyUI, without credentials.
        filename: its own name.
        subfolder: the folder it lies in, below ComfyUI's folder of that `type`.
        type: `output`, `temp` or `input`.
        options: how it is converted.
    """

    server: str
    filename: str
    subfolder: str
    type: str
    options: OutputOptions


@dataclass(frozen=True)
class KeptFile:
    """A file that is kept for a job: all that is needed to read it again.

    Attributes:
        job_id: the job.
        number: which of its outputs it is, from 0.
        filename: its name, before any conversion.
        until: when it is deleted, in seconds since 1970.
        options: how it is converted.
    """

    job_id: str
    number: int
    filename: str
    until: float
    options: OutputOptions


@dataclass
class Output:
    """One output of a workflow: a file on ComfyUI's disk, an image sent over its websocket, or a text.

    Attributes:
        node_id: the node of the graph that made it.
        kind: its kind, by its file name.
        filename: its name as ComfyUI chose it; generated for a websocket image; empty for a text.
        subfolder: the folder it lies in, below ComfyUI's folder of that `type`.
        type: `output`, `temp` (a preview), `input`, or `websocket`; empty for a text.
        media_type: such as `image/png`, before any conversion.
        source: opens it as ComfyUI made it; nothing is fetched before it is called.
        text: the text, if it is one.
        convert: converts the whole file as its request asked; None: leaves it unchanged.
        is_there: returns whether ComfyUI still has it; raises ComfyUIError, ComfyUIUnreachable or TimedOut.
        stored: where it lies; None if it is not in a folder of ComfyUI's that may be named.
        kept: what it is of a job, if it is one.
    """

    node_id: str
    kind: Kind
    filename: str
    subfolder: str
    type: str
    media_type: str
    source: Callable[[], OpenFile] = field(repr=False)
    text: str | None = None
    convert: Callable[[LoadedFile], LoadedFile] | None = field(default=None, repr=False)
    is_there: Callable[[], bool] = field(default=lambda: True, repr=False)
    stored: StoredFile | None = field(default=None, repr=False)
    kept: KeptFile | None = field(default=None, repr=False)

    @property
    def is_remote(self) -> bool:
        """Whether it must be fetched from ComfyUI."""
        return self.type not in ("", "websocket")

    def open(self) -> OpenFile:
        """Begin to fetch it; a file to convert is fetched whole. It can be opened any number of times.

        Raises:
            ComfyUIError, ComfyUIUnreachable, TimedOut: as `load`.
        """
        file = self.source()
        return file if self.convert is None else OpenFile.of(self.convert(file.load()))

    def load(self) -> LoadedFile:
        """Fetch the whole of it from ComfyUI, and convert it if its request asked for that.

        Raises:
            ComfyUIError: ComfyUI no longer has the file, or answered with something else.
            ComfyUIUnreachable: ComfyUI does not answer.
            TimedOut: the request's deadline passed.
        """
        file = self.source().load()
        return file if self.convert is None else self.convert(file)

    def read(self) -> bytes:
        """The bytes of `load`; raises what it raises."""
        return self.load().data

    @property
    def data(self) -> bytes:
        """The same as `read`."""
        return self.read()

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        """How a notebook shows it."""
        try:
            file = self.load()
        except BridgeError as error:  # a cell that only shows it must not fail for that
            return {"text/plain": f"{self!r}\n{error.message}"}
        return mimebundle(file.media_type, file.data) or {"text/plain": repr(self)}

    def save(self, path: str | Path) -> Path:
        """Fetch it and write it to a file as it comes; raises what `load` raises, and OSError.

        On any error, no half-written file is left under that name.
        """
        with self.open() as file:
            return save(file, path)


@dataclass
class Timings:
    """Where the time went, in seconds; None where ComfyUI did not report it."""

    queued: float | None
    executing: float | None
    total: float


@dataclass
class Generation:
    """The result of a successful request.

    Attributes:
        prompt_id: the id under which ComfyUI ran it.
        outputs: in the order of the graph's nodes; previews only if there is no other file.
        seed: the seed that was used, if the graph has one.
        params: the parameters that were used, defaults and the drawn seed included.
        warnings: what the caller should know although the request succeeded.
        timings: where the time went.
        started: when the request came in, on `time.monotonic()`'s clock.
        deadline: when the caller gives up, by which the outputs must have been fetched.
        size: the size that the images should have, if the parameters set one.
        of_prompts: the result of each prompt, if the request ran several; all else is then that of the first, but
            for `outputs` and `warnings`, which are those of all, and `timings`.
    """

    prompt_id: str
    outputs: list[Output]
    seed: int | None
    params: dict[str, Any]
    warnings: list[str]
    timings: Timings
    started: float
    deadline: Deadline
    size: ExpectedSize | None = None
    of_prompts: tuple[Generation, ...] = field(default=(), repr=False)

    @property
    def parts(self) -> tuple[Generation, ...]:
        """The result of each prompt; itself if there was only one."""
        return self.of_prompts or (self,)

    @property
    def images(self) -> list[Output]:
        """The outputs that are images."""
        return [output for output in self.outputs if output.kind == "image"]

"""Brings input files to ComfyUI's disk, and their names into the graph's inputs.

    placed = place_files(request.images, filled, parameters)         every name must belong somewhere
    Uploader(fetcher, most_bytes).feed(placed, filled, client, deadline)   fetch, check, upload, rewrite

Nothing is uploaded before all files are known to be good. A file's name on ComfyUI's disk is derived from its
content: no two files collide, no file is stored twice, and ComfyUI's cache recognizes it.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from comfybridge.comfyui.client import ComfyUIClient
from comfybridge.deadline import Deadline
from comfybridge.errors import InvalidRequest, TooLarge
from comfybridge.files.at_once import map_at_once
from comfybridge.files.bringing import Bringer, missing, rename
from comfybridge.files.fetch import Allowance, Fetcher
from comfybridge.files.forms import SHOWN, FileForms, Form
from comfybridge.files.names import PROSE
from comfybridge.files.sent import LinkedFile, check_count, is_for_file
from comfybridge.files.stored import SUBFOLDER, StoredInput
from comfybridge.media import check_still_image, media_type_of, suffix_of
from comfybridge.request import InputFile
from comfybridge.workflow.filling import Filled, targets_of
from comfybridge.workflow.graph import Graph, set_input
from comfybridge.workflow.parameters import Parameter, Target
from comfybridge.workflow.template import Template
from comfybridge.workflow.wording import clip, describe, listed

MOST_AT_ONCE = 4  # URLs of one request
MOST_IN_GRAPH = 32 * 1024 * 1024  # bytes of the files that a graph holds as base64
DIGITS = 32
ANNOTATION = " [input]"  # what ComfyUI's own page appends to a file's name; folder_paths.annotated_filepath

# these nodes open a picture with Pillow, as the check here does
IMAGE_LOADERS = ("LoadImage", "LoadImageMask", "LoadImageOutput")
_PICTURE = re.compile(r"(?<!To)(Image|Mask)")  # in the name of a class that takes pictures as base64
# a text for new file names: like prose, it equals a file's name only by chance
PROSE_INPUTS = ("filename_prefix",)

# Pillow opens PostScript by running Ghostscript, which is unsafe with untrusted files
POSTSCRIPT = (b"%!PS", b"\xc5\xd0\xd3\xc6")


@dataclass(frozen=True)
class Placed:
    """A file and the inputs that it is for.

    Attributes:
        file: the file.
        forms: the inputs that it is for, and the form in which each takes it. A stored file may have none: it may
            stand within lists and objects.
        reported: the parameters that set these inputs.
    """

    file: InputFile
    forms: Mapping[Target, Form]
    reported: tuple[str, ...]

    @property
    def is_handed_on(self) -> bool:
        """Whether only the file's URL is needed."""
        return isinstance(self.file, LinkedFile) and set(self.forms.values()) == {"url"}


@dataclass(frozen=True)
class Brought:
    """Input files that need not be brought again for another prompt of the same request.

    Attributes:
        fetched: the content of URLs.
        stored: the names on the disks of servers, by server and name.
    """

    fetched: dict[str, bytes] = field(default_factory=dict, repr=False)
    stored: dict[tuple[ComfyUIClient, str], str] = field(default_factory=dict, repr=False)


# -- into the graph ------------------------------------------------------------------------------------------------


def place_files(files: Sequence[InputFile], filled: Filled, template: Template, forms: FileForms) -> list[Placed]:
    """Find the inputs that each file is for, and the form in which each takes it.

    Args:
        template: the template that was filled.
        forms: describes what the graph's inputs take; used only if there are files.

    Raises:
        InvalidRequest: a name fits no input or occurs twice, an input cannot take the file, or there are too many.
        ComfyUIUnreachable, ComfyUIError, TimedOut: the server's description of an input is not available.
    """
    if not files:
        return []
    check_count(len(files))
    names = Counter(file.name for file in files)
    twice = next((name for name, count in names.items() if count > 1), None)
    if twice is not None:
        raise InvalidRequest(f"images has two files named {clip(twice)!r}.", field=twice)
    taken: dict[Target, str] = {}
    placed = []
    mentions = _Mentions(filled, template)
    for file in files:
        place = _place(file, filled, template.parameters, mentions, forms)
        for target in place.forms:
            other = taken.setdefault(target, file.name)
            if other != file.name:
                raise InvalidRequest(
                    f"images: {clip(other)} and {clip(file.name)} are both for {target.node}.{target.input}.",
                    field=file.name,
                )
        placed.append(place)
    return placed


def _place(
    file: InputFile, filled: Filled, parameters: Mapping[str, Parameter], mentions: _Mentions, forms: FileForms
) -> Placed:
    targets = mentions.of(file.name)
    parameter = parameters.get(file.name)
    is_own_name = parameter is not None
    if isinstance(file, StoredInput):
        chosen = {target: _form(file, target, filled.graph, forms) for target in targets}
        return Placed(file, chosen, tuple(mentions.parameters_of(targets)))
    if parameter is None and is_for_file(file.name, parameters, filled.graph):
        targets += targets_of(file.name, filled.graph, parameters)
        is_own_name = True
    if parameter is not None and parameter.is_file:
        _check_not_given(file.name, parameter, filled)
        targets += parameter.targets
    if not targets:
        names = _takes(filled.graph, parameters)
        rest = f"; the names that it takes are {listed(names, file.name)}" if names else ", and none loads a file"
        said = f"images: no node of the graph mentions {clip(file.name)!r}{rest}."
        raise InvalidRequest(said, field=file.name)
    seen_as = mentions.parameters_of(targets)
    reported = dict.fromkeys([*seen_as, *([file.name] if is_own_name else [])])
    chosen = {target: _form(file, target, filled.graph, forms) for target in targets}
    return Placed(file, chosen, tuple(reported))


def _form(file: InputFile, target: Target, graph: Graph, forms: FileForms) -> Form:
    """The form in which an input gets a file: the URL itself if the input takes one.

    A name is the last choice: nodes that also take paths may look for names elsewhere.
    """
    accepted = forms.of(target)
    wanted: tuple[Form, ...] = ("base64", "data_uri", "name")
    if isinstance(file, LinkedFile):
        wanted = ("url", *wanted)
    chosen = next((form for form in wanted if form in accepted), None)
    if chosen is None:
        takes = " or ".join(text for form, text in SHOWN.items() if form in accepted)
        where = f"{target.node}.{target.input} ({clip(graph[target.node]['class_type'])})"
        raise InvalidRequest(
            f"images: {clip(_shown(file))} is for {where}, which takes {takes}, not the file itself; give its URL.",
            field=file.name,
        )
    return chosen


def check_names(filled: Filled, parameters: Mapping[str, Parameter], forms: FileForms) -> None:
    """Refuse a name for a parameter that names a file where the node takes no names.

    Raises:
        InvalidRequest: which parameter, and what it takes.
        ComfyUIUnreachable, ComfyUIError, TimedOut: the server's description of an input is not available.
    """
    for name in filled.given:
        parameter = parameters.get(name)
        if parameter is None or not parameter.is_file:
            continue
        for target in parameter.targets:
            accepted = forms.of(target)
            if accepted.isdisjoint(("name", "path")):
                takes = " or ".join(text for form, text in SHOWN.items() if form in accepted)
                raise InvalidRequest(
                    f"{clip(name)} is {describe(filled.params.get(name))}, but {target.node}.{target.input} "
                    f"({clip(filled.graph[target.node]['class_type'])}), which it feeds, takes {takes}.",
                    field=name,
                )


class _Mentions:
    """An index of a filled graph, made once for all files: inputs by value, and the parameters that set them."""

    def __init__(self, filled: Filled, template: Template) -> None:
        graph = filled.graph
        spared = template.texts(PROSE)
        self._targets: dict[str, list[Target]] = {}
        for node_id, node in graph.items():
            for input_name, value in node["inputs"].items():
                if isinstance(value, str) and value and input_name not in PROSE_INPUTS:
                    target = Target(node_id, input_name)
                    if target not in spared:
                        for written in {value, value.removesuffix(ANNOTATION)}:
                            self._targets.setdefault(written, []).append(target)
        self._parameters: dict[Target, list[str]] = {}
        for name in filled.params:
            for target in targets_of(name, graph, template.parameters):
                self._parameters.setdefault(target, []).append(name)
        self._order = {name: place for place, name in enumerate(filled.params)}

    def of(self, name: str) -> list[Target]:
        """The inputs whose value is the name."""
        return list(self._targets.get(name, ())) if name else []

    def parameters_of(self, targets: Sequence[Target]) -> list[str]:
        """The parameters in use that set one of the inputs."""
        names = {name for target in targets for name in self._parameters.get(target, ())}
        return sorted(names, key=self._order.__getitem__)


def _check_not_given(name: str, parameter: Parameter, filled: Filled) -> None:
    """Refuse a file for a parameter that also has a value, unless the value is the file's name."""
    names = [name, *(f"{target.node}.{target.input}" for target in parameter.targets)]
    for each in names:
        if each in filled.given and filled.params.get(each) not in (name, name + ANNOTATION):
            said = f"{clip(name)} is given as a file in images, and as a value in params."
            raise InvalidRequest(said, field=name)


def _takes(graph: Graph, parameters: Mapping[str, Parameter]) -> list[str]:
    """The names that a file could have."""
    names = [name for name, parameter in parameters.items() if parameter.is_file]
    for node in graph.values():
        for value in node["inputs"].values():
            if not isinstance(value, str) or "\n" in value:
                continue
            plain = value.removesuffix(ANNOTATION)
            loads = "Load" in node["class_type"] and media_type_of(plain)[1] in ("image", "video", "audio", "3d")
            if plain and (loads or (node["class_type"] in IMAGE_LOADERS and value == node["inputs"].get("image"))):
                names.append(plain)
    return list(dict.fromkeys(names))


# -- onto ComfyUI's disk -------------------------------------------------------------------------------------------


class Uploader:
    """Brings files to a ComfyUI. Safe to share between threads.

    Args:
        fetcher: fetches URLs.
        most_bytes: how many bytes the files of one request may have together.
    """

    def __init__(self, fetcher: Fetcher, most_bytes: int) -> None:
        self._fetcher = fetcher
        self._most_bytes = most_bytes
        self._bringer = Bringer()

    def feed(
        self,
        placed: Sequence[Placed],
        filled: Filled,
        client: ComfyUIClient,
        deadline: Deadline,
        check_file: Callable[[InputFile], None] | None = None,
        check_unseen: Callable[[InputFile], None] | None = None,
        brought: Brought | None = None,
    ) -> None:
        """Bring the files to a server, and write them into the graph in the form that its inputs take.

        Args:
            check_file: raises an error for a file that may not be used.
            check_unseen: the same for a file that ComfyUI is to fetch, so that the bridge does not see it.
            brought: what earlier prompts of the request have brought; is added to.

        Raises:
            InvalidRequest: a file cannot be fetched, is empty, or is not an image although it must be one.
            MissingAsset: the bytes of a stored file are gone.
            TooLarge: the files are too large.
            ComfyUIUnreachable, ComfyUIError, TimedOut: they could not be uploaded.
        """
        for each in placed:
            if each.is_handed_on and isinstance(each.file, LinkedFile):
                self._check_address(each.file, deadline)
                if check_unseen is not None:
                    check_unseen(each.file)
        brought = brought or Brought()
        loaded = self._loaded(placed, brought.fetched, deadline)
        for each in loaded:
            if each.is_handed_on or isinstance(each.file, StoredInput):
                continue
            _check(each, filled.graph)
            if check_file is not None:
                check_file(each.file)
        _check_room(loaded)
        for each in loaded:
            if isinstance(each.file, StoredInput):
                self._bring(each, each.file, filled, client, deadline, brought)
                continue
            filename = stored_name(each.file)
            if "name" in each.forms.values() and (client, filename) not in brought.stored:
                brought.stored[client, filename] = client.upload(filename, each.file.data, SUBFOLDER, deadline)
            _rewrite(each, filled, brought.stored.get((client, filename), ""))

    def check(self, placed: Sequence[Placed], graph: Graph, check_file: Callable[[InputFile], None] | None) -> None:
        """Refuse files that `feed` would refuse, as far as that shows before any is fetched.

        Raises:
            InvalidRequest, TooLarge: as `feed`.
            BridgeError: raised by `check_file`.
        """
        here = [each for each in placed if not isinstance(each.file, (LinkedFile, StoredInput))]
        Allowance(self._most_bytes).take(sum(len(each.file.data) for each in here))
        for each in here:
            _check(each, graph)
            if check_file is not None:
                check_file(each.file)
        _check_room(here)

    def _bring(
        self,
        placed: Placed,
        file: StoredInput,
        filled: Filled,
        client: ComfyUIClient,
        deadline: Deadline,
        brought: Brought,
    ) -> None:
        key = client, file.name
        try:
            if key not in brought.stored:
                brought.stored[key] = self._bringer.bring(file, client, deadline)
            if not {"base64", "data_uri"}.isdisjoint(placed.forms.values()):
                placed = replace(placed, file=InputFile(file.name, b"".join(file.chunks())))
        except LookupError as error:
            raise missing(file, placed.forms, filled.graph, error) from None
        _rewrite(placed, filled, brought.stored[key])
        if brought.stored[key] != file.name:
            rename(filled.graph, file.name, brought.stored[key])

    def _check_address(self, file: LinkedFile, deadline: Deadline) -> None:
        """Refuse an address that the bridge would not fetch itself."""
        try:
            self._fetcher.check(file.url, deadline)
        except InvalidRequest as error:
            raise InvalidRequest(f"images: {clip(file.name)}: {error.message}", field=file.name) from None

    def _loaded(self, placed: Sequence[Placed], known: dict[str, bytes], deadline: Deadline) -> list[Placed]:
        """The files with their data, if they are not too large together.

        If several fail, the error is that of the first in the request, whatever their order of failure.

        Args:
            known: the content of URLs that have been fetched already; is added to.
        """
        here = sum(len(each.file.data) for each in placed)
        allowance = Allowance(self._most_bytes)
        allowance.take(here)
        linked = [each.file for each in placed if isinstance(each.file, LinkedFile) and not each.is_handed_on]
        if not linked:
            return list(placed)

        def fetch(file: LinkedFile) -> InputFile:
            if file.url in known:
                allowance.take(len(known[file.url]))
            else:
                known[file.url] = self._fetched(file, allowance, deadline)
            return InputFile(file.name, known[file.url])

        fetched = map_at_once(fetch, linked, MOST_AT_ONCE, deadline)
        files = dict(zip((file.name for file in linked), fetched, strict=True))
        return [replace(each, file=files.get(each.file.name, each.file)) for each in placed]

    def _fetched(self, file: LinkedFile, allowance: Allowance, deadline: Deadline) -> bytes:
        try:
            return self._fetcher.fetch(file.url, allowance, deadline)
        except InvalidRequest as error:
            raise InvalidRequest(f"images: {clip(file.name)}: {error.message}", field=file.name) from None


def stored_name(file: InputFile) -> str:
    """The name of a file on ComfyUI's disk: a digest of its content, and a suitable ending."""
    return f"{hashlib.sha256(file.data).hexdigest()[:DIGITS]}.{suffix_of(file.data, file.name) or 'bin'}"


def _check(placed: Placed, graph: Graph) -> None:
    """Refuse empty files, and files that must be complete images but are not."""
    file = placed.file
    if not file.data:
        raise InvalidRequest(f"images: {clip(file.name)} is empty.", field=file.name)
    opened = any(
        (target.input == "image" and graph[target.node]["class_type"] in IMAGE_LOADERS)
        or (form in ("base64", "data_uri") and _PICTURE.search(graph[target.node]["class_type"]))
        for target, form in placed.forms.items()
    )
    if file.data.startswith(POSTSCRIPT):
        raise InvalidRequest(f"images: {clip(file.name)} is PostScript, which can't be used.", field=file.name)
    try:
        check_still_image(clip(file.name), file.data, must_be_image=opened)
    except InvalidRequest as error:
        error.field = file.name
        raise


def _check_room(placed: Sequence[Placed]) -> None:
    """Refuse too many bytes of files within a graph: ComfyUI copies its queue whenever someone reads it."""
    size = sum(_size(each.file) for each in placed for form in each.forms.values() if form in ("base64", "data_uri"))
    if size > MOST_IN_GRAPH:
        raise TooLarge(
            f"The graph's nodes take files of {size} bytes as base64; they may have {MOST_IN_GRAPH} together."
        )


def _size(file: InputFile) -> int:
    return file.size if isinstance(file, StoredInput) else len(file.data)


def _shown(file: InputFile) -> str:
    return file.shown if isinstance(file, StoredInput) else file.name


def _rewrite(placed: Placed, filled: Filled, stored: str) -> None:
    for target, form in placed.forms.items():
        value: Any = filled.graph[target.node]["inputs"].get(target.input)
        annotated = isinstance(value, str) and value.endswith(ANNOTATION)
        written = _written(placed.file, form, stored)
        set_input(filled.graph, target.node, target.input, written + ANNOTATION if annotated else written)
    for name in placed.reported:
        filled.params[name] = _reported(placed, stored)


def _written(file: InputFile, form: Form, stored: str) -> str:
    """A file as an input takes it."""
    if form == "url" and isinstance(file, LinkedFile):
        return file.url
    if form in ("base64", "data_uri"):
        data = base64.b64encode(file.data).decode("ascii")
        return data if form == "base64" else f"data:{_media_type(file)};base64,{data}"
    return stored


def _reported(placed: Placed, stored: str) -> str:
    """The reported value for a file: its URL or name, or a description in place of its data."""
    if placed.is_handed_on and isinstance(placed.file, LinkedFile):
        return placed.file.url
    return stored or f"{_media_type(placed.file)} as base64, {len(placed.file.data)} bytes"


def _media_type(file: InputFile) -> str:
    return media_type_of(f"x.{suffix_of(file.data, file.name)}")[0]

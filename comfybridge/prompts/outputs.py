"""Turns what ComfyUI's nodes show into the outputs of a generation."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from comfybridge.comfyui.client import ComfyUIClient
from comfybridge.comfyui.download import Download
from comfybridge.comfyui.outcome import Frame, NodeOutput, Outcome
from comfybridge.deadline import Deadline
from comfybridge.errors import ComfyUIError
from comfybridge.media import convert, extension_of, media_type_of
from comfybridge.prompts.output_places import OutputPlace, output_place
from comfybridge.prompts.output_texts import last_texts_of, numbers_of, texts_of
from comfybridge.request import Kind, LoadedFile, OpenFile, Output, OutputOptions, StoredFile

TEXT = "text/plain; charset=utf-8"


@dataclass
class Collected:
    """The outputs of an outcome that a request wants.

    Attributes:
        outputs: in the outcome's order; converted as the request asks when they are loaded.
        warnings: sentences on outputs that cannot be returned.
    """

    outputs: list[Output] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def outputs_of(
    outcome: Outcome, client: ComfyUIClient, deadline: Deadline, options: OutputOptions | None = None
) -> list[Output]:
    """The outputs of `collect_outputs`."""
    return collect_outputs(outcome, client, deadline, options).outputs


def collect_outputs(
    outcome: Outcome, client: ComfyUIClient, deadline: Deadline, options: OutputOptions | None = None
) -> Collected:
    """The outputs of an outcome that the options ask for.

    Previews (`temp` files) are returned only if there is no other file, or on request. ComfyUI's keys (`images`,
    `gifs`, `audio`, ...) don't say what a file is, so they are ignored: any entry with a file name is a file. Files
    that ComfyUI does not serve are left out if there is anything else.

    Raises:
        ComfyUIError, ComfyUIUnreachable, TimedOut: ComfyUI could not be asked whether it serves a file.
    """
    options = options or OutputOptions()
    found: list[Output] = []
    refused: list[Output] = []
    warnings: list[str] = []
    frame_numbers = itertools.count(1)
    for each in outcome.shown:
        if isinstance(each, Frame):
            found.append(_frame(each, next(frame_numbers), options))
        else:
            for output, refusal in _shown(each, client, deadline, options):
                if refusal is None:
                    found.append(output)
                elif options.nodes is None or each.node_id in options.nodes:
                    refused.append(output)
                    warnings.append(refusal)
    if options.nodes is not None:
        found = [output for output in found if output.node_id in options.nodes]
    if not found and not refused:
        wanted = [each for each in outcome.outputs if options.nodes is None or each.node_id in options.nodes]
        left = [(each, text) for each in wanted for text in [*last_texts_of(each), *numbers_of(each)]]
        return Collected([_text(each, text) for each, text in left])
    # a text has no type, and does not count as a file
    if not options.previews and any(output.type not in ("temp", "") for output in found):
        found = [output for output in found if output.type != "temp"]
    if not found:
        return Collected(refused)
    return Collected(found, warnings)


def places_of(node: NodeOutput) -> Iterator[OutputPlace]:
    """The places of a node's files."""
    for key, entries in node.output.items():
        for each in entries if isinstance(entries, list) else []:
            entry = _model_file(each) if key == "result" and isinstance(each, str) else each
            place = output_place(entry) if isinstance(entry, Mapping) else None
            if place is not None:
                yield place


def stored_output(stored: StoredFile, client: ComfyUIClient, deadline: Deadline) -> Output:
    """The output that a stored file is; which node made it is not known."""
    place = OutputPlace(stored.filename, stored.subfolder, stored.type)
    return _file("", place, client, deadline, stored.options)


def stored_part(stored: StoredFile, client: ComfyUIClient, deadline: Deadline, part: str) -> Download:
    """Begin to download a part of a stored file, unconverted.

    Args:
        part: as `ComfyUIClient.view` takes it.

    Raises:
        ComfyUIError, ComfyUIUnreachable, TimedOut: as `OutputPlace.view`.
    """
    return OutputPlace(stored.filename, stored.subfolder, stored.type).view(client, deadline, part)


def returned_name(output: Output) -> str:
    """The name that a file will most likely have once it is converted as its request asked."""
    stored = output.stored or output.kept
    options = stored.options if stored else OutputOptions()
    format = f"image/{options.format}"
    if output.kind != "image" or options.format is None or format == output.media_type:
        return output.filename
    return _with_ending(output.filename, format)


def _shown(
    node: NodeOutput, client: ComfyUIClient, deadline: Deadline, options: OutputOptions
) -> Iterator[tuple[Output, str | None]]:
    """The outputs of a node, each with the reason why ComfyUI does not serve it, if its name shows one."""
    files: list[Output] = []
    refusals: list[str | None] = []
    for place in places_of(node):
        if place.is_served(client, deadline):
            files.append(_file(node.node_id, place, client, deadline, options))
            refusals.append(None)
        else:
            refusal = f"Node {node.node_id} names an output file that {place.why_not_served}."
            files.append(_refused(node.node_id, place, refusal))
            refusals.append(refusal)
    texts = texts_of(node, has_files=bool(files))
    if texts and len(texts) == len(files) and all(map(_holds_text, files)) and not any(refusals):
        # a node that saves a text shows it as well; that is one output, not two
        files = [replace(file, kind="text", text=text) for file, text in zip(files, texts, strict=True)]
        texts = []
    yield from zip(files, refusals, strict=True)
    for text in texts:
        yield _text(node, text), None


def _holds_text(file: Output) -> bool:
    return file.kind == "text" or file.media_type == "application/json"


def _model_file(path: str) -> Mapping[str, str] | None:
    """The 3D file that a Preview3D node shows, which it names by its path below ComfyUI's output folder.

    comfy_extras/nodes_load_3d.py: `{"result": [model_file, camera_info]}`; other nodes use these keys differently.
    """
    subfolder, _, filename = path.removesuffix(" [output]").replace("\\", "/").rpartition("/")
    is_below = not path.startswith(("/", "\\")) and ":" not in subfolder and ".." not in subfolder.split("/")
    if media_type_of(filename)[1] != "3d" or not is_below:
        return None
    return {"filename": filename, "subfolder": subfolder, "type": "output"}


def _file(
    node_id: str, place: OutputPlace, client: ComfyUIClient, deadline: Deadline, options: OutputOptions
) -> Output:
    media_type, kind = media_type_of(place.filename)
    return Output(
        node_id=node_id,
        kind=kind,
        filename=place.shown_filename,
        subfolder=place.shown_subfolder,
        type=place.type,
        media_type=media_type,
        source=partial(_open, place, client, deadline, media_type),
        convert=conversion_of(kind, options),
        is_there=partial(place.is_there, client, deadline),
        stored=None if place.is_absolute else _stored(place, client, options),
    )


def _stored(place: OutputPlace, client: ComfyUIClient, options: OutputOptions) -> StoredFile:
    return StoredFile(client.address.url, place.filename, place.subfolder, place.type, options)


def _open(place: OutputPlace, client: ComfyUIClient, deadline: Deadline, media_type: str) -> OpenFile:
    download = place.view(client, deadline)
    return OpenFile(media_type, place.shown_filename, download, size=download.size, close=download.close)


def _refused(node_id: str, place: OutputPlace, refusal: str) -> Output:
    """A file that ComfyUI does not serve; its source raises the error that says so."""
    media_type, kind = media_type_of(place.filename)
    source = partial(_refuse, refusal)
    return Output(node_id, kind, place.shown_filename, place.shown_subfolder, place.type, media_type, source)


def _refuse(sentence: str) -> OpenFile:
    raise ComfyUIError(sentence)


def conversion_of(kind: Kind, options: OutputOptions) -> Callable[[LoadedFile], LoadedFile] | None:
    """The conversion that a request's options ask for a file of a kind; None if they can't affect it."""
    if kind != "image" or (options.format is None and options.max_size is None and options.metadata == "keep"):
        return None
    return partial(_converted, options=options)


def _converted(file: LoadedFile, options: OutputOptions) -> LoadedFile:
    converted = convert(file.data, file.media_type, options)
    filename = file.filename
    if converted.media_type != file.media_type:
        filename = _with_ending(filename, converted.media_type)
    return LoadedFile(converted.data, converted.media_type, filename, tuple(converted.warnings))


def _with_ending(filename: str, media_type: str) -> str:
    return f"{filename.rpartition('.')[0] or filename}.{extension_of(media_type)}"


def _text(node: NodeOutput, text: str) -> Output:
    return Output(
        node_id=node.node_id,
        kind="text",
        filename="",
        subfolder="",
        type="",
        media_type=TEXT,
        source=partial(OpenFile.of, LoadedFile(text.encode(), TEXT, "")),
        text=text,
    )


def _frame(frame: Frame, number: int, options: OutputOptions) -> Output:
    filename = f"websocket_{number:05}.{extension_of(frame.media_type)}"
    return Output(
        node_id=frame.node_id,
        kind="image",
        filename=filename,
        subfolder="",
        type="websocket",
        media_type=frame.media_type,
        source=partial(OpenFile.of, LoadedFile(bytes(frame.data), frame.media_type, filename)),
        convert=conversion_of("image", options),
    )

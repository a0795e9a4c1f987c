"""From what ComfyUI's nodes have to show to the outputs of a generation."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from comfybridge.comfyui.client import ComfyUIClient
from comfybridge.comfyui.download import Download
from comfybridge.comfyui.outcome import Frame, NodeOutput, Outcome
from comfybridge.deadline import Deadline
from comfybridge.errors import ComfyUIError
from comfybridge.media import convert, extension_of, media_type_of
from comfybridge.request import Kind, LoadedFile, OpenFile, Output, OutputOptions

# ComfyUI's folders that it serves files of (server.py: view_image)
_FOLDERS = ("output", "temp", "input")
# separators of folders, drives, control characters and halves of characters
_UNFIT = re.compile("[\x00-\x1f\x7f/\\\\\ud800-\udfff]")
_UNFIT_FOLDER = re.compile("^[A-Za-z]:|[\x00-\x1f\x7f\ud800-\udfff]")


def outputs_of(
    outcome: Outcome, client: ComfyUIClient, deadline: Deadline, options: OutputOptions | None = None
) -> list[Output]:
    """The outputs of an outcome that the options ask for, in its order; converted as they ask when they are loaded.

    Previews (`temp` files) only if there is no other file, or if they are asked for. ComfyUI's keys (`images`,
    `gifs`, `audio`, ...) don't tell what a file is, and are not asked: whatever has a file name is a file, and `text`
    holds texts.
    """
    options = options or OutputOptions()
    found: list[Output] = []
    frame_numbers = itertools.count(1)
    for each in outcome.shown:
        if isinstance(each, Frame):
            found.append(_frame(each, next(frame_numbers), options))
        else:
            found.extend(_files(each, client, deadline, options))
            found.extend(_texts(each))
    if options.nodes is not None:
        found = [output for output in found if output.node_id in options.nodes]
    # a text has no type, and says nothing of pictures
    if not options.previews and any(output.type not in ("temp", "") for output in found):
        return [output for output in found if output.type != "temp"]
    return found


def _files(node: NodeOutput, client: ComfyUIClient, deadline: Deadline, options: OutputOptions) -> Iterator[Output]:
    for key, entries in node.output.items():
        for each in entries if isinstance(entries, list) else []:
            entry = _model_file(each) if key == "result" and isinstance(each, str) else each
            if isinstance(entry, Mapping) and isinstance(entry.get("filename"), str):
                yield _file(node.node_id, entry, client, deadline, options)


def _model_file(path: str) -> Mapping[str, str] | None:
    """The 3D file that a Preview3D node shows, which it names by its path below ComfyUI's output folder.

    comfy_extras/nodes_load_3d.py: `{"result": [model_file, camera_info]}`; other nodes put other things there.
    """
    subfolder, _, filename = path.removesuffix(" [output]").replace("\\", "/").rpartition("/")
    is_below = not path.startswith(("/", "\\")) and ":" not in subfolder and ".." not in subfolder.split("/")
    if media_type_of(filename)[1] != "3d" or not is_below:
        return None
    return {"filename": filename, "subfolder": subfolder, "type": "output"}


def _file(
    node_id: str, entry: Mapping[str, Any], client: ComfyUIClient, deadline: Deadline, options: OutputOptions
) -> Output:
    filename, subfolder = entry["filename"], str(entry.get("subfolder") or "")
    type = str(entry.get("type") or "output")
    media_type, kind = media_type_of(filename)
    view = partial(client.view, filename, subfolder, type, deadline)
    if not _can_be_fetched(filename, subfolder, type):
        view = partial(_refuse, node_id)
    return Output(
        node_id=node_id,
        kind=kind,
        filename=filename,
        subfolder=subfolder,
        type=type,
        media_type=media_type,
        source=partial(_open, view, filename, media_type),
        convert=_conversion(kind, options),
    )


def _can_be_fetched(filename: str, subfolder: str, type: str) -> bool:
    """Whether these name a file below one of ComfyUI's folders, and nothing that leads whoever saves it elsewhere.

    ComfyUI itself serves no other, but a node may name one, and so may whatever else is at COMFYUI_URL.
    """
    below = subfolder.replace("\\", "/")
    return (
        filename not in ("", ".", "..")
        and not _UNFIT.search(filename)
        and not _UNFIT_FOLDER.search(below)
        and not below.startswith("/")
        and ".." not in below.split("/")
        and type in _FOLDERS
    )


def _refuse(node_id: str) -> Download:
    raise ComfyUIError(f"Node {node_id} names an output file that lies in none of ComfyUI's folders.")


def _open(view: Callable[[], Download], filename: str, media_type: str) -> OpenFile:
    download = view()
    return OpenFile(media_type, filename, download, size=download.size, close=download.close)


def _conversion(kind: Kind, options: OutputOptions) -> Callable[[LoadedFile], LoadedFile] | None:
    """What is to be done with a file of that kind; None if it can't come to anything."""
    if kind != "image" or (options.format is None and options.max_size is None and options.metadata == "keep"):
        return None
    return partial(_converted, options=options)


def _converted(file: LoadedFile, options: OutputOptions) -> LoadedFile:
    converted = convert(file.data, file.media_type, options)
    filename = file.filename
    if converted.media_type != file.media_type:
        stem = filename.rpartition(".")[0] or filename
        filename = f"{stem}.{extension_of(converted.media_type)}"
    return LoadedFile(converted.data, converted.media_type, filename, tuple(converted.warnings))


def _texts(node: NodeOutput) -> Iterator[Output]:
    media_type = "text/plain; charset=utf-8"
    texts = node.output.get("text")
    for said in texts if isinstance(texts, list) else [texts]:
        if isinstance(said, str):
            text = said.encode(errors="replace").decode()  # half a character is no text
            yield Output(
                node_id=node.node_id,
                kind="text",
                filename="",
                subfolder="",
                type="",
                media_type=media_type,
                source=partial(OpenFile.of, LoadedFile(text.encode(), media_type, "")),
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
        convert=_conversion("image", options),
    )

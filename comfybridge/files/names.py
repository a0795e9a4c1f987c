"""Refuses file names that lead out of ComfyUI's folders.

ComfyUI appends a name to the input folder's path with a bare `os.path.join` (folder_paths.get_annotated_filepath), so
`../output/x.png` shows other callers' pictures, and `/etc/passwd` is opened too. Names in a template are its owner's
responsibility; names from a caller are checked here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

from comfybridge.comfyui.catalog import NodeClass
from comfybridge.comfyui.dynamic_inputs import parts
from comfybridge.errors import InvalidRequest
from comfybridge.workflow.filling import Filled
from comfybridge.workflow.graph import Graph, is_link, parse_target
from comfybridge.workflow.parameters import Parameter, Target
from comfybridge.workflow.wording import clip

# A node class by its name; None if the server does not have it.
NodeClassOf = Callable[[str], "NodeClass | None"]

# inputs for prose or for new file names, not for names of existing files
PROSE = ("prompt", "negative_prompt")
# LoadImage, LoadAudio, Load3D, VHS_LoadVideo; not CheckpointLoader: models are chosen from ComfyUI's list
_LOADERS = re.compile(r"Load(?!er)")
OTHER_LOADERS = ("WebcamCapture", "RecordAudio")  # nodes_webcam.py, nodes_audio.py
ANNOTATIONS = ("[input]", "[output]", "[temp]")
_SEPARATORS = re.compile(r"[/\\]")
_DRIVE = re.compile(r"[A-Za-z]:")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_BEGINNINGS = ("/", "\\", " ")
ACCEPTED = "it must be the name of a file in ComfyUI's input folder, without '..', a root or a drive"


def leads_elsewhere(name: str) -> bool:
    """Whether a file's name may lead out of its folder, on any system."""
    name = name.strip()
    if name[:1] in ("/", "\\") or "\0" in name or _DRIVE.match(name):
        return True
    return ".." in name and any(part.strip() == ".." for each in _read_as(name) for part in _SEPARATORS.split(each))


def _read_as(name: str) -> Iterator[str]:
    yield name
    for annotation in ANNOTATIONS:
        if name.endswith(annotation):
            yield name[: -len(annotation) - 1]  # ComfyUI drops the letter before it, whichever it is


def check_file_names(
    filled: Filled,
    parameters: Mapping[str, Parameter],
    brought: Collection[Target],
    node_class_of: NodeClassOf,
    *,
    is_own_graph: bool,
    is_confined: bool,
) -> None:
    """Refuse a caller's file name that leads out of ComfyUI's folders, in an input that loads files.

    Args:
        parameters: those of the template, or those that were found in the graph.
        brought: the inputs whose value will be replaced by the name of a file in the request.
        is_own_graph: whether the whole graph is the caller's, and not only the parameters given.
        is_confined: whether the caller may only set the parameters of templates. Such a name is then refused in any
            text that is not prose.

    Raises:
        InvalidRequest: which input or parameter it is in.
        ComfyUIUnreachable, ComfyUIError, TimedOut: the server's description of a node is not available.
    """
    graph = filled.graph
    known: dict[str, NodeClass | None] = {}

    def class_of(name: str) -> NodeClass | None:
        if name not in known:
            known[name] = node_class_of(name)
        return known[name]

    elsewhere: dict[str, str] = {}
    for target, name, texts in _of_caller(filled, parameters, is_own_graph):
        if target in brought:
            continue
        class_type = graph[target.node]["class_type"]
        is_file = name in parameters and parameters[name].is_file
        for text in texts:
            if leads_elsewhere(text):
                if is_file or names_file(class_type, target.input, class_of):
                    raise _refused(name, text)
                if is_confined and name not in PROSE and not _is_prose(class_type, target.input, class_of):
                    raise _refused(name, text)
                elsewhere.setdefault(target.node, text)
            # other classes are not worth a call: most such inputs are texts of several lines
            elif _CONTROL.search(text) and (
                is_file or (_loads(class_type) and names_file(class_type, target.input, class_of))
            ):
                raise _refused(name, text)
    if elsewhere:
        _check_links(graph, elsewhere, class_of)


def _refused(name: str, text: str) -> InvalidRequest:
    return InvalidRequest(f"{clip(name)} is {clip(text)!r}; {ACCEPTED}.", field=name)


def _of_caller(
    filled: Filled, parameters: Mapping[str, Parameter], is_own_graph: bool
) -> Iterator[tuple[Target, str, list[str]]]:
    """The inputs that the caller has set, with the caller's names for them and the texts to check."""
    if is_own_graph:
        for node_id, node in filled.graph.items():
            for name, value in node["inputs"].items():
                # most are numbers and links
                if isinstance(value, (int, float)) or (isinstance(value, list) and is_link(value)):
                    continue
                texts = _suspects(value)
                if texts:
                    yield Target(node_id, name), f"{node_id}.{name}", texts
        return
    for name in filled.given:
        targets: Iterable[Target] = ()
        if name in parameters:
            targets = parameters[name].targets
        else:
            parsed = parse_target(name, filled.graph)
            if parsed is not None:
                targets = [Target(*parsed)]
        for target in targets:
            texts = _suspects(filled.graph[target.node]["inputs"].get(target.input))
            if texts:
                yield target, name, texts


def _suspects(value: Any) -> list[str]:
    if isinstance(value, str):
        return [] if _is_plain(value) else [value]
    if isinstance(value, (dict, list)):
        return [text for text in _texts(value) if not _is_plain(text)]
    return []


def _is_plain(text: str) -> bool:
    """Whether a text is certainly harmless; a quick check, because every text of every graph gets one."""
    return text.isprintable() and ".." not in text and text[1:2] != ":" and not text.startswith(_BEGINNINGS)


def _texts(value: Any) -> Iterator[str]:
    """The texts of an input: Load3D takes an object of names, and `{"__value__": ...}` is unwrapped by ComfyUI."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list) and not is_link(value):
        for each in value:
            yield from _texts(each)


def _loads(class_type: str) -> bool:
    return class_type in OTHER_LOADERS or _LOADERS.search(class_type) is not None


def names_file(class_type: str, input_name: str, class_of: NodeClassOf, *, is_link: bool = False) -> bool:
    """Whether an input is for the name of a file in ComfyUI's folders.

    A loader's plain text is not: a node that takes any path was installed for that purpose.

    Args:
        is_link: whether the name comes over a link, in which case the input may be for other values too.
    """
    node_class = class_of(class_type)
    if node_class is None:
        return _loads(class_type)
    declared = node_class.declarations(input_name) or [None]
    return any(_names_file(*parts(config), _loads(class_type), is_link) for config in declared)


def _names_file(kind: Any, options: Mapping[str, Any], loads: bool, is_link: bool) -> bool:
    if any(name == "upload" or str(name).endswith("_upload") for name, value in options.items() if value):
        return True
    if not loads:
        return False
    if is_link:
        return isinstance(kind, list) or kind == "COMBO" or str(kind).startswith("LOAD")
    return bool(kind != "STRING")


def _is_prose(class_type: str, input_name: str, class_of: NodeClassOf) -> bool:
    """Whether an input is for a text of several lines."""
    node_class = class_of(class_type)
    if node_class is None:
        return False
    declared = [parts(config) for config in node_class.declarations(input_name)]
    return bool(declared) and all(kind == "STRING" and options.get("multiline") for kind, options in declared)


def _check_links(graph: Graph, elsewhere: Mapping[str, str], class_of: NodeClassOf) -> None:
    """Refuse a name that reaches a loader of files over links from another node."""
    fed: dict[str, list[Target]] = {}
    for node_id, node in graph.items():
        for name, value in node["inputs"].items():
            if is_link(value):
                fed.setdefault(str(value[0]), []).append(Target(node_id, name))
    written = dict(elsewhere)
    waiting = list(elsewhere)
    while waiting:
        node_id = waiting.pop()
        for target in fed.get(node_id, ()):
            if names_file(graph[target.node]["class_type"], target.input, class_of, is_link=True):
                raise _refused(f"{target.node}.{target.input}", written[node_id])
            if target.node not in written:
                written[target.node] = written[node_id]
                waiting.append(target.node)

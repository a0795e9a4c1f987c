"""Determines the form in which an input takes a file: a name in ComfyUI's input folder, base64 data, or a URL.

ComfyUI itself only knows names. Nodes of other packs take a text, and only words show what it means: in the input's
name, its tooltip, the name of the node's class (`ETN_LoadImageBase64`, `LoadImageFromUrl`), or the node's
description.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any, Literal

from comfybridge.comfyui.catalog import NodeClass
from comfybridge.files.names import NodeClassOf
from comfybridge.workflow.graph import Graph, is_link
from comfybridge.workflow.parameters import Target

# `path`: the path of a file on ComfyUI's machine, not relative to its input folder
Form = Literal["name", "base64", "data_uri", "url", "path"]

# ComfyUI's own loaders, for which no description is requested: ComfyUI would list its whole input folder in it
FILE_INPUTS = {
    "LoadImage": "image",
    "LoadImageMask": "image",
    "LoadImageOutput": "image",
    "LoadAudio": "audio",
    "LoadVideo": "file",
    "Load3D": "model_file",
}
NAME: frozenset[Form] = frozenset(("name",))
MOST_NODES_PASSED = 32  # between a text and the node that loads the file

_DATA_URI = re.compile(r"data[ _:-]?ur[il]", re.IGNORECASE)
_FORMATS = re.compile(r"web[pm]", re.IGNORECASE)
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_PAGE = re.compile(r"https?://\S*")  # in a description, mostly the author's
_URL_WORDS = ("url", "urls", "uri", "uris", "http", "https", "web", "internet")
_PATH_WORDS = ("path", "filepath", "filename", "file", "folder", "directory", "dir")
SHOWN: Mapping[Form, str] = {
    "name": "a file's name",
    "base64": "base64",
    "data_uri": "a data URI",
    "url": "an http or https URL",
    "path": "a path on ComfyUI's own machine",
}


class FileForms:
    """The forms in which the inputs of a graph take a file.

    Args:
        node_class_of: returns the server's description of a node class; called only for inputs that are examined.
    """

    def __init__(self, graph: Graph, node_class_of: NodeClassOf) -> None:
        self._graph = graph
        self._node_class_of = node_class_of

    def of(self, target: Target) -> frozenset[Form]:
        """The forms that an input takes. A text that only feeds other nodes takes the forms that they take.

        Raises:
            ComfyUIUnreachable, ComfyUIError, TimedOut: the call to the server failed.
        """
        if FILE_INPUTS.get(self._graph[target.node]["class_type"]) == target.input:
            return NAME
        forms, goes_on = self._own(target)
        if forms or not goes_on:
            return forms or NAME
        seen, waiting = {target.node}, [target.node]
        while waiting and len(seen) <= MOST_NODES_PASSED:
            for fed in self._fed_by(waiting.pop(0)):
                forms, goes_on = self._own(fed)
                if forms:
                    return forms
                if goes_on and fed.node not in seen:
                    seen.add(fed.node)
                    waiting.append(fed.node)
        return NAME

    def _own(self, target: Target) -> tuple[frozenset[Form], bool]:
        """The forms that an input itself shows; without any, whether it may be a text for a later node."""
        node_class = self._node_class_of(self._graph[target.node]["class_type"])
        if node_class is None:
            return NAME, False
        kind, options = node_class.declared(target.input)
        if isinstance(kind, list) or kind == "COMBO" or _is_upload(options):
            return NAME, False
        return (_told(node_class, target.input, options) if kind == "STRING" else frozenset()), kind in (
            "STRING",
            "*",
        )

    def _fed_by(self, node: str) -> list[Target]:
        return [
            Target(node_id, name)
            for node_id, each in self._graph.items()
            for name, value in each["inputs"].items()
            if is_link(value) and value[0] == node
        ]


def _is_upload(options: Mapping[str, Any]) -> bool:
    return any(str(name).endswith("upload") for name, value in options.items() if value)


def _told(node_class: NodeClass, input_name: str, options: Mapping[str, Any]) -> frozenset[Form]:
    """The meaning of a text, by the first clue: its name, its options, the node's name, the node's description."""
    if options.get("vhs_path_extensions"):  # paths of VideoHelperSuite, which may be URLs too
        return frozenset(("path", "url"))
    said = [str(options.get(name) or "") for name in ("default", "placeholder", "tooltip")]
    if any(text.startswith("data:") for text in said):
        return frozenset(("data_uri",))
    return (
        _forms_in(input_name, _PATH_WORDS)
        or _unless_name_alone(_forms_in(" ".join(said), ("path",)))
        or _forms_in(f"{node_class.name} {node_class.display_name}", _PATH_WORDS)
        or _unless_name_alone(_forms_in(_PAGE.sub(" ", node_class.description), ("path",)))
        or (NAME if "Load" in node_class.name else frozenset())
    )


def _unless_name_alone(forms: frozenset[Form]) -> frozenset[Form]:
    """No forms if prose mentions only a path, which may be just an example."""
    return frozenset() if forms == NAME else forms


def _forms_in(text: str, path_words: Collection[str]) -> frozenset[Form]:
    """The forms that a text mentions."""
    forms: set[Form] = set()
    if _DATA_URI.search(text):
        forms.add("data_uri")
    if "base64" in text.lower() or "b64" in text.lower():
        forms.add("base64")
    for word in map(str.lower, _WORDS.findall(_FORMATS.sub(" ", _DATA_URI.sub(" ", text)))):
        if word in _URL_WORDS or re.fullmatch(r"[a-z]{2,}urls?", word):
            forms.add("url")
        elif word in path_words:
            forms.add("name")
    return frozenset(forms)

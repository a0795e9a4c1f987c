"""The texts that a node shows, as distinct from values meant for ComfyUI's own page.

Nodes put their texts under any key of `ui` (`text`, `tags`, `string`, ...), and beside them or instead of them things
that only the page needs: flags, sizes, pictures as base64, paths.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from comfybridge.comfyui.outcome import NodeOutput

# Keys that are for what people read, also beside files.
_TEXT_KEY = re.compile(
    r"(?:.*_)?(?:texts?|strings?|tags?|captions?|descriptions?|answers?|responses?)(?:_?lists?)?",
    re.IGNORECASE,
)
# Keys of files, and of what belongs to them: a name alone, a camera, a flag is no text.
_FILE_KEY = re.compile(
    r"(?:.*_)?(?:images?|gifs?|audios?|videos?|3d|mesh(?:es)?|models?|files?|filenames?|paths?|subfolders?|latents?"
    r"|masks?|previews?|animated|result|workflow)(?:_?lists?)?",
    re.IGNORECASE,
)
# Of those, the ones whose texts are no result either, where there is nothing else.
_PLACE_KEY = re.compile(r"(?:.*_)?(?:filenames?|paths?|subfolders?|animated|workflow)(?:_?lists?)?", re.IGNORECASE)
_FOLDERS = ("output", "temp", "input")  # of ComfyUI: what stands beside one is a name
_SIZES_KEY = re.compile(r"(?:.*_)?(?:dims|sizes?|width|height|bbox(?:es)?|histogram|seeds?)", re.IGNORECASE)
# a picture as a data URI or base64, and a path from the root of a disk
_DATA = re.compile(r"data:[\w.+-]+/[\w.+-]+[;,].*|[A-Za-z0-9+/_-]{200,}={0,2}", re.DOTALL)
_PATH = re.compile(r"(?:/|[A-Za-z]:[\\/]|\\\\)[^\r\n]*\.\w{1,12}")
# what is called so is a file, and one long word is data
_NAME = re.compile(r"[^\r\n]*\.(?=\w*[A-Za-z])\w{2,12}(?: \[\w+\])?|[A-Za-z0-9+/_=-]{60,}")
# ComfyUI's own node, which always gives a list with whole texts: single letters there are what it was given.
_GIVES_LISTS = "PreviewAny"
MOST_NUMBERS = 8  # more of them are a curve or a histogram


def texts_of(node: NodeOutput, *, has_files: bool) -> list[str]:
    """The texts that a node shows, in its order.

    Under a key that is for texts, numbers, flags and objects are texts too, as JSON; under others only what is
    written as a text counts, and nothing beside files, where it belongs to them.
    """
    found: list[str] = []
    for key, value in node.output.items():
        if _TEXT_KEY.fullmatch(str(key)):
            found += _written(value, node.class_type)
        elif not has_files and not _FILE_KEY.fullmatch(str(key)):
            found += [text for text in _plain(value, node.class_type) if text.strip() and not _is_place_or_data(text)]
    return [text.encode(errors="replace").decode() for text in found]  # half a character is no text


def last_texts_of(node: NodeOutput) -> list[str]:
    """The texts that a node shows under keys of files: a result where a graph comes to nothing else.

    Names, places and data of files are none, nor is what stands beside one.
    """
    found: list[str] = []
    for key, value in node.output.items():
        if _FILE_KEY.fullmatch(str(key)) and not _PLACE_KEY.fullmatch(str(key)):
            texts = _plain(value, node.class_type)
            is_place = len(texts) > 1 and any(text in _FOLDERS for text in texts)
            if not is_place and not any(map(_is_file, texts)):
                found += [text for text in texts if text.strip()]
    return [text.encode(errors="replace").decode() for text in found]


def numbers_of(node: NodeOutput) -> list[str]:
    """The numbers that a node shows under keys of its own: a result where a graph comes to nothing else."""
    found: list[str] = []
    for key, value in node.output.items():
        values = value if isinstance(value, list) else [value]
        is_plumbing = _FILE_KEY.fullmatch(str(key)) or _SIZES_KEY.fullmatch(str(key))
        if not is_plumbing and len(values) <= MOST_NUMBERS and all(map(_is_number, values)):
            found += map(json.dumps, values)
    return found


def _written(value: Any, class_type: str) -> list[str]:
    """A value as texts: each item of a list is one."""
    return list(_texts_in(_joined(value, class_type)))


def _plain(value: Any, class_type: str) -> list[str]:
    """What is written as a text among the items of a list."""
    return [each for each in _items(_joined(value, class_type)) if isinstance(each, str)]


def _items(value: Any) -> Iterator[Any]:
    """The items of a list, and of the lists in it."""
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, list):
            waiting.extend(reversed(each))
        else:
            yield each


def _texts_in(value: Any) -> Iterator[str]:
    for each in _items(value):
        if isinstance(each, str):
            yield each
        elif each is not None:
            try:
                yield json.dumps(each, ensure_ascii=False)
            except RecursionError:
                continue


def _joined(value: Any, class_type: str) -> Any:
    """A text that ComfyUI has split into its letters, as it does to one that a node gives without a list around it.

    A list of texts that all have one letter looks the same. That is rarer, and the letters are all there.
    """
    if class_type == _GIVES_LISTS or not isinstance(value, list) or len(value) < 2:
        return value
    return "".join(value) if all(isinstance(each, str) and len(each) == 1 for each in value) else value


def _is_place_or_data(text: str) -> bool:
    return _DATA.fullmatch(text) is not None or _PATH.fullmatch(text) is not None


def _is_file(text: str) -> bool:
    return _is_place_or_data(text) or _NAME.fullmatch(text) is not None


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)

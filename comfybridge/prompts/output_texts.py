"""The texts that a node shows, as distinct from values meant for ComfyUI's own page.

Nodes put their texts under any key of `ui` (`text`, `tags`, `string`, ...), together with values that only the page
needs: flags, sizes, pictures as base64, paths.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from comfybridge.comfyui.outcome import NodeOutput

# Keys whose values are for people, even beside files.
_TEXT_KEY = re.compile(
    r"(?:.*_)?(?:texts?|strings?|tags?|captions?|descriptions?|answers?|responses?)(?:_?lists?)?",
    re.IGNORECASE,
)
# Keys of files and of values that belong to them: a file name, a camera or a flag is not a text.
_FILE_KEY = re.compile(
    r"(?:.*_)?(?:images?|gifs?|audios?|videos?|3d|mesh(?:es)?|models?|files?|filenames?|paths?|subfolders?|latents?"
    r"|masks?|previews?|animated|result|workflow)(?:_?lists?)?",
    re.IGNORECASE,
)
# Of those, the keys whose texts are not a result even if there is nothing else.
_PLACE_KEY = re.compile(r"(?:.*_)?(?:filenames?|paths?|subfolders?|animated|workflow)(?:_?lists?)?", re.IGNORECASE)
_FOLDERS = ("output", "temp", "input")  # ComfyUI's folders: a text beside one is a file name
_SIZES_KEY = re.compile(r"(?:.*_)?(?:dims|sizes?|width|height|bbox(?:es)?|histogram|seeds?)", re.IGNORECASE)
# a picture as a data URI or base64, and a path from the root of a disk
_DATA = re.compile(r"data:[\w.+-]+/[\w.+-]+[;,].*|[A-Za-z0-9+/_-]{200,}={0,2}", re.DOTALL)
_PATH = re.compile(r"(?:/|[A-Za-z]:[\\/]|\\\\)[^\r\n]*\.\w{1,12}")
# a text with such an ending is a file name, and one long word is data
_NAME = re.compile(r"[^\r\n]*\.(?=\w*[A-Za-z])\w{2,12}(?: \[\w+\])?|[A-Za-z0-9+/_=-]{60,}")
# ComfyUI's own node, which always returns a list of whole texts: single letters there are real.
_GIVES_LISTS = "PreviewAny"
MOST_NUMBERS = 8  # longer lists are curves or histograms


def texts_of(node: NodeOutput, *, has_files: bool) -> list[str]:
    """The texts that a node shows, in its order.

    Under a key for texts, numbers, flags and objects count too, as JSON. Under other keys only strings count, and
    nothing beside files, to which they belong.
    """
    found: list[str] = []
    for key, value in node.output.items():
        if _TEXT_KEY.fullmatch(str(key)):
            found += _written(value, node.class_type)
        elif not has_files and not _FILE_KEY.fullmatch(str(key)):
            found += [text for text in _plain(value, node.class_type) if text.strip() and not _is_place_or_data(text)]
    return [text.encode(errors="replace").decode() for text in found]  # a lone surrogate is not a text


def last_texts_of(node: NodeOutput) -> list[str]:
    """The texts that a node shows under keys of files: a result if the graph has no other.

    File names, paths and file data do not count, nor do texts beside them.
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
    """The numbers that a node shows under keys of its own: a result if the graph has no other."""
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
    """The strings among the items of a list."""
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
    """Join a text that ComfyUI has split into letters, which happens if a node returns it without a list.

    A list of one-letter texts looks the same; that is rarer, and no letter is lost.
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

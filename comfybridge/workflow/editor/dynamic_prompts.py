r"""Processes `{red|blue}` and comments in the texts of a file, as the editor does before it sends a prompt.

Groups nest; a group without a `|` has a single option, and an unclosed one extends to the end. `\{`, `\|` and `\}`
are plain characters. `/* */` and `//` begin comments, even in URLs.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

Draw = Callable[[], float]
_Piece = list[Any]  # strings, and nested lists of them

_TOKEN = re.compile(r"\\.|[{|}]", re.DOTALL)
_ESCAPED = re.compile(r"\\([{}|])")
_LINE_END = re.compile(r"[\n\r\u2028\u2029]")


def drawn(text: str, draw: Draw | None) -> str:
    """The text with one option of each group, and without comments.

    Args:
        draw: returns numbers from 0 up to, but not including, 1. Without it, groups with several options and escaped
            characters stay as they are, to be processed later.
    """
    text = without_comments(text)
    groups: list[list[_Piece]] = [[[]]]  # the text and the open groups, each as a list of its options
    at = 0
    for match in _TOKEN.finditer(text):
        token = match[0]
        if token[0] == "\\" or (len(groups) == 1 and token != "{"):
            continue
        groups[-1][-1].append(text[at : match.start()])
        at = match.end()
        if token == "{":
            groups.append([[]])
        elif token == "|":
            groups[-1].append([])
        else:
            _close(groups, draw)
    groups[-1][-1].append(text[at:])
    while len(groups) > 1:
        _close(groups, draw)
    whole = _joined(groups[0][0])
    return whole if draw is None else _ESCAPED.sub(r"\1", whole)


def _close(groups: list[list[_Piece]], draw: Draw | None) -> None:
    options = groups.pop()
    if len(options) == 1 or draw is not None:
        groups[-1][-1].append(options[int(draw() * len(options)) if draw is not None else 0])
        return
    kept: _Piece = ["{", options[0]]
    for option in options[1:]:
        kept.extend(("|", option))
    groups[-1][-1].append([*kept, "}"])


def _joined(pieces: _Piece) -> str:
    """The text of nested pieces, at any depth."""
    texts = []
    pending: _Piece = [pieces]
    while pending:
        piece = pending.pop()
        if isinstance(piece, str):
            texts.append(piece)
        else:
            pending.extend(reversed(piece))
    return "".join(texts)


def without_comments(text: str) -> str:
    """The text without comments; an unclosed one is not a comment."""
    if "/*" not in text and "//" not in text:
        return text
    kept = []
    at = start = 0
    last_end = text.rfind("*/")
    while (slash := text.find("/", at)) != -1:
        sign = text[slash : slash + 2]
        if sign == "/*" and last_end >= slash + 2:
            end = text.index("*/", slash + 2) + 2
        elif sign == "//":
            line_end = _LINE_END.search(text, slash)
            end = len(text) if line_end is None else line_end.start()
        else:
            at = slash + 1
            continue
        kept.append(text[start:slash])
        at = start = end
    return "".join([*kept, text[start:]])

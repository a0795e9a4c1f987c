"""Leaves out the comments of scripts and styles, which browsers need not load."""

from __future__ import annotations

import re

# Comments that have their lines to themselves. Others stay, because finding them takes a parser.
_BLOCK = re.compile(r"^[ \t]*/\*(?:(?!\*/).)*\*/[ \t]*$", re.MULTILINE | re.DOTALL)
_LINE = re.compile(r"^[ \t]*//.*$", re.MULTILINE)


def without_comments(path: str, text: str) -> str:
    """A script or a style without its comments.

    Empty lines take their place, so that the lines of an error are those of the file. A template literal must not
    have a line that looks like a comment.
    """
    text = _BLOCK.sub(lambda found: "\n" * found[0].count("\n"), text)
    return _LINE.sub("", text) if path.endswith(".js") else text  # CSS has no such comments

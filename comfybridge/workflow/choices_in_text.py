r"""Draws one of the options of `{red|blue}` in a prompt, as ComfyUI's editor does before it queues a graph.

The rules are those of `processDynamicPrompt` in ComfyUI's frontend: groups nest, an option may be empty, and `\{`,
`\|` and `\}` are plain characters. It differs where the editor's rules would damage the texts of API callers:

- Braces without a `|` between them stay, because a graph that the editor exported has already been processed, and its
    plain braces are unescaped. So does a JSON object, `|` or not, for models with such prompts.
- `//` and `/*` do not begin comments. A graph that the editor exported has none left, and no part of a caller's
    prompt such as `and//or style, 1girl` or `see https://example.org` may vanish.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field

LONGEST = 100_000  # characters; longer texts and more deeply nested ones are not changed
DEEPEST = 64

_SIGNS = re.compile(r"\{|\\[{}|]")
_ESCAPED = re.compile(r"\\([{}|])")
_TOKEN = re.compile(r"\\.|[{|}]", re.DOTALL)


@dataclass
class _Group:
    """The content of braces, or the whole text."""

    start: int
    options: list[list[str | _Group]] = field(default_factory=lambda: [[]])
    end: int | None = None  # None: it is not closed


def may_hold_choices(text: str) -> bool:
    """A quick check whether `choose` could change a text."""
    return len(text) <= LONGEST and _SIGNS.search(text) is not None


def choose(text: str, draw: Callable[[], float]) -> str:
    """The text with one option of each group.

    Args:
        draw: returns a number from 0 up to, but not including, 1; called once for each choice.
    """
    whole = _parse(text)
    return text if whole is None else _render(whole.options[0], text, draw)


def _parse(text: str) -> _Group | None:
    """The parsed text; None if it is nested too deeply."""
    whole = _Group(0)
    stack, at = [whole], 0
    for match in _TOKEN.finditer(text):
        group, token = stack[-1], match[0]
        if token[0] == "\\" or (group is whole and token != "{"):
            continue
        group.options[-1].append(text[at : match.start()])
        at = match.end()
        if token == "{":
            inner = _Group(match.start())
            group.options[-1].append(inner)
            stack.append(inner)
            if len(stack) > DEEPEST:
                return None
        elif token == "|":
            group.options.append([])
        else:
            group.end = match.end()
            stack.pop()
    stack[-1].options[-1].append(text[at:])
    return whole


def _render(parts: list[str | _Group], text: str, draw: Callable[[], float]) -> str:
    return "".join(
        _ESCAPED.sub(r"\1", part) if isinstance(part, str) else _render_group(part, text, draw) for part in parts
    )


def _render_group(group: _Group, text: str, draw: Callable[[], float]) -> str:
    if len(group.options) > 1 and not _is_json(text[group.start : group.end]):
        return _render(group.options[int(draw() * len(group.options))], text, draw)
    inside = "|".join(_render(option, text, draw) for option in group.options)
    return "{" + inside + ("" if group.end is None else "}")


def _is_json(text: str) -> bool:
    if text[1:].lstrip()[:1] != '"':
        return False
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False

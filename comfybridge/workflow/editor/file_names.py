"""Fills in `%date:yyyy-MM-dd%` and `%KSampler.seed%` in the prefixes of file names, from the nodes of a file.

A node is found by its name for search and replace, which is its type unless the author changed it, or else by its
title.
"""

from __future__ import annotations

import re
from datetime import datetime

from comfybridge.workflow.editor import javascript
from comfybridge.workflow.editor.additions import FILLS_PREFIX
from comfybridge.workflow.editor.placing import Placed, Scope
from comfybridge.workflow.editor.values import MISSING
from comfybridge.workflow.file_name_patterns import fill_patterns

SEARCH_NAME = "Node name for S&R"

_PATTERN = re.compile(r"%([^%]+)%")
_NOT_IN_NAMES = re.compile(r'[/?<>\\:*|"\x00-\x1f\x7f]')


class FileNames:
    """Fills in patterns between percent signs."""

    def __init__(self, top: Scope, now: datetime) -> None:
        """Take the nodes of a file, and the time for file names."""
        self._top = top
        self._now = now
        self._by_name: dict[str, Placed] | None = None

    def filled(self, prefix: str) -> str:
        """The prefix with dates and the values of widgets filled in."""
        return _PATTERN.sub(self._replaced, prefix) if "%" in prefix else prefix

    def _replaced(self, match: re.Match[str]) -> str:
        parts = match[1].split(".")
        if len(parts) != 2:
            return fill_patterns(match[0], {}, self._now)
        if self._by_name is None:
            self._by_name = _named(self._top)
        node = self._by_name.get(parts[0])
        value = MISSING if node is None else node.value(parts[1])
        return match[0] if value is MISSING else _NOT_IN_NAMES.sub("_", javascript.text(value))


def _named(top: Scope) -> dict[str, Placed]:
    """The first node of each name; names for search come before titles."""
    by_name: dict[str, Placed] = {}
    by_title: dict[str, Placed] = {}
    pending = list(reversed(top.nodes.values()))
    while pending:
        node = pending.pop()
        name = search_name(node)
        if name is not None:
            by_name.setdefault(name, node)
        by_title.setdefault(title_of(node), node)
        if node.inside is not None:
            pending.extend(reversed(node.inside.nodes.values()))
    return {**by_title, **by_name}


def search_name(node: Placed) -> str | None:
    """The name by which file names mean a node; None if only its title does."""
    name = node.saved.properties.get(SEARCH_NAME)
    if name is None and node.layout.node_class is not None and node.saved.type not in FILLS_PREFIX:
        return node.saved.type
    return name if isinstance(name, str) else None


def title_of(node: Placed) -> str:
    """The title that the editor shows for a node: the author's, or else its class's."""
    if node.saved.title:
        return node.saved.title
    node_class = node.layout.node_class
    return node.saved.type if node_class is None else node_class.title

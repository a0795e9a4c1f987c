"""A workflow as ComfyUI's editor saves it, turned into the prompt that the editor would send for it.

All that is known of the server is its /object_info. The way of a workflow:

file            its graph and the definitions of its subgraphs, group nodes among them, with unique ids
layout          what each node has: inputs, outputs, and the values of its widgets by position
placing         each node as often as it runs, with the values that nodes around it and primitive nodes give it
following       where links come from: past muted and bypassed nodes and reroutes, in and out of subgraphs
conversion      the prompt

What can't be converted truthfully is refused: a prompt that is nearly right does more harm than none.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from comfybridge.workflow.editor.classes import NodeClasses
from comfybridge.workflow.editor.file import read_file
from comfybridge.workflow.editor.file_names import FileNames
from comfybridge.workflow.editor.layout import Layouts
from comfybridge.workflow.editor.placing import place
from comfybridge.workflow.editor.sending import Sending, Shown
from comfybridge.workflow.editor.texts import Draw
from comfybridge.workflow.graph import Graph


@dataclass(frozen=True)
class Moment:
    """What the editor adds to texts when it sends a prompt.

    Attributes:
        now: the time that file names tell.
        draw: gives the numbers by which `{red|blue}` is decided, from 0 up to, but not including, 1.
    """

    now: datetime = field(default_factory=datetime.now)
    draw: Draw = random.random


@dataclass(frozen=True)
class Conversion:
    """The prompt of a workflow, and what its author said of it.

    Attributes:
        prompt: in API format, each node with its title in `_meta`.
        titles: those that the author gave to nodes, by the id in the prompt.
        labels: those that the author gave to inputs, by the id in the prompt and the input's name.
        shown: the widgets of subgraphs that their nodes show, and where their values went.
        warnings: sentences about links in the file that lead nowhere.
        names: the ids in the prompt of the nodes that the prefixes of file names mean, by the names for search.
    """

    prompt: Graph
    titles: Mapping[str, str]
    labels: Mapping[tuple[str, str], str]
    shown: tuple[Shown, ...]
    warnings: tuple[str, ...]
    names: Mapping[str, str] = field(default_factory=dict)


def convert(workflow: object, object_info: Mapping[str, Any]) -> Graph:
    """The prompt that the editor would send for a workflow now.

    Args:
        workflow: the file that the editor saved, as JSON gives it; it is not changed.
        object_info: what the server answered to GET /object_info, its objects in the server's order. Only the classes
            that the workflow names are looked at.

    Raises:
        InvalidWorkflow: it can't be converted truthfully; the sentence names the node that is in the way.
    """
    return conversion(workflow, object_info, Moment()).prompt


def conversion(workflow: object, object_info: Mapping[str, Any], moment: Moment | None = None) -> Conversion:
    """The same as `convert`, and what the author said of the nodes.

    Args:
        moment: without one, the prompt is for later: choices in texts stay as `{red|blue}`, escaped characters stay
            escaped, and patterns in file names stay, for whoever queues it.
    """
    classes = NodeClasses(object_info)
    file = read_file(workflow, classes)
    layouts = Layouts(file.root, file.definitions, classes)
    top = place(file.root, layouts)
    names = None if moment is None else FileNames(top, moment.now)
    sending = Sending(names, None if moment is None else moment.draw)
    prompt = sending.send(top)
    shown, warnings = sending.shown(), tuple(sending.warnings)
    return Conversion(prompt, sending.titles, sending.labels, shown, warnings, sending.names)

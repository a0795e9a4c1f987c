"""Converts a workflow as ComfyUI's editor saves it into the prompt that the editor would send for it.

The server's /object_info is all that it knows of the server. The steps:

file            its graph and the definitions of its subgraphs, group nodes among them, with unique ids
layout          what each node has: inputs, outputs, and the values of its widgets by position
placing         each node as often as it runs, with the values that nodes around it and primitive nodes give it
following       where links come from: past muted and bypassed nodes and reroutes, in and out of subgraphs
conversion      the prompt

A workflow that can't be converted faithfully is refused: a prompt that is nearly right does more harm than none.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from comfybridge.workflow.editor.classes import NodeClasses
from comfybridge.workflow.editor.dynamic_prompts import Draw
from comfybridge.workflow.editor.file import read_file
from comfybridge.workflow.editor.file_names import FileNames
from comfybridge.workflow.editor.layout import Layouts
from comfybridge.workflow.editor.placing import place
from comfybridge.workflow.editor.sending import Sending, Shown
from comfybridge.workflow.graph import Graph


@dataclass(frozen=True)
class Moment:
    """The values that the editor fills into texts when it sends a prompt.

    Attributes:
        now: the time for file names.
        draw: returns numbers from 0 up to, but not including, 1, which choose between the options of `{red|blue}`.
    """

    now: datetime = field(default_factory=datetime.now)
    draw: Draw = random.random


@dataclass(frozen=True)
class Conversion:
    """The prompt of a workflow, with its author's titles and labels.

    Attributes:
        prompt: in API format, each node with its title in `_meta`.
        titles: the titles that the author gave to nodes, by the id in the prompt.
        labels: the labels that the author gave to inputs, by the id in the prompt and the input's name.
        shown: the widgets of subgraphs that their nodes show, with the inputs that their values went to.
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
        workflow: the parsed JSON of the editor's file; it is not changed.
        object_info: the server's answer to GET /object_info, with its objects in the server's order. Only the classes
            that the workflow names are read.

    Raises:
        InvalidWorkflow: it can't be converted faithfully; the message names the node that prevents it.
    """
    return conversion(workflow, object_info, Moment()).prompt


def conversion(workflow: object, object_info: Mapping[str, Any], moment: Moment | None = None) -> Conversion:
    """The prompt as from `convert`, with the author's titles and labels.

    Args:
        moment: the values to fill in. Without it, choices such as `{red|blue}`, escaped characters and patterns in
            file names stay, to be replaced when the prompt is queued.
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

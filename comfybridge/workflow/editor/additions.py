"""Widgets and nodes that only the editor has: no server declares them."""

from __future__ import annotations

from collections.abc import Iterator

REROUTE = "Reroute"
PRIMITIVE = "PrimitiveNode"
SETTER, GETTER = "SetNode", "GetNode"  # nodes of KJNodes: getters pass on the input of the setter of the same name
# These pass on their inputs, output by output.
PASSING = frozenset((REROUTE, SETTER))
# These contain notes, or change other nodes in the editor, and the file contains the result.
WITHOUT_EFFECT = frozenset(
    (
        "Note",
        "MarkdownNote",
        "Label (rgthree)",
        "Bookmark (rgthree)",
        "Fast Groups Muter (rgthree)",
        "Fast Groups Bypasser (rgthree)",
    )
)
VIRTUAL = frozenset((PRIMITIVE, GETTER, *PASSING, *WITHOUT_EFFECT))
# Scripts of their packs create links from them when a prompt is queued; no file contains these links.
DRAW_LINKS = frozenset(
    ("Anything Everywhere", "Anything Everywhere3", "Anything Everywhere?", "Prompts Everywhere", "Seed Everywhere")
)
# The classes for which the editor fills in %date:...% and %Node.widget% in the file name prefix.
FILLS_PREFIX = frozenset(
    (
        "SaveImage",
        "SaveImageAdvanced",
        "SaveSVGNode",
        "SaveVideo",
        "SaveAnimatedWEBP",
        "SaveWEBM",
        "SaveAudio",
        "SaveAudioMP3",
        "SaveAudioOpus",
        "SaveAudioAdvanced",
        "SaveGLB",
        "Save3DAdvanced",
        "SaveGaussianSplat",
        "SavePointCloud",
        "SaveAnimatedPNG",
        "CLIPSave",
        "VAESave",
        "ModelSave",
        "LoraSave",
        "SaveLatent",
    )
)
_PICTURES = ("SaveGLB", "Preview3D")
_GROUPS = ("workflow>", "workflow/")  # each followed by the name of a group node


def added_widgets(class_type: str) -> Iterator[tuple[str, str]]:
    """Names and values of the widgets that the editor adds to a class and sends."""
    if class_type in _PICTURES:
        yield "image", ""


def is_group_node(type_: str) -> bool:
    """Whether a type is that of a group node."""
    return type_.startswith(_GROUPS)


def group_name(type_: str) -> str:
    """The name of a group node, out of its type."""
    return type_[len(_GROUPS[0]) :]

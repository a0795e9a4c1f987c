"""Widgets and nodes that only the editor knows: no server declares them."""

from __future__ import annotations

from collections.abc import Iterator

REROUTE = "Reroute"
PRIMITIVE = "PrimitiveNode"
SETTER, GETTER = "SetNode", "GetNode"  # of KJNodes: what a setter is given, its getters hand out, by name
# They pass on what they are given, output by output.
PASSING = frozenset((REROUTE, SETTER))
# They hold remarks, or change nodes while somebody works in the editor, which the file then holds.
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
# Scripts of their pack draw links from them at the moment a prompt is queued, which no file holds.
DRAW_LINKS = frozenset(
    ("Anything Everywhere", "Anything Everywhere3", "Anything Everywhere?", "Prompts Everywhere", "Seed Everywhere")
)
# The classes in whose file name prefix the editor fills in %date:...% and %Node.widget%.
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


def added_widgets(class_type: str) -> Iterator[tuple[str, str]]:
    """Names and values of the widgets that the editor adds to a class and sends."""
    if class_type in _PICTURES:
        yield "image", ""

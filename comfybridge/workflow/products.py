"""The kinds of files that a graph can make, for nodes known to save files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from comfybridge.workflow.graph import Graph, is_link

VIDEOS = frozenset({"mp4", "webm", "mov", "mkv", "avi"})
SPLATS = frozenset({"ply", "splat", "spz", "ksplat"})
MODELS = frozenset({"glb", "gltf", "obj", "fbx", "stl", "usdz"}) | SPLATS

# The endings that ComfyUI's own output nodes write (nodes.py and comfy_extras of 0.3.64 and 0.33).
_ENDINGS: dict[str, frozenset[str]] = {
    "SaveImage": frozenset({"png"}),
    "PreviewImage": frozenset({"png"}),
    "SaveImageWebsocket": frozenset({"png"}),
    "MaskPreview": frozenset({"png"}),
    "ImageCompare": frozenset({"png"}),
    "SaveImageAdvanced": frozenset({"png", "exr"}),
    "SaveAnimatedPNG": frozenset({"png"}),
    "SaveAnimatedWEBP": frozenset({"webp"}),
    "SaveVideo": VIDEOS,
    "SaveWEBM": VIDEOS,
    "SaveAudio": frozenset({"flac"}),
    "SaveAudioMP3": frozenset({"mp3"}),
    "SaveAudioOpus": frozenset({"opus", "ogg"}),
    "SaveAudioAdvanced": frozenset({"flac", "mp3", "opus"}),
    "PreviewAudio": frozenset({"flac", "mp3", "opus"}),
    "SaveGLB": MODELS,
    "Save3DAdvanced": MODELS,
    "Preview3D": MODELS,
    "Preview3DAdvanced": MODELS,
    "SaveGaussianSplat": SPLATS,
    "PreviewGaussianSplat": SPLATS,
    "SavePointCloud": frozenset({"ply"}),
    "PreviewPointCloud": frozenset({"ply"}),
    "SaveLatent": frozenset({"latent"}),
    "PreviewAny": frozenset({"txt"}),
    "SaveSVGNode": frozenset({"svg"}),
    "SaveText": frozenset({"txt", "csv", "md", "json"}),
}
# Output nodes whose input `format` is the ending.
_CHOOSING = frozenset({"SaveImageAdvanced", "SaveAudioAdvanced", "SaveText"})
# Nodes that save nothing even if nothing is linked to them.
_HARMLESS = frozenset({"Note", "MarkdownNote", "Reroute", "PrimitiveNode"})
# Parts of the names of nodes that save files although others are linked to them.
_SAVING = ("save", "preview", "export", "write", "combine", "show", "display")


def endings_of(graph: Graph) -> list[str] | None:
    """The endings, without a dot, of the files that a graph can make; None if one of its nodes may make any."""
    origins = {str(value[0]) for node in graph.values() for value in node["inputs"].values() if is_link(value)}
    found: set[str] = set()
    for name, node in graph.items():
        class_type = node["class_type"]
        if class_type in _ENDINGS:
            found |= _chosen(node) & _ENDINGS[class_type] or _ENDINGS[class_type]
        elif class_type not in _HARMLESS and (name not in origins or _may_save(class_type)):
            return None
    return sorted(found)


def _chosen(node: Mapping[str, Any]) -> set[str]:
    """The ending that a node's input chooses, if one does."""
    chosen = node["inputs"].get("format") if node["class_type"] in _CHOOSING else None
    return {chosen} if isinstance(chosen, str) else set()


def _may_save(class_type: str) -> bool:
    return any(part in class_type.lower() for part in _SAVING)

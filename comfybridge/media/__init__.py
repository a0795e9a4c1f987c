"""Input and output files: their kinds, whether they are complete, and how they are converted."""

from __future__ import annotations

from comfybridge.media.checking import check_still_image
from comfybridge.media.colors import parse_color
from comfybridge.media.conversion import Converted, convert
from comfybridge.media.graph import embedded_graph
from comfybridge.media.kinds import (
    extension_of,
    file_extension,
    is_known_ending,
    is_same_ending,
    media_type_of,
    named_ending,
    suffix_of,
    usual_media_type,
)
from comfybridge.media.masks import MarkedAs, has_transparency, marked_mask, with_transparency
from comfybridge.media.opening import image_size

__all__ = [
    "Converted",
    "MarkedAs",
    "check_still_image",
    "convert",
    "embedded_graph",
    "extension_of",
    "file_extension",
    "has_transparency",
    "image_size",
    "is_known_ending",
    "is_same_ending",
    "marked_mask",
    "media_type_of",
    "named_ending",
    "parse_color",
    "suffix_of",
    "usual_media_type",
    "with_transparency",
]

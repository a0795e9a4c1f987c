"""The expected size of a graph's pictures, from its parameters."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from comfybridge.expected_size import ExpectedSize
from comfybridge.workflow.graph import Graph
from comfybridge.workflow.template import EMPTY_LATENTS, PIXELS_A_LATENT

# Nodes that make a picture larger or smaller: its proportions stay.
_SCALES = re.compile(
    r"upscal|resiz|hires|super.?res|supir|(?:image|latent)\w*scale|scale\w*(?:image|latent)", re.IGNORECASE
)
_SCALE_INPUTS = {"scale_by", "upscale_by", "upscale_method", "upscale_model", "upscale_factor", "megapixels"}
# Nodes that combine or crop pictures: another size is intended.
_SHAPES = ("grid", "stitch", "concat", "collage", "crop", "pad", "rotate", "outpaint")


def expected_size(graph: Graph, params: Mapping[str, Any], max_size: int | None) -> ExpectedSize | None:
    """The size that the parameters `width` and `height` request; None if none, or if the graph crops its pictures.

    Args:
        params: the parameters that are used.
        max_size: the limit that the caller has set for the answer.
    """
    width, height = (_kept(graph, name, params.get(name)) for name in ("width", "height"))
    if (width is None and height is None) or any(_shapes(node["class_type"]) for node in graph.values()):
        return None
    is_scaled = any(
        _SCALES.search(node["class_type"]) or not _SCALE_INPUTS.isdisjoint(node["inputs"]) for node in graph.values()
    )
    return ExpectedSize(width, height, is_scaled, max_size)


def _kept(graph: Graph, name: str, value: Any) -> int | None:
    """A side as ComfyUI rounds it down, which another warning reports."""
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
        return None
    is_rounded = value % PIXELS_A_LATENT and any(
        node["class_type"] in EMPTY_LATENTS and node["inputs"].get(name) == value for node in graph.values()
    )
    return value // PIXELS_A_LATENT * PIXELS_A_LATENT if is_rounded else value


def _shapes(class_type: str) -> bool:
    name = class_type.lower()
    return "image" in name and any(each in name for each in _SHAPES)

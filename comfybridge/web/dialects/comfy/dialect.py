"""The Comfy API v2 as a dialect, with all its views."""

# ruff: noqa: I001  # the order of these imports is that of the routes in the document and in errors
from __future__ import annotations

from comfybridge.web.dialects.comfy import jobs, events, assets  # noqa: F401
from comfybridge.web.dialects.comfy.blueprint import PREFIX, blueprint
from comfybridge.web.dialects.comfy.errors import SHAPE
from comfybridge.web.dialects.dialect import Dialect

COMFY = Dialect(blueprint, SHAPE, paths=(f"{PREFIX}/",))

"""AUTOMATIC1111's API as a dialect, with all its views."""

# ruff: noqa: I001  # the order of these imports is that of the routes in the document and in errors
from __future__ import annotations

from comfybridge.web.dialects.automatic1111 import (  # noqa: F401
    generating,
    extras,
    picture_infos,
    progress,
    options,
    lists,
)
from comfybridge.web.access.key_places import BASIC, USUAL
from comfybridge.web.dialects.automatic1111.blueprint import PREFIX, blueprint
from comfybridge.web.dialects.automatic1111.errors import FailureAnswer, ValidationAnswer, error_body
from comfybridge.web.dialects.dialect import Dialect
from comfybridge.web.errors import ErrorShape

AUTOMATIC1111 = Dialect(
    blueprint, ErrorShape(error_body, ValidationAnswer | FailureAnswer), (BASIC, *USUAL), (f"{PREFIX}/",)
)

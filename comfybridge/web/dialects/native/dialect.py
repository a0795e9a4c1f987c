"""The bridge's own API as a dialect, with all its views."""

# ruff: noqa: I001  # the order of these imports is that of the routes in the document and in errors
from __future__ import annotations

from comfybridge.web.dialects.native import generate, prompts, workflows, convert, policy, server_info  # noqa: F401
from comfybridge.web.dialects.dialect import Dialect
from comfybridge.web.dialects.native.blueprint import blueprint
from comfybridge.web.dialects.native.bodies import ErrorAnswer, error_body
from comfybridge.web.errors import ErrorShape

NATIVE = Dialect(blueprint, ErrorShape(error_body, ErrorAnswer))

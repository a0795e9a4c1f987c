"""The bridge's own API as the application has to know it, with all its views."""

from __future__ import annotations

from comfybridge.web.dialects.dialect import Dialect
from comfybridge.web.dialects.native import generate, prompts, server_info, workflows  # noqa: F401  # their routes
from comfybridge.web.dialects.native.blueprint import blueprint
from comfybridge.web.dialects.native.bodies import ErrorAnswer, error_body
from comfybridge.web.errors import ErrorShape

NATIVE = Dialect(blueprint, ErrorShape(error_body, ErrorAnswer))

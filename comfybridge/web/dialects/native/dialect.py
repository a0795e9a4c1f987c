"""The bridge's own API as the application has to know it, with all its views."""

from __future__ import annotations

# isort: on
from comfybridge.web.dialects.dialect import Dialect

# isort: off  # the document and the errors list the routes in this order
from comfybridge.web.dialects.native import generate, prompts, server_info, workflows  # noqa: F401
from comfybridge.web.dialects.native.blueprint import blueprint
from comfybridge.web.dialects.native.bodies import ErrorAnswer, error_body
from comfybridge.web.errors import ErrorShape

NATIVE = Dialect(blueprint, ErrorShape(error_body, ErrorAnswer))

"""OpenAI's Images API as a dialect, with all its views."""

# ruff: noqa: I001  # the order of these imports is that of the routes in the document and in errors
from __future__ import annotations

from comfybridge.web.dialects.openai import images, models  # noqa: F401
from comfybridge.web.dialects.dialect import Dialect
from comfybridge.web.dialects.openai.answers import OpenAIError, error_body, error_headers
from comfybridge.web.dialects.openai.blueprint import blueprint
from comfybridge.web.errors import ErrorShape

OPENAI = Dialect(blueprint, ErrorShape(error_body, OpenAIError, error_headers), paths=("/v1/",))

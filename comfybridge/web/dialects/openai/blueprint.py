"""The blueprint that the views register with."""

from __future__ import annotations

from flask import Blueprint

blueprint = Blueprint("openai", __name__, url_prefix="/v1")

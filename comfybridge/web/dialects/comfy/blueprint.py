"""The routes of the Comfy API v2, to which its views add themselves."""

from __future__ import annotations

from flask import Blueprint

PREFIX = "/api/v2"
blueprint = Blueprint("comfy", __name__, url_prefix=PREFIX)

"""The routes of AUTOMATIC1111's API, to which its views add themselves."""

from __future__ import annotations

from flask import Blueprint

PREFIX = "/sdapi/v1"
blueprint = Blueprint("automatic1111", __name__, url_prefix=PREFIX)

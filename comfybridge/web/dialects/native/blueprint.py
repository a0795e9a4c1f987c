"""The routes of the bridge's own API, to which its views add themselves."""

from __future__ import annotations

from flask import Blueprint

blueprint = Blueprint("native", __name__)

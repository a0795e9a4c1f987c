"""The HTTP face of the bridge, in Flask."""

from comfybridge.web.application import create_app

__all__ = ["create_app"]

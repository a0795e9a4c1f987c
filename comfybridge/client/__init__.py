"""A client for a bridge that runs elsewhere."""

from comfybridge.client.client import Client

__all__ = ["Client"]

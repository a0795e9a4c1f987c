"""A client for a bridge that runs elsewhere."""

from comfybridge.client.remote_bridge import Client

__all__ = ["Client"]

"""A bridge that runs elsewhere, as the command line names it (`--url`)."""

from __future__ import annotations

import argparse
import os

from comfybridge.client import Client

API_KEY = "COMFYBRIDGE_API_KEY"  # the environment variable


def client_of(options: argparse.Namespace) -> Client:
    """A client for the bridge that `--url` names, with the key to send.

    Raises:
        SettingsError: the URL is wrong, or the environment names an unusable proxy.
    """
    return Client(options.url, options.api_key or os.environ.get(API_KEY, ""))

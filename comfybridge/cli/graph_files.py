"""Files with a graph in them, as the command line names them: JSON, or pictures and videos that ComfyUI made."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from comfybridge.cli.exit_codes import USAGE
from comfybridge.cli.placing import CommandFailed
from comfybridge.media import embedded_graph, file_extension

STDIN = "-"
ENDINGS = {".json", ".png", ".webp", ".jpg", ".jpeg", ".mp4", ".webm", ".mkv"}


def is_graph_file(name: str) -> bool:
    """Whether a name is that of such a file, by its ending."""
    return Path(name).suffix.lower() in ENDINGS


def read_graph_file(name: str) -> Any:
    """The graph in a file, or in standard input (`-`).

    Raises:
        CommandFailed: there is none in it.
        InvalidRequest: the one in a picture can't be read.
        OSError: the file can't be read.
    """
    data = sys.stdin.buffer.read() if name == STDIN else Path(name).read_bytes()
    what = "Standard input" if name == STDIN else name
    if file_extension(data) is None:
        try:
            return json.loads(data)  # in any UTF encoding
        except (ValueError, RecursionError):
            raise CommandFailed(f"{what} is neither JSON nor a picture.", USAGE) from None
    graph = embedded_graph(data)
    if graph is None:
        raise CommandFailed(f"{what} contains no graph: ComfyUI did not make it, or its metadata was removed.", USAGE)
    return graph

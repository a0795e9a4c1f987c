"""Binary websocket frames: a 4-byte big-endian event number, and its data."""

import io
import json
import struct
from typing import Any

from PIL import Image

_IMAGE = 1
_IMAGE_WITH_METADATA = 4

_FORMAT_NUMBERS = {"JPEG": 1, "PNG": 2}


def image_frame(kind: str, picture: Image.Image) -> bytes:
    """Event 1: the format's number (1 JPEG, 2 PNG) and the encoded picture."""
    return struct.pack(">II", _IMAGE, _FORMAT_NUMBERS[kind]) + _encoded(kind, picture)


def image_frame_with_metadata(kind: str, picture: Image.Image, node_id: str, prompt_id: str) -> bytes:
    """Event 4: length and JSON of what the picture belongs to, and the encoded picture."""
    metadata: dict[str, Any] = {
        "node_id": node_id,
        "prompt_id": prompt_id,
        "display_node_id": node_id,
        "parent_node_id": None,
        "real_node_id": node_id,
        "image_type": f"image/{kind.lower()}",
    }
    header = json.dumps(metadata).encode()
    return struct.pack(">II", _IMAGE_WITH_METADATA, len(header)) + header + _encoded(kind, picture)


def _encoded(kind: str, picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format=kind, quality=95, compress_level=1)
    return buffer.getvalue()

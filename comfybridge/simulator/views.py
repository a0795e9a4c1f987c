"""The converted pictures that /view can return: previews, and single channels."""

import io
from pathlib import Path

from PIL import Image


def preview_bytes(path: Path, wish: str, channel: str) -> tuple[bytes, str]:
    """A smaller encoding of the file and its media type; `wish` is `webp` or `jpeg`, with `;QUALITY` if wanted."""
    parts = wish.split(";")
    kind = parts[0] if parts[0] in ("webp", "jpeg") and "a" not in channel else "webp"
    quality = int(parts[-1]) if parts[-1].isdigit() else 90
    buffer = io.BytesIO()
    with Image.open(path) as file:
        picture = file.convert("RGB") if kind == "jpeg" or channel == "rgb" else file
        picture.save(buffer, format=kind, quality=quality)
    return buffer.getvalue(), f"image/{kind}"


def channel_bytes(path: Path, channel: str) -> bytes:
    """The colours (`rgb`) or the transparency (`a`) of the file alone, as PNG."""
    buffer = io.BytesIO()
    with Image.open(path) as file:
        if channel == "rgb":
            result = file.convert("RGB")
        else:
            alpha = file.getchannel("A") if file.mode == "RGBA" else Image.new("L", file.size, 255)
            result = Image.new("RGBA", file.size)
            result.putalpha(alpha)
        result.save(buffer, format="PNG")
    return buffer.getvalue()

"""Colours as callers write them."""

from __future__ import annotations

from PIL import ImageColor

from comfybridge.errors import InvalidRequest


def parse_color(text: str) -> str:
    """A colour as `#rrggbb`, from that, `#rgb`, `rgb(...)`, `hsl(...)` or one of CSS's names.

    Raises:
        InvalidRequest: it is not a colour, or not an opaque one.
    """
    try:
        parts = ImageColor.getrgb(text.strip()) if len(text) <= 100 else ()  # Pillow refuses longer ones too
    except ValueError:
        parts = ()
    if len(parts) != 3 or not all(0 <= part <= 255 for part in parts):
        raise InvalidRequest(f"{text[:40]!r} is not a colour; write it as #rrggbb or by its name, such as white.")
    return "#{:02x}{:02x}{:02x}".format(*parts)

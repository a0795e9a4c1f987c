"""Outputs as notebooks show them: pictures, videos and sounds in their cells."""

from __future__ import annotations

import base64
import html

# The media types that every notebook shows directly; other pictures, videos and sounds are embedded in HTML.
SHOWN = ("image/png", "image/jpeg", "image/gif")
ELEMENTS = {
    "image": '<img src="{}">',
    "video": '<video src="{}" controls loop></video>',
    "audio": '<audio src="{}" controls></audio>',
}


def mimebundle(media_type: str, data: bytes) -> dict[str, str]:
    """A file in the forms that a notebook can show, by media type; empty if there is none."""
    if media_type.startswith("text/"):
        return {"text/plain": data.decode("utf-8", "replace")}
    encoded = base64.b64encode(data).decode("ascii")
    if media_type in SHOWN:
        return {media_type: encoded}
    element = ELEMENTS.get(media_type.partition("/")[0])
    return (
        {} if element is None else {"text/html": element.format(html.escape(f"data:{media_type};base64,{encoded}"))}
    )

"""What a browser may do with an answer.

A page of the bridge loads from the bridge alone, and runs no script but the bridge's files. All other answers may
hold what callers or a ComfyUI have made, and would run with the bridge's origin if a browser took them for a page; so
none of them may run a script at all.
"""

from __future__ import annotations

import re
from functools import lru_cache

from flask import Response

POLICY = "Content-Security-Policy"
NO_SNIFFING = {"X-Content-Type-Options": "nosniff"}  # no browser may take a picture for a page
OF_PAGES = {
    **NO_SNIFFING,
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",  # framed by a foreign page, its visitors could be tricked into pressing buttons here
}
NO_SCRIPTS = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"
# what no browser takes for a page, unless it sniffs
_INERT = re.compile(r"(?:image|video|audio)/(?!.*(?:svg|xml))|text/(?:plain|event-stream)\b|application/json\b")
WITHOUT_BODY = (204, 304)


def page_headers(*, inline_styles: bool = False) -> dict[str, str]:
    """The headers of a page of the bridge, or of one of its files.

    Args:
        inline_styles: whether its scripts write styles into the page, as those of Swagger UI do.
    """
    rules = (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self' 'unsafe-inline'" if inline_styles else "style-src 'self'",
        "img-src 'self' data: blob:",
        "media-src 'self' data: blob:",
        "connect-src 'self'",
        "form-action 'none'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
    return {**OF_PAGES, POLICY: "; ".join(rules)}


def forbid_scripts(response: Response) -> None:
    """Make an answer that is no page of the bridge run nothing, whatever is in it."""
    headers = response.headers
    if POLICY in headers:  # a page of the bridge
        return
    for name, value in NO_SNIFFING.items():
        headers.add(name, value)
    is_saved = headers.get("Content-Disposition", "").startswith("attachment")
    if (is_saved or not _is_inert(response.content_type)) and response.status_code not in WITHOUT_BODY:
        headers.add(POLICY, NO_SCRIPTS)


@lru_cache(maxsize=64)  # there are few types
def _is_inert(content_type: str | None) -> bool:
    return _INERT.match(content_type or "") is not None

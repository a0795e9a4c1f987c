"""The headers of the pages that the bridge shows to people, and of their files."""

from __future__ import annotations

from urllib.parse import urlsplit

SAFE = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",  # framed by a foreign page, its visitors could be tricked into pressing buttons here
}


def page_headers(links_at: str | None, *, inline_styles: bool = False) -> dict[str, str]:
    """The headers of a page or of one of its files: it loads from the bridge only, and runs no script inside it.

    Args:
        links_at: the address in links to output files, if it is set.
        inline_styles: whether its scripts write styles into the page, as those of Swagger UI do.
    """
    shown = "'self' data: blob:"
    if links_at is not None:
        shown += f" {'://'.join(urlsplit(links_at)[:2])}"
    rules = (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self' 'unsafe-inline'" if inline_styles else "style-src 'self'",
        f"img-src {shown}",
        f"media-src {shown}",
        "connect-src 'self'",
        "form-action 'none'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
    return {**SAFE, "Content-Security-Policy": "; ".join(rules)}

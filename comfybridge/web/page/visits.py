"""Which requests for an address that answers with JSON come from a person, who gets a page there instead."""

from __future__ import annotations

from functools import lru_cache

from flask import Flask, g, request

from comfybridge.web.answers.negotiation import JSON, parse_accept
from comfybridge.web.page.views import blueprint

HTML = "text/html"


def show_pages(app: Flask) -> None:
    """Answer browsers with a page where others get JSON. Call it before the application checks who is let in."""
    pages = {
        rule.rule: rule
        for rule in app.url_map.iter_rules()
        if rule.build_only and rule.endpoint.startswith(f"{blueprint.name}.")
    }

    def choose() -> None:
        asked = request.url_rule
        page = None if asked is None else pages.get(asked.rule)
        if page is not None:
            g.is_negotiated = True
            if wants_page(request.headers.get("Accept", "")):
                request.url_rule = page

    app.before_request(choose)


@lru_cache(maxsize=256)  # there are few kinds of callers
def wants_page(accept: str) -> bool:
    """Whether a caller names HTML and prefers it to JSON, as browsers do for what a person opens."""
    accepted = parse_accept(accept)
    html, json = accepted.best(HTML), accepted.best(JSON)
    return html is not None and html.specificity == 2 and (json is None or html.quality > json.quality)

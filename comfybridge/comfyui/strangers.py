"""Recognizes answers of something other than ComfyUI: a web page, a login, a tunnel without its other end.

Messages quote no more of them than a page's title and a redirect's target; the rest may contain secrets.
"""

from __future__ import annotations

import contextlib
import html
import json
import re
from urllib.parse import urlsplit

from comfybridge.comfyui.failures import CallFailed
from comfybridge.comfyui.transport import Answer
from comfybridge.errors import ComfyUIError

ITSELF = "COMFYUI_URL must name ComfyUI itself, with the path that it is served under"
ELSEWHERE = "COMFYUI_URL must name the place that it leads to"
CREDENTIALS = "COMFYUI_URL or COMFYUI_HEADERS must hold credentials that it accepts"
# refusals, by ComfyUI or by something in front of it
NOT_LET_IN = {401, 403, 407, 511}
PROXY_CREDENTIALS = 407
# ComfyUI never answers with these. 520 to 530 are Cloudflare's, for a server or a tunnel that does not answer.
OF_PROXIES = {502, 503, 504, *range(520, 528), 530}
INTERNAL_ERROR = 500
# not found or not allowed, for routes that every ComfyUI has
NOT_THERE = {404, 405, 410, 422}
EVERYWHERE = ("/prompt", "/queue", "/history", "/object_info", "/interrupt", "/system_stats", "/upload/image")
LARGEST_READ = 16 * 1024
LONGEST_TITLE = 80
_TITLE = re.compile(r"<title[^>]*>(.*?)</title", re.IGNORECASE | re.DOTALL)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_PAGE = re.compile(r"<(?:!doctype html|html|head|body|title|script|meta|h1|center)\b", re.IGNORECASE)
_PASSWORD = re.compile(r"""type\s*=\s*["']?password""", re.IGNORECASE)
_LOGIN = re.compile(
    r"log[-_ ]?in\b|sign[-_ ]?in\b|\bauth\b|authen|authori[sz]|oauth|\bsso\b|saml|cloudflareaccess|\baccounts?\.",
    re.IGNORECASE,
)
_TUNNEL = re.compile(r"\bERR_NGROK_[0-9]+\b|tunnel (?:not found|unavailable|error)|error 1033", re.IGNORECASE)
_OF_A_BRIDGE = {"status", "type", "error", "request_id"}


class NotComfyUI(CallFailed):
    """Something else answers. The message says what, and what to do about it."""


def check_status(answer: Answer, *, has_credentials: bool, proxy: str | None = None) -> None:
    """Refuse an answer that is not HTTP 200.

    Args:
        has_credentials: whether the settings have any.
        proxy: the proxy that the call went to, which may have answered in ComfyUI's place.

    Raises:
        NotComfyUI: something else answers.
        CallFailed: what answers does not reach ComfyUI.
        ComfyUIError: ComfyUI refuses, or fails.
    """
    status = answer.status
    if status == 200:
        return
    if status in OF_PROXIES:
        raise CallFailed(f"cannot be reached by {proxy or 'the proxy in front of it'} (HTTP {status})")
    if status == PROXY_CREDENTIALS and proxy:
        raise CallFailed(f"cannot be reached: {proxy} requires other credentials (HTTP {status})")
    if 300 <= status < 400:
        raise _redirect(answer)
    body = _beginning(answer)
    tunnel = _lost_tunnel(answer, body)
    if tunnel:
        raise CallFailed(f"cannot be reached by the tunnel in front of it ({tunnel}, HTTP {status})")
    page = f" with {_page(body)[0]}" if is_page(answer, body) else ""
    page += f" through {proxy}" if proxy else ""
    if status in NOT_LET_IN:
        why = "does not accept the credentials in" if has_credentials else "requires credentials in"
        raise ComfyUIError(f"ComfyUI answered {_asked(answer)}{page}: it {why} COMFYUI_URL or COMFYUI_HEADERS.")
    if status < INTERNAL_ERROR:
        check_is_comfyui(answer, body)
    raise ComfyUIError(f"ComfyUI answered {_asked(answer)}{page}.")


def check_is_comfyui(answer: Answer, body: bytes | None = None) -> None:
    """Refuse what looks like an answer of something else.

    Args:
        body: the part that has been read; None: nothing yet.

    Raises:
        NotComfyUI
    """
    body = _beginning(answer) if body is None else body[:LARGEST_READ]
    if is_page(answer, body):
        raise _not_comfyui(answer, *_page(body))
    if answer.status in NOT_THERE and answer.path.startswith(EVERYWHERE):
        raise _not_comfyui(answer, "another ComfyBridge" if _is_bridge(body) else "another service", ITSELF)


def is_page(answer: Answer, body: bytes = b"") -> bool:
    """Whether an answer is a web page, by its head or by its first bytes."""
    return "html" in answer.header("Content-Type").lower() or bool(
        _PAGE.match(_COMMENT.sub("", _text(body)).lstrip())
    )


def _not_comfyui(answer: Answer, what: str, remedy: str) -> NotComfyUI:
    return NotComfyUI(f"{what} (HTTP {_asked(answer)}); {remedy}")


def _asked(answer: Answer) -> str:
    return f"{answer.status} to {answer.method} {answer.path}"


def _beginning(answer: Answer) -> bytes:
    """The beginning of an answer, long enough to recognise it; less if it does not arrive."""
    read = b""
    with contextlib.suppress(CallFailed):
        while len(read) < LARGEST_READ and (piece := answer.read_some(LARGEST_READ)):
            read += piece
    return read


def _lost_tunnel(answer: Answer, body: bytes) -> str:
    """A tunnel's error code for its missing other end, such as "ERR_NGROK_3200"; empty for other answers."""
    said = answer.header("Ngrok-Error-Code") or (_text(body) if is_page(answer, body) else "")
    found = _TUNNEL.search(said)
    return found[0] if found else ""


def _page(body: bytes) -> tuple[str, str]:
    """What a web page seems to be, and what to do about it."""
    text = _text(body)
    title = _title(text)
    is_login = bool(_PASSWORD.search(text) or _LOGIN.search(title))
    what = "a login page" if is_login else "a web page"
    return f"{what} titled {title!r}" if title else what, CREDENTIALS if is_login else ITSELF


def _redirect(answer: Answer) -> NotComfyUI:
    target = answer.header("Location")
    where = ""
    with contextlib.suppress(ValueError):
        parts = urlsplit(target)
        if parts.hostname:  # without credentials, path and query
            host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
            where = f"{parts.scheme or 'http'}://{host}{f':{parts.port}' if parts.port else ''}"
    if _LOGIN.search(target):
        return _not_comfyui(answer, f"a redirect to a login{f' at {where}' if where else ''}", CREDENTIALS)
    return _not_comfyui(answer, f"a redirect{f' to {where}' if where else ''}", ELSEWHERE)


def _text(body: bytes) -> str:
    return body.decode("utf-8", "replace")


def _title(text: str) -> str:
    found = _TITLE.search(text)
    title = " ".join(html.unescape(found[1]).split()) if found else ""
    return title if len(title) <= LONGEST_TITLE else title[:LONGEST_TITLE] + "..."


def _is_bridge(body: bytes) -> bool:
    with contextlib.suppress(ValueError, RecursionError):
        said = json.loads(body)
        return isinstance(said, dict) and said.keys() >= _OF_A_BRIDGE
    return False

"""The files of the page as browsers get them: in memory, compressed, under addresses that name their content.

All of them but the HTML lie below `page/HASH/`, where HASH stands for the content of all files. So a browser may keep
them for ever, and never mixes files of two versions.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from comfybridge.web.page.comments import without_comments
from comfybridge.web.page.modules import needed_modules

FOLDER = Path(__file__).parent / "files"
HASH_LENGTH = 16
MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
}
HTML = MEDIA_TYPES[".html"]
# what the server replaces in the HTML
PLACE = "page/HASH/"
MODULES = "<!-- MODULES -->"
_MAIN = re.compile(r'<script\b[^>]*\bsrc="page/HASH/([^"]+)"')


@dataclass(frozen=True)
class PageFile:
    """A file that browsers load.

    Attributes:
        media_type: its Content-Type.
        content: its bytes.
        compressed: the same, compressed with gzip; None if that makes it no smaller.
        tag: stands for its content.
    """

    media_type: str
    content: bytes
    compressed: bytes | None
    tag: str


@dataclass(frozen=True)
class PageFiles:
    """All files of the page.

    Attributes:
        hash: stands for the content of all.
        pages: those in HTML, by their names.
        others: the others, by their paths.
    """

    hash: str
    pages: Mapping[str, PageFile]
    others: Mapping[str, PageFile]


@cache
def page_files() -> PageFiles:
    """The files that come with the bridge, read once."""
    return read_page_files(FOLDER)


def read_page_files(folder: Path) -> PageFiles:
    """The files of a folder."""
    contents = {
        path.relative_to(folder).as_posix(): _read(path)
        for path in sorted(folder.rglob("*"))
        if path.suffix in MEDIA_TYPES
    }
    digest = hashlib.sha256()
    for name, content in contents.items():
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    hash_of_all = digest.hexdigest()[:HASH_LENGTH]
    scripts = {path: content.decode() for path, content in contents.items() if path.endswith(".js")}
    pages, others = {}, {}
    for path, content in contents.items():
        if path.endswith(".html"):
            pages[path] = _file(path, _completed(content.decode(), hash_of_all, scripts).encode())
        else:
            others[path] = _file(path, content)
    return PageFiles(hash_of_all, pages, others)


def _read(path: Path) -> bytes:
    content = path.read_bytes()
    return without_comments(path.name, content.decode()).encode() if path.suffix in (".js", ".css") else content


def _completed(html: str, hash_of_all: str, scripts: Mapping[str, str]) -> str:
    """A page with the addresses of its files, and with links to all modules that it needs."""
    mains = _MAIN.findall(html)
    modules = dict.fromkeys(module for main in mains for module in needed_modules(main, scripts))
    links = "\n".join(f'<link rel="modulepreload" href="{PLACE}{module}">' for module in modules)
    return html.replace(MODULES, links).replace(PLACE, PLACE.replace("HASH", hash_of_all))


def _file(path: str, content: bytes) -> PageFile:
    compressed = gzip.compress(content, mtime=0)
    return PageFile(
        MEDIA_TYPES[Path(path).suffix],
        content,
        compressed if len(compressed) < len(content) else None,
        hashlib.sha256(content).hexdigest()[:HASH_LENGTH],
    )

"""Links to output files that need no API key: signed, and valid for an hour, or for as long as a job keeps its files.

A link holds all that it takes to fetch the file, so no process has to remember it: it works in every process that has
the key, and after a restart.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import math
import threading
import time
from collections.abc import Iterable

from comfybridge.comfyui.servers import Server, Servers
from comfybridge.errors import LinkExpired, NotFound
from comfybridge.request import KeptFile, OutputOptions, StoredFile
from comfybridge.settings import Settings
from comfybridge.state import StateFolder, link_key

VALID_SECONDS = 3600
SIGNATURE_BYTES = 16
# What the key signs, so that a signature of one thing is never one of another.
_FILE, _SERVER = b"comfybridge file 1\0", b"comfybridge server 1\0"
# The options that matter to a single file.
_OPTIONS = ("format", "quality", "lossless", "background", "metadata", "max_size")
_PLAIN = OutputOptions()
_JOB = "job"  # in place of the tag of a server, which is longer

_EXPIRED = (
    f"The link has expired: links to files work for {VALID_SECONDS // 60} minutes. GET /results/PROMPT_ID has the "
    "files for as long as ComfyUI does."
)
_EXPIRED_JOB = "The link has expired: the results of that job are no longer kept."


class FileLinks:
    """Makes links and reads them. Safe to share between threads."""

    def __init__(self, settings: Settings, servers: Servers, folder: StateFolder) -> None:
        self._settings = settings
        self._servers = servers
        self._folder = folder
        self._drawing = threading.Lock()
        self._drawn: bytes | None = None

    def sign(self, file: StoredFile | KeptFile, name: str, *, now: float | None = None) -> str:
        """A token for a file, which fits into one part of a URL's path.

        Args:
            name: the name that the link has for it, which the token holds for as well.
            now: when it is made, in seconds since 1970; the present if None.
        """
        options = {key: getattr(file.options, key) for key in _OPTIONS}
        changed = {key: value for key, value in options.items() if value != getattr(_PLAIN, key)}
        facts: list[object]
        if isinstance(file, KeptFile):
            facts = [_JOB, file.filename, file.job_id, file.number, math.ceil(file.until), changed]
        else:
            until = int(time.time() if now is None else now) + VALID_SECONDS
            facts = [self._tag(file.server), file.filename, file.subfolder, file.type, until, changed]
        payload = json.dumps(facts, separators=(",", ":")).encode()
        return _encoded(self._signature(payload, name) + payload)

    def read(self, token: str, name: str, *, now: float | None = None) -> tuple[Server, StoredFile] | KeptFile:
        """The file that a token of `sign` stands for, and the server that has it if ComfyUI does.

        Raises:
            NotFound: the token or the name is not as it was signed, or the server is no longer there.
            LinkExpired: its time is up.
        """
        signed = _decoded(token)
        signature, payload = signed[:SIGNATURE_BYTES], signed[SIGNATURE_BYTES:]
        is_whole = _encoded(signed) == token  # base64 can be written in several ways
        if not (hmac.compare_digest(signature, self._signature(payload, name)) and is_whole):
            raise NotFound(
                "The link is not one that this bridge made: it was changed or cut off, or the bridge has another key "
                "for links now."
            )
        tag, filename, folder, which, until, options = json.loads(payload)
        if (time.time() if now is None else now) >= until:
            raise LinkExpired(_EXPIRED_JOB if tag == _JOB else _EXPIRED)
        if tag == _JOB:
            return KeptFile(folder, which, filename, until, OutputOptions(**options))
        server = next((each for each in self._servers.all if self._tag(each.url) == tag), None)
        if server is None:
            raise NotFound("The link is to a file of a ComfyUI that is no longer behind this bridge.")
        return server, StoredFile(server.url, filename, folder, which, OutputOptions(**options))

    @property
    def _key(self) -> bytes:
        with self._drawing:
            if self._drawn is None:
                self._drawn = hashlib.sha256(link_key(self._folder, self._settings.link_key).encode()).digest()
            return self._drawn

    def _signature(self, payload: bytes, name: str) -> bytes:
        return self._digest(_FILE, (payload, b"\0", name.encode(errors="surrogatepass")))

    def _tag(self, url: str) -> str:
        """What stands for a server in a token: it does not reveal the address, nor depend on the servers' order."""
        return self._digest(_SERVER, (url.encode(),))[:6].hex()

    def _digest(self, purpose: bytes, parts: Iterable[bytes]) -> bytes:
        return hmac.new(self._key, purpose + b"".join(parts), hashlib.sha256).digest()[:SIGNATURE_BYTES]


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _decoded(token: str) -> bytes:
    """The bytes of a token; none if it is not one."""
    try:
        return base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return b""

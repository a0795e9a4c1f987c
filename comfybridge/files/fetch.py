"""Files from URLs, fetched so that callers cannot use the bridge to reach its own network (see `outside`).

Every redirect is a new URL, checked like the first.
The time limit holds for the whole fetch, however slowly the bytes come in.
"""

from __future__ import annotations

import re
import ssl
import threading
from collections.abc import Iterable
from contextlib import closing, suppress
from urllib.parse import urljoin

from comfybridge.comfyui.head import fields_of
from comfybridge.comfyui.incoming import BadAnswer, EndedEarly, Incoming
from comfybridge.deadline import Deadline
from comfybridge.errors import InvalidRequest, TimedOut, TooLarge
from comfybridge.files.outside import LOOKUP_SECONDS, Outside, Place, left, parse

MOST_REDIRECTS = 5
CHUNK = 256 * 1024
REDIRECTS = (301, 302, 303, 307, 308)
# binary/octet-stream is S3's type for files of unknown type
MEDIA_TYPES = re.compile(r"(image|video|audio)/.+|(application|binary)/octet-stream")


class Allowance:
    """The bytes that remain for the files of one request. Safe to share between threads.

    Args:
        most_bytes: how many the files may have together.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._left = most_bytes
        self._lock = threading.Lock()

    def take(self, size: int) -> None:
        """Take a number of bytes.

        Raises:
            TooLarge: fewer bytes remain.
        """
        with self._lock:
            self._left -= size
            if self._left < 0:
                raise TooLarge(
                    f"The input files have more than {self._most_bytes} bytes, the most that a request may have."
                )


class Fetcher:
    """Fetches files. Safe to share between threads.

    Args:
        seconds: how long one fetch may take, redirects included.
        allowed_hosts: names, addresses and networks (`10.0.0.0/8`) that may be contacted though not public.
    """

    def __init__(self, *, seconds: float, allowed_hosts: Iterable[str] = ()) -> None:
        self.seconds = seconds
        self._outside = Outside(allowed_hosts, "files are fetched only from those")

    def fetch(self, url: str, allowance: Allowance, deadline: Deadline | None = None) -> bytes:
        """The file at a URL.

        Args:
            allowance: the allowance that its bytes count against.
            deadline: the request's own, beside the limit of the fetcher.

        Raises:
            InvalidRequest: the URL can't be used, may not be used, or leads to no file.
            TooLarge: the file has more bytes than are allowed.
            TimedOut: the request's deadline passed.
        """
        seconds = self.seconds if deadline is None else min(self.seconds, deadline.remaining())
        limit = Deadline(seconds)
        place = parse(url)
        try:
            for _ in range(MOST_REDIRECTS + 1):
                answer = self._ask(place, allowance, limit)
                if isinstance(answer, bytes):
                    return answer
                place = answer
        except TimeoutError:
            if deadline is not None and deadline.passed:
                raise TimedOut(f"The time was up while a file was being fetched from {place.host}.") from None
            raise InvalidRequest(
                f"{place.host} did not send the file within {self.seconds:g} s, the most that a fetch may take."
            ) from None
        raise InvalidRequest(f"{place.host} redirects more than {MOST_REDIRECTS} times.")

    def check(self, url: str, deadline: Deadline) -> None:
        """Refuse a URL for another fetcher if this one would not contact its host.

        A host whose address can't be found here passes unless its name belongs to a private network: the fetcher may
        be able to resolve it.

        Raises:
            InvalidRequest: the URL can't be used, may not be used, or holds credentials.
            TimedOut: the request's deadline passed.
        """
        place = parse(url)
        if place.authorization is not None:
            raise InvalidRequest(f"The URL holds credentials for {place.host}, which ComfyUI would store.")
        limit = Deadline(min(LOOKUP_SECONDS, deadline.remaining()))
        if not self._outside.check(place, limit) and deadline.passed:
            raise TimedOut(f"The time was up while {place.host} was being looked up.")

    def _ask(self, place: Place, allowance: Allowance, limit: Deadline) -> bytes | Place:
        """The file, or the address that it redirects to."""
        try:
            with closing(self._outside.connect(place, limit)) as plain:
                plain.settimeout(left(limit))
                plain.sendall(_head(place))
                incoming = Incoming(plain, limit.seconds, limit)
                incoming.read_head()
                if incoming.status in REDIRECTS:
                    return _redirected(place, incoming)
                return _body(place, incoming, allowance)
        except TimeoutError:
            raise
        except ssl.SSLCertVerificationError:
            raise InvalidRequest(f"{place.host} has no trusted certificate.") from None
        except (OSError, BadAnswer):
            raise InvalidRequest(f"{place.host} can't be reached, or does not speak HTTP.") from None


def _head(place: Place) -> bytes:
    """The request to a host. All of it is ASCII without line breaks, as `parse` ensures."""
    headers = {
        "Host": place.host_header,
        "User-Agent": "comfybridge",
        "Accept": "*/*",
        "Accept-Encoding": "identity",
        "Connection": "close",
    }
    if place.authorization:
        headers["Authorization"] = place.authorization
    fields = fields_of(headers)
    assert fields is not None
    return b"GET %s HTTP/1.1\r\n%s\r\n" % (place.target.encode("ascii"), fields)


def _redirected(place: Place, answer: Incoming) -> Place:
    location = answer.headers.get("location")
    if not location:
        raise InvalidRequest(f"{place.host} answered {answer.status}, a redirect without a target.")
    host = f"{place.scheme}://{place.host_header}"
    with suppress(UnicodeError):  # Python reads headers as Latin-1, and servers write UTF-8
        location = location.encode("latin-1").decode("utf-8")
    try:
        url = urljoin(host + place.target, location)
    except ValueError:
        raise InvalidRequest(f"{place.host} redirects to something that is not a URL.") from None
    return parse(url)


def _body(place: Place, answer: Incoming, allowance: Allowance) -> bytes:
    """The bytes of an answer that is a file."""
    if answer.status != 200:
        raise InvalidRequest(f"{place.host} answered {answer.status} instead of the file.")
    media_type = answer.headers.get("content-type", "application/octet-stream").partition(";")[0].strip().lower()
    if media_type in ("text/html", "application/xhtml+xml"):
        raise InvalidRequest(f"{place.host} answered with a web page ({media_type}), not with a file.")
    if not MEDIA_TYPES.fullmatch(media_type):
        raise InvalidRequest(
            f"{place.host} answered with {media_type[:60]!r}; it must be an image, a video, audio, or "
            "application/octet-stream."
        )
    if answer.headers.get("content-encoding", "identity").strip().lower() not in ("identity", ""):
        raise InvalidRequest(f"{place.host} sends the file compressed, although it was asked not to.")
    return _read(place, answer, allowance)


def _read(place: Place, answer: Incoming, allowance: Allowance) -> bytes:
    expected = answer.length
    if expected is not None:
        allowance.take(expected)  # so that the download of a file that is too large does not even start
    chunks = []
    try:
        while chunk := answer.read_some(CHUNK):
            chunks.append(chunk)
            if expected is None:
                allowance.take(len(chunk))
    except EndedEarly:
        raise InvalidRequest(f"{place.host} cut the file off in the middle.") from None
    return b"".join(chunks)

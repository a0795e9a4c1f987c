"""Posts something to a URL that a caller gave; see `outside` for what is not contacted."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass

from comfybridge.comfyui.head import fields_of
from comfybridge.comfyui.incoming import BadAnswer, Incoming
from comfybridge.deadline import Deadline
from comfybridge.errors import InvalidRequest
from comfybridge.files.outside import Outside, left, parse

CONNECT_SECONDS = 6.0
READ_BYTES = 16 * 1024  # of the answer's body, which nobody needs: so that its server sees it taken


class NotPosted(Exception):
    """There was no answer. The message is a sentence, which names the host at most."""


@dataclass(frozen=True)
class Reply:
    """The head of an answer.

    Attributes:
        headers: by names in small letters.
    """

    status: int
    headers: Mapping[str, str]


def post(outside: Outside, url: str, body: bytes, headers: Mapping[str, str], limit: Deadline) -> Reply:
    """Post a body, once. A redirect is an answer like any other.

    Args:
        headers: besides those that HTTP itself needs.
        limit: by when the answer's head must be there; cutting it ends the post.

    Raises:
        NotPosted: there is no answer.
    """
    try:
        place = parse(url)
        try:
            with closing(outside.connect(place, Deadline(min(CONNECT_SECONDS, left(limit))))) as connection:
                connection.settimeout(left(limit))
                limit.blocked_on = connection
                with suppress(ConnectionError):  # it may have answered before it had read everything
                    connection.sendall(_head(place.target, place.host_header, headers, len(body)) + body)
                incoming = Incoming(connection, limit.seconds, limit)
                incoming.read_head()
                reply = Reply(incoming.status, incoming.headers)
                with suppress(OSError, BadAnswer):
                    incoming.read_some(READ_BYTES)
                return reply
        except TimeoutError:
            raise NotPosted(f"{place.host} did not answer in time.") from None
        except ssl.SSLCertVerificationError:
            raise NotPosted(f"{place.host} has no trusted certificate.") from None
        except (OSError, BadAnswer):
            raise NotPosted(f"{place.host} can't be reached, or does not speak HTTP.") from None
    except InvalidRequest as error:
        raise NotPosted(error.message) from None


def _head(target: str, host: str, headers: Mapping[str, str], length: int) -> bytes:
    fields = fields_of(
        {
            "Host": host,
            "User-Agent": "comfybridge",
            "Accept": "*/*",
            "Content-Length": str(length),
            "Connection": "close",
            **headers,
        }
    )
    assert fields is not None
    return b"POST %s HTTP/1.1\r\n%s\r\n" % (target.encode("ascii"), fields)

"""Requests that the server itself refuses: what callers read, and what the log says. Neither quotes the request."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

# A head that has not ended by then is refused.
LONGEST_HEAD = 64 * 1024

BAD_REQUEST = (400, "invalid_request")


# Status, headers and body of an answer.
Written = tuple[int, Mapping[str, str], bytes]


class Refused(Exception):
    """A request is refused, and its connection closed.

    Args:
        status: of the answer.
        type: as in the errors of the HTTP contract.
        sentence: what is wrong, without a word of the request.
        retry_after: seconds; None if a retry does not help.
    """

    def __init__(self, status: int, type: str, sentence: str, retry_after: int | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.type = type
        self.sentence = sentence
        self.retry_after = retry_after

    def answer(self, path: str, write: WriteRefusal) -> bytes:
        """The whole HTTP answer.

        Args:
            path: the address that the request was for, as far as it is known.
            write: words it as the application does at that address.
        """
        status, headers, body = write(path, self.status, self.type, self.sentence, self.retry_after)
        lines = [
            f"HTTP/1.1 {status} {REASONS.get(status, 'Bad Request')}",
            "Connection: close",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        return "\r\n".join([*lines, "", ""]).encode() + body


# Words a refusal, from the path of its request, its status, its type, its sentence and the seconds until a retry.
WriteRefusal = Callable[[str, int, str, str, int | None], Written]


def write_plainly(path: str, status: int, type: str, sentence: str, retry_after: int | None) -> Written:
    """Word a refusal as the bridge's own API does, for applications that don't."""
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return status, headers, json.dumps({"status": "error", "type": type, "error": sentence}).encode() + b"\n"


def path_in(head: bytes) -> str:
    """The path in the beginning of a request, still quoted, as far as it can be read."""
    line = head.partition(b"\r\n")[0]
    target = line.partition(b" ")[2].partition(b" ")[0].decode("latin-1").partition("?")[0]
    return target if target.startswith("/") else f"/{target.partition('://')[2].partition('/')[2]}"


REASONS = {
    400: "Bad Request",
    403: "Forbidden",
    408: "Request Timeout",
    409: "Conflict",
    413: "Content Too Large",
    414: "URI Too Long",
    417: "Expectation Failed",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
}


def cut_short() -> Refused:
    """The caller closed its side of the connection before the end of its request."""
    return Refused(*BAD_REQUEST, "The request ended before its announced length.")


def left() -> Refused:
    """The caller closed its side of the connection before its request was begun; it may still read the answer."""
    sentence = "The caller closed its side of the connection; it must stay open until the answer arrives."
    return Refused(409, "interrupted", sentence)


def too_slow() -> Refused:
    """The request arrives too slowly; its connection is closed."""
    return Refused(408, "timeout", "The request arrived too slowly.")


def crowded() -> Refused:
    """Too many other requests are waiting to be refused by the application."""
    return Refused(503, "busy", "The bridge is refusing too many other requests at this moment.", 5)


def no_thread() -> Refused:
    """The system allows not even one thread."""
    return Refused(503, "busy", "This system allows the bridge no thread to answer the request with.", 5)


def admits_all(_: object) -> bool:
    """Accept the body of every request, for applications that don't say which they want."""
    return True

"""Calls to the ComfyUIs of agents, for a bridge that has none: the agent relays them, and only those that tell
something about ComfyUI, its prompts and their files.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Generator, Mapping
from typing import Any

from comfybridge.address import ServerAddress
from comfybridge.comfyui.failures import TooLong
from comfybridge.comfyui.route import Route
from comfybridge.comfyui.servers import Servers
from comfybridge.comfyui.transport import BLOCK, Answer, Readable, Transport
from comfybridge.deadline import Deadline
from comfybridge.engine.engine import Engine
from comfybridge.engine.remote_files import read_file
from comfybridge.errors import ComfyUIError, ComfyUIUnreachable
from comfybridge.jobs.headed import Headed, head

SUBJECT = "comfybridge.ask.{agent}.get.{call}"
# What is relayed: what ComfyUI says of itself and of prompts, and files by their names.
_PATHS = re.compile(
    r"/(object_info(/[^/]+)?|models(/[^/]+)?|system_stats|node_replacements|features|prompt|queue|api/jobs(/[^/]+)?|history/[^/]+|view)"
)
_HEADERS = ("Content-Type", "Content-Range", "Content-Disposition")


def subject_of_calls(agent_id: str) -> str:
    """The subject on which an agent gets calls."""
    return SUBJECT.format(agent=agent_id, call="*")


def relayed(servers: Servers, subject: str) -> Generator[bytes, None, None]:
    """The answer of one of the agent's ComfyUIs: a line of JSON with its head, and its body.

    Raises:
        BridgeError: there is no such ComfyUI, it does not answer, or such calls are not relayed.
    """
    try:
        asked = json.loads(base64.urlsafe_b64decode(subject.rpartition(".")[2]))
        path, query, headers = asked["path"], asked["query"], asked["headers"]
        url, seconds = asked["server"], float(asked["seconds"])
    except (ValueError, KeyError, TypeError) as error:
        raise ComfyUIError(f"The agent can't read the call that it is to relay: {error!r}.") from None
    if not _PATHS.fullmatch(path):
        raise ComfyUIError("The agent does not relay such calls to ComfyUI.")
    server = next((each for each in servers.all if each.url == url), None)
    if server is None:
        raise ComfyUIUnreachable("The agent no longer has that ComfyUI.", retry_after=5)
    with server.client.call("GET", path, Deadline(seconds), query=query, headers=headers) as answer:
        headers = {name.lower(): answer.header(name) for name in _HEADERS}
        yield head(status=answer.status, size=answer.length, headers=headers)
        while chunk := answer.read_some(BLOCK):
            yield chunk


class Relay(Transport):
    """The way to one ComfyUI of an agent. Safe to share between threads.

    Args:
        address: of the ComfyUI, as the bridge shows it.
        url: the same, as the agent calls it.
    """

    def __init__(self, engine: Engine, agent_id: str, address: ServerAddress, url: str) -> None:
        self.route = Route(address)
        self._engine = engine
        self._agent_id = agent_id
        self._url = url

    def send(
        self,
        method: str,
        path: str,
        timeout: tuple[float, float],
        *,
        deadline: Deadline | None = None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        file: tuple[Readable, int] | None = None,
    ) -> Answer:
        """As `Transport.send`, for calls that are relayed.

        Raises:
            BridgeError: the agent or its ComfyUI does not answer.
        """
        if method != "GET" or not _PATHS.fullmatch(path):
            raise ComfyUIError("The bridge has no ComfyUI of its own, and its agents don't let it do that to theirs.")
        seconds = min(timeout[1], deadline.remaining()) if deadline is not None else timeout[1]
        call = {"server": self._url, "path": path, "query": query, "headers": headers, "seconds": seconds}
        token = base64.urlsafe_b64encode(json.dumps(call).encode()).decode("ascii")
        subject = SUBJECT.format(agent=self._agent_id, call=token)
        return _Relayed(method, path, Headed(read_file(self._engine, subject)))

    def close(self) -> None:
        """Do nothing: the connection is the engine's."""


class _Relayed(Answer):
    """An answer that comes from an agent."""

    def __init__(self, method: str, path: str, answer: Headed) -> None:
        self.method, self.path = method, path
        self.status = answer.head["status"]
        self._answer = answer
        self._left = answer.size
        self._rest = b""

    @property
    def length(self) -> int | None:
        """Bytes of the body that have not been read; None if the server does not say."""
        return self._left

    def header(self, name: str) -> str:
        """A header's value; empty if it is not there."""
        value: str = self._answer.head["headers"].get(name.lower(), "")
        return value

    def read(self, most: int) -> bytes:
        """The whole body, of at most a number of bytes; raises TooLong."""
        pieces, size = [], 0
        while piece := self.read_some(BLOCK):
            pieces.append(piece)
            size += len(piece)
            if size > most:
                raise TooLong(f"answers with more than {most} bytes")
        return b"".join(pieces)

    def read_some(self, most: int) -> bytes:
        """Up to `most` bytes of the body; nothing at its end."""
        rest = self._rest or next(self._answer, b"")
        piece, self._rest = rest[:most], rest[most:]
        if self._left is not None:
            self._left = max(0, self._left - len(piece))
        return piece

    def check_length(self) -> None:
        """Nothing to check: the agent has read the answer."""

    def close(self) -> None:
        """Read no more. May be called twice."""
        self._answer.close()

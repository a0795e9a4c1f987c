"""What is asked of JetStream, as work on a connection."""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from comfybridge.engine.connection import NOT_FOUND, ApiError, NobodyAnswers, NotAllowed, Requests, status_of
from comfybridge.engine.messages import Conflict, Full, Message
from comfybridge.engine.names import stream_of
from comfybridge.errors import EngineUnreachable

OWN_ID = "Nats-Msg-Id"
_WRONG_LAST = (10071, 10164)
_NO_MESSAGE = (10037, 10043, 10057)
UNLIMITED = 2**60  # bytes
# no room: storage, memory, the stream's or the account's limits, what a message may need
_FULL = (10077, 10047, 10028, 10023, 10002, 10054, 10052)


def publishing(
    subject: str, data: bytes, expected: int | None, ttl: float | None, more: dict[str, str] | None
) -> Callable[[Requests], Awaitable[int]]:
    """Store a message. Repeated, it is stored once. Returns its sequence; raises Conflict or Full."""
    own_id = uuid.uuid4().hex
    headers = {OWN_ID: own_id, **(more or {})}
    if expected is not None:
        headers["Nats-Expected-Last-Subject-Sequence"] = str(expected)
    if ttl is not None:
        headers["Nats-TTL"] = f"{max(1, math.ceil(ttl))}s"

    tried: list[Requests] = []

    async def publish(connection: Requests) -> int:
        tried.append(connection)
        answer = json.loads((await connection.request(subject, data, headers)).data)
        if "error" not in answer:
            return int(answer["seq"])
        error = ApiError(answer["error"])
        if error.code in _WRONG_LAST:
            # the server looks at the expected sequence first: the last message may be this one, whose answer was lost
            last = await _last(connection, subject) if len(tried) > 1 else None
            if last is not None and last.headers.get(OWN_ID) == own_id:
                return last.sequence
            raise Conflict(subject)
        if error.code in _FULL:
            raise Full(subject)
        raise EngineUnreachable("The engine cannot store anything now.")

    return publish


async def _last(connection: Requests, subject: str) -> Message | None:
    try:
        return await getting(stream_of(subject), subject)(connection)
    except (NobodyAnswers, NotAllowed):
        return None


def getting(stream: str, subject: str) -> Callable[[Requests], Awaitable[Message | None]]:
    """The last message on a subject."""

    async def get(connection: Requests) -> Message | None:
        found = await connection.request(f"$JS.API.DIRECT.GET.{stream}.{subject}", b"")
        if status_of(found) == NOT_FOUND:
            return None
        headers = dict(found.headers or {})
        return Message(
            headers.get("Nats-Subject", subject),
            found.data,
            int(headers.get("Nats-Sequence", 0)),
            _seconds(headers.get("Nats-Time-Stamp", "")),
            headers,
        )

    return get


def asking(subject: str, data: bytes) -> Callable[[Requests], Awaitable[Message]]:
    """A request to whoever answers on a subject."""

    async def ask(connection: Requests) -> Message:
        answer = await connection.request(subject, data)
        return Message(subject, answer.data, 0, 0.0, dict(answer.headers or {}))

    return ask


def subjects(stream: str, subject_filter: str) -> Callable[[Requests], Awaitable[list[str]]]:
    """The subjects of a stream that match."""

    async def list_subjects(connection: Requests) -> list[str]:
        found: list[str] = []
        while True:
            asked = {"subjects_filter": subject_filter, "offset": len(found)}
            info = await connection.api(f"STREAM.INFO.{stream}", asked)
            page: dict[str, Any] = info["state"].get("subjects") or {}
            found += page
            if not page or len(found) >= int(info.get("total", 0)):
                return found

    return list_subjects


def purging(stream: str, subject_filter: str, last: int = 0) -> Callable[[Requests], Awaitable[int]]:
    """Delete what lies on matching subjects, up to a sequence if that is not 0. Returns how many messages it was."""
    wanted: dict[str, Any] = {"filter": subject_filter}
    if last:
        wanted["seq"] = last + 1  # the first that stays

    async def purge(connection: Requests) -> int:
        answer = await connection.api(f"STREAM.PURGE.{stream}", wanted)
        return int(answer.get("purged", 0))

    return purge


def deleting(stream: str, sequence: int) -> Callable[[Requests], Awaitable[bool]]:
    """Delete one message. Returns whether it was there."""

    async def delete(connection: Requests) -> bool:
        try:
            await connection.api(f"STREAM.MSG.DELETE.{stream}", {"seq": sequence, "no_erase": True})
        except ApiError as error:
            if error.code in _NO_MESSAGE:
                return False
            raise
        return True

    return delete


def measuring(stream: str) -> Callable[[Requests], Awaitable[tuple[int, int]]]:
    """How many bytes a stream has, and how many it may have; messages count like bytes where they are the limit."""

    async def measure(connection: Requests) -> tuple[int, int]:
        info = await connection.api(f"STREAM.INFO.{stream}")
        state, config = info["state"], info["config"]
        used, most = int(state["bytes"]), int(config.get("max_bytes", -1))
        messages, most_messages = int(state["messages"]), int(config.get("max_msgs", -1))
        if most <= 0:
            most = UNLIMITED
        if most_messages > 0:
            used = max(used, most * messages // most_messages)
        return used, most

    return measure


def _seconds(text: str) -> float:
    """Seconds since 1970 of a time such as 2026-11-28T21:45:12.123456789Z."""
    try:
        return datetime.fromisoformat(f"{text[:19]}+00:00").timestamp() + float(f"0{text[19:].rstrip('Z') or '.0'}")
    except ValueError:
        return 0.0

"""The streams in which jobs, results and files lie, made or brought up to date by a bridge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from comfybridge.engine.connection import ApiError, Connection, NobodyAnswers, NotAllowed, Unusable
from comfybridge.engine.names import ASSETS, FILES, KEPT, LIVE, RESULTS

MOST_RESULTS = 100_000
MOST_MESSAGES = 1_000_000
REPLICAS = 3
LIVE_BYTES = 256 * 1024 * 1024
NANOSECONDS = 1_000_000_000
DEDUPLICATED_SECONDS = 60
OF_BRIDGES = (ASSETS,)  # no agent looks at them, or may
_NO_STREAM = 10059
_NO_STORAGE = 10047
_NO_JETSTREAM = (10039, 10076)


def streams(disk_bytes: int, servers: int = 1) -> list[dict[str, Any]]:
    """The configurations of all streams.

    Args:
        disk_bytes: what they may take on disk.
        servers: how many servers of the engine are known; on three and more, each stream is on three.
    """
    wanted = _streams(disk_bytes)
    return [{**each, "num_replicas": REPLICAS} for each in wanted] if servers >= REPLICAS else wanted


def _streams(disk_bytes: int) -> list[dict[str, Any]]:
    kept, results, assets = disk_bytes // 4, disk_bytes // 8, disk_bytes // 64
    return [
        {
            **_stream(KEPT, "comfybridge.kept.job.*", "comfybridge.kept.claim.*"),
            "max_bytes": kept,
        },
        {**_stream(LIVE, "comfybridge.live.>"), "storage": "memory", "max_bytes": LIVE_BYTES},
        {
            **_stream(RESULTS, "comfybridge.kept.result.*.*", "comfybridge.tries.*"),
            "discard": "old",
            "max_msgs": MOST_RESULTS,
            "max_bytes": results,
        },
        {**_stream(FILES, "comfybridge.file.*.*.*.*"), "max_bytes": disk_bytes - kept - results - assets},
        # after the files, which had this room before
        {**_stream(ASSETS, "comfybridge.asset.*.*.*.*", "comfybridge.asset_key.*.*"), "max_bytes": assets},
    ]


def _stream(name: str, *subjects: str) -> dict[str, Any]:
    return {
        "name": name,
        "subjects": list(subjects),
        "storage": "file",
        "retention": "limits",
        "max_msgs_per_subject": 1,
        "max_msgs": MOST_MESSAGES,
        "discard": "new",
        "allow_direct": True,
        "allow_msg_ttl": True,
        "duplicate_window": DEDUPLICATED_SECONDS * NANOSECONDS,
    }


async def bring_up(connection: Connection, wanted: Sequence[Mapping[str, Any]], *, makes: bool) -> None:
    """See that all streams are there, as they should be.

    Args:
        makes: whether to make them; otherwise somebody else must.

    Raises:
        Unusable: they are not, and cannot be made.
        Lost: the connection is gone.
    """
    for stream in wanted:
        if not makes and stream["name"] in OF_BRIDGES:
            continue
        try:
            await _bring_up(connection, stream, makes)
        except NotAllowed:
            raise Unusable("The engine's user lacks rights to the streams of ComfyBridge.", is_lasting=True) from None
        except NobodyAnswers:
            raise Unusable("The engine has no JetStream: start nats-server with -js.") from None
        except ApiError as error:
            if error.code in _NO_JETSTREAM:
                raise Unusable("The engine has no JetStream: start nats-server with -js.") from None
            hint = "; a smaller COMFYBRIDGE_JOB_DISK_BYTES may fit" if error.code == _NO_STORAGE else ""
            raise Unusable(f"The engine refuses the stream {stream['name']}: {error}{hint}.") from None


async def _bring_up(connection: Connection, wanted: Mapping[str, Any], makes: bool) -> None:
    name = wanted["name"]
    try:
        found = (await connection.api(f"STREAM.INFO.{name}"))["config"]
    except ApiError as error:
        if error.code != _NO_STREAM:
            raise
        if not makes:
            raise Unusable("No bridge has prepared the engine yet.") from None
        try:
            await connection.api(f"STREAM.CREATE.{name}", wanted)
        except NotAllowed:
            raise Unusable("No bridge has prepared the engine yet.") from None
        return
    if makes and any(found.get(field) != value for field, value in wanted.items()):
        try:
            await connection.api(f"STREAM.UPDATE.{name}", {**found, **wanted})
        except NotAllowed:
            return  # it belongs to bridges with more rights

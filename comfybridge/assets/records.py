"""The records of assets in the engine, found by their id and by the hash of their bytes."""

from __future__ import annotations

import contextlib
import hashlib
import re
import time
import uuid

from comfybridge.assets.asset import Asset, BrokenRecord
from comfybridge.engine.engine import ASSETS, Conflict, Engine, Full
from comfybridge.errors import Busy

KEY_SECONDS = 24 * 3600
RETRY_SECONDS = 60
UNHASHED = "none"
SHARED_DIGITS = 8  # of a hash, with which ids begin: one beginning leads to the record by either
ASSET_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def new_id(hash: str | None) -> str:
    """An id for an asset with bytes of that hash."""
    drawn = str(uuid.uuid4())
    return drawn if hash is None else _digits(hash)[:SHARED_DIGITS] + drawn[SHARED_DIGITS:]


class Records:
    """The records. Safe to share between threads; each call raises EngineUnreachable if the engine does not answer.

    Subjects are `comfybridge.asset.BEGINNING.OWNER.HASH.ID`.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def put(self, asset: Asset) -> None:
        """Keep a record until the asset expires.

        Raises:
            Busy: there is no room.
        """
        ttl = None if asset.expires is None else asset.expires - time.time()
        try:
            self._engine.publish(_subject(asset), asset.to_bytes(), expected=0, ttl=ttl)
        except Full:
            raise _no_room() from None

    def find(self, asset_id: str) -> Asset | None:
        """The asset with that id, whoever owns it."""
        if ASSET_ID.fullmatch(asset_id) is None:
            return None
        return next(iter(self._all(f"comfybridge.asset.{asset_id[:SHARED_DIGITS]}.*.*.{asset_id}")), None)

    def with_hash(self, hash: str, owner: str | None) -> list[Asset]:
        """An owner's assets with bytes of that hash, the oldest first."""
        digits = _digits(hash)
        subjects = f"comfybridge.asset.{digits[:SHARED_DIGITS]}.{_token(owner)}.{digits}.*"
        return sorted(self._all(subjects), key=lambda asset: asset.created)

    def delete(self, asset: Asset) -> bool:
        """Delete a record. Returns whether it was there."""
        message = self._engine.get(ASSETS, _subject(asset))
        return message is not None and self._engine.delete(ASSETS, message.sequence)

    def claim(self, key: str, owner: str | None) -> bool:
        """Use an idempotency key. Returns whether it was not used in the last 24 hours.

        Raises:
            Busy: there is no room.
        """
        try:
            self._engine.publish(_key_subject(key, owner), b"1", expected=0, ttl=KEY_SECONDS)
        except Conflict:
            return False
        except Full:
            raise _no_room() from None
        return True

    def release(self, key: str, owner: str | None) -> None:
        """Let a key that was claimed be used again."""
        self._engine.purge(ASSETS, _key_subject(key, owner))

    def _all(self, subject_filter: str) -> list[Asset]:
        found = []
        for subject in self._engine.subjects(ASSETS, subject_filter):
            message = self._engine.get(ASSETS, subject)
            if message is not None and message.data:
                with contextlib.suppress(BrokenRecord):
                    asset = Asset.from_bytes(message.data)
                    if asset.expires is None or asset.expires > time.time():  # the engine may be about to delete it
                        found.append(asset)
        return found


def _subject(asset: Asset) -> str:
    hash = asset.content.hash
    digits = UNHASHED if hash is None else _digits(hash)
    return f"comfybridge.asset.{asset.id[:SHARED_DIGITS]}.{_token(asset.owner)}.{digits}.{asset.id}"


def _key_subject(key: str, owner: str | None) -> str:
    return f"comfybridge.asset_key.{_token(owner)}.{hashlib.sha256(key.encode()).hexdigest()}"


def _digits(hash: str) -> str:
    return hash.partition(":")[2]


def _token(owner: str | None) -> str:
    """An owner as a part of a subject."""
    return "anyone" if owner is None else hashlib.sha256(owner.encode()).hexdigest()[:16]


def _no_room() -> Busy:
    return Busy("The store for assets is full.", retry_after=RETRY_SECONDS)

"""Assets: what callers upload for their jobs, and what jobs have made, by one kind of id."""

from __future__ import annotations

import contextlib
import threading
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace

from comfybridge.assets.asset import Asset, Content
from comfybridge.assets.content import Contents, gone, lasts
from comfybridge.assets.errors import AssetInUse, HashMismatch, UnknownAsset, UnknownContent
from comfybridge.assets.outputs import output_asset, outputs_in, parse_output_id
from comfybridge.assets.received import Received
from comfybridge.assets.records import ASSET_ID, Records, new_id
from comfybridge.bridge import Bridge
from comfybridge.deadline import Deadline
from comfybridge.errors import (
    ComfyUIError,
    ComfyUIUnreachable,
    EngineUnreachable,
    IdempotencyConflict,
    TimedOut,
    UnknownPrompt,
)
from comfybridge.files.stored import InEngine, Place
from comfybridge.jobs.jobs import Jobs
from comfybridge.media import media_type_of
from comfybridge.request import OpenFile

STRIPES = 64
AWAY_SECONDS = 5
Counting = Callable[[], contextlib.AbstractContextManager[None]]


@dataclass(frozen=True)
class Label:
    """What an owner says of an asset.

    Attributes:
        file_path: its name.
        content_type: empty: what its name tells.
        expires_in: seconds for which it is kept; None: until it is deleted.
    """

    file_path: str = ""
    content_type: str = ""
    expires_in: float | None = None


class Assets:
    """The assets of a bridge. Safe to share between threads.

    Whatever reads or writes raises EngineUnreachable if the engine does not answer.
    """

    def __init__(self, bridge: Bridge, jobs: Jobs) -> None:
        self._bridge = bridge
        self._jobs = jobs
        self._storing = [threading.Lock() for _ in range(STRIPES)]  # so that the same bytes are not kept twice

    def add(
        self,
        received: Received,
        label: Label,
        owner: str | None,
        deadline: Deadline,
        *,
        expected_hash: str | None = None,
        key: str | None = None,
        counting: Counting = contextlib.nullcontext,
    ) -> tuple[Asset, bool]:
        """Keep an upload.

        Args:
            owner: the name of the caller's API key.
            expected_hash: the hash that its bytes must have.
            key: an idempotency key, which can be used once in 24 hours.
            counting: entered while the asset is made; may refuse it.

        Returns:
            The asset, and whether its owner had no such bytes before.

        Raises:
            HashMismatch: nothing is kept.
            IdempotencyConflict: the key was used before.
            TooLarge, Busy, ComfyUIUnreachable, ComfyUIError, TimedOut: the bytes could not be kept.
        """
        hash = received.hash
        if expected_hash is not None and hash is not None and expected_hash != hash:
            raise HashMismatch(f"The bytes have the hash {hash}, and not that of expected_hash.")
        records = self._records()
        if key is not None and not records.claim(key, owner):
            raise IdempotencyConflict("The Idempotency-Key was used for another upload in the last 24 hours.")
        name = received.name(label.file_path)
        try:
            with counting(), self._storing[zlib.crc32(name.encode()) % STRIPES]:
                known = None if hash is None else self._known(hash, owner, label, deadline)
                if known is not None:
                    return self._mint(known.content, hash, label, owner), False
                asset_id, expires = new_id(hash), _expiry(label)
                content = self._contents().keep(received, name, asset_id, expires, deadline)
                return self._put(_asset(asset_id, content, label, owner, expires), is_kept=True), True
        except BaseException:
            if key is not None:
                with contextlib.suppress(EngineUnreachable):
                    records.release(key, owner)
            raise

    def mint(
        self,
        hash: str,
        label: Label,
        owner: str | None,
        deadline: Deadline,
        counting: Counting = contextlib.nullcontext,
    ) -> tuple[Asset, bool]:
        """Another asset with bytes that the owner has already; one like it if there is one.

        Args:
            hash: as `parse_hash` returns it.
            label: without a path or a type, those of the asset that has these bytes.
            counting: entered while the asset is made, if it is new; may refuse it.

        Returns:
            The asset, and whether it is new.

        Raises:
            UnknownContent: the owner has no such bytes.
            ComfyUIUnreachable: it can't be told now whether they are still there.
            Busy
        """
        known = self._known(hash, owner, label, deadline) if self._jobs.is_used else None
        if known is None:
            if self._jobs.is_used and self._records().with_hash(hash, owner):  # those that are gone were deleted
                raise ComfyUIUnreachable("ComfyUI, which has the bytes, does not answer.", retry_after=AWAY_SECONDS)
            raise UnknownContent("There are no bytes of that hash that you have uploaded.")
        label = replace(
            label,
            file_path=label.file_path or known.file_path,
            content_type=label.content_type or known.content_type,
        )
        is_like = (known.file_path, known.content_type) == (label.file_path, label.content_type)
        if is_like and _outlives(known, _expiry(label)):
            return known, False
        with counting():
            return self._mint(known.content, hash, label, owner), True

    def has(self, hash: str, owner: str | None, deadline: Deadline) -> bool:
        """Whether an owner has uploaded bytes of that hash, and they are still there."""
        return self._jobs.is_used and self._known(hash, owner, Label(), deadline) is not None

    def find(self, asset_id: str, owner: str | None) -> Asset:
        """An upload, or an output of a job.

        Args:
            owner: whose it must be; None: anybody's.

        Raises:
            UnknownAsset
        """
        asset = None
        if self._jobs.is_used:
            is_upload = ASSET_ID.fullmatch(asset_id) is not None
            asset = self._records().find(asset_id) if is_upload else self._output(asset_id)
        if asset is None or (owner is not None and asset.owner != owner):
            raise UnknownAsset("There is no asset of that id, or it is no longer kept.")
        return asset

    def check_is_there(self, asset: Asset, deadline: Deadline) -> None:
        """Refuse an asset whose bytes are gone.

        Raises:
            ContentGone
            ComfyUIUnreachable, ComfyUIError, TimedOut: it can't be told now.
        """
        content = asset.content
        if content.text is None and not (content.place and self._contents().is_there(content, deadline)):
            raise gone()

    def open(self, asset: Asset, deadline: Deadline, begin: int = 0, end: int | None = None) -> OpenFile:
        """Begin to read an asset's bytes, from one to another; the latter is excluded.

        Raises:
            ContentGone: they are not there.
            ComfyUIUnreachable, ComfyUIError, TimedOut: ComfyUI, which has them, does not answer.
        """
        content = asset.content
        if content.text is None and content.place is None:
            raise gone()
        end = content.size if end is None else end
        return self._contents().open(content, asset.file_path, asset.content_type, deadline, begin, end)

    def place_of(self, asset: Asset) -> Place:
        """Where an asset's bytes are. A text of a job is in its `content.text` instead.

        Raises:
            ContentGone: nowhere.
        """
        if asset.content.place is None:
            raise gone()
        return asset.content.place

    def delete(self, asset: Asset) -> None:
        """Delete an upload, and its bytes if no other asset of its owner has them.

        Raises:
            AssetInUse: it is an output, or a job that has not ended needs its bytes.
            UnknownAsset: it was deleted meanwhile.
        """
        if asset.job_id is not None:
            raise AssetInUse("The asset cannot be deleted now.")
        place = asset.content.place
        if isinstance(place, InEngine) and self._jobs.is_read(place.id) and not self._is_shared(asset):
            raise AssetInUse("A job that has not ended needs the asset; delete it later.")
        if not self._records().delete(asset):
            raise UnknownAsset("There is no asset of that id, or it is no longer kept.")
        if not self._is_shared(asset):  # only now, as another one may have been deleted meanwhile
            self._contents().drop(asset.content)

    # -- its parts -----------------------------------------------------------------------------------------------

    def _records(self) -> Records:
        return Records(self._jobs.parts().engine)

    def _contents(self) -> Contents:
        return Contents(self._bridge.servers, self._jobs.parts().engine)

    def _output(self, asset_id: str) -> Asset | None:
        named = parse_output_id(asset_id)
        if named is None:
            return None
        job_id, number = named
        with contextlib.suppress(UnknownPrompt):
            result = self._jobs.find(job_id, None).result
            if result is not None and result.kind == "kept":
                outputs = outputs_in(result)
                return output_asset(result, number, outputs[number]) if number < len(outputs) else None
        return None

    def _is_shared(self, asset: Asset) -> bool:
        """Whether another asset has the same bytes in the same place."""
        hash, place = asset.content.hash, asset.content.place
        others = [] if hash is None else self._records().with_hash(hash, asset.owner)
        return any(each.content.place == place and each.id != asset.id for each in others)

    def _known(self, hash: str, owner: str | None, label: Label, deadline: Deadline) -> Asset | None:
        """An asset of the owner's with bytes of that hash, which are there: the one most like the wanted one.

        Assets whose bytes are gone are deleted.
        """
        records, contents, expires = self._records(), self._contents(), _expiry(label)

        def unlike(asset: Asset) -> tuple[bool, ...]:
            is_named = label.file_path in ("", asset.file_path)
            return not is_named, not _outlives(asset, expires), not lasts(asset.content, expires)

        for asset in sorted(records.with_hash(hash, owner), key=unlike):
            try:
                if contents.is_there(asset.content, deadline):
                    return asset
            except (ComfyUIUnreachable, ComfyUIError, TimedOut):
                continue  # another ComfyUI may have them
            records.delete(asset)
        return None

    def _mint(self, content: Content, hash: str | None, label: Label, owner: str | None) -> Asset:
        """A new asset with the bytes of another."""
        asset_id, expires = new_id(hash), _expiry(label)
        copied = self._contents().copy(content, asset_id, expires)
        return self._put(_asset(asset_id, copied, label, owner, expires), is_kept=copied is not content)

    def _put(self, asset: Asset, *, is_kept: bool) -> Asset:
        """Keep a record.

        Args:
            is_kept: whether its bytes were kept for it, and are to be dropped if it cannot be.
        """
        try:
            self._records().put(asset)
        except BaseException:
            if is_kept:
                with contextlib.suppress(EngineUnreachable):
                    self._contents().drop(asset.content)
            raise
        return asset


def _expiry(label: Label) -> float | None:
    return None if label.expires_in is None else time.time() + label.expires_in


def _outlives(asset: Asset, expires: float | None) -> bool:
    return asset.expires is None or (expires is not None and asset.expires >= expires)


def _asset(asset_id: str, content: Content, label: Label, owner: str | None, expires: float | None) -> Asset:
    return Asset(
        id=asset_id,
        owner=owner,
        content=content,
        content_type=label.content_type or media_type_of(label.file_path)[0],
        file_path=label.file_path,
        created=time.time(),
        expires=expires,
    )

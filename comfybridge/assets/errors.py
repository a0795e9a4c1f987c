"""What can be wrong with an asset."""

from __future__ import annotations

from comfybridge.errors import BridgeError, NotFound


class UnknownAsset(NotFound):
    """There is no such asset of that owner, or not any more."""


class UnknownContent(NotFound):
    """The owner has no asset with that hash."""

    type = "blob_not_found"


class ContentGone(NotFound):
    """The bytes of an asset are gone."""

    type = "output_unavailable"


class HashMismatch(BridgeError):
    """The bytes of an upload do not have the hash that came with them."""

    status = 409
    type = "hash_mismatch"


class AssetInUse(BridgeError):
    """The asset belongs to a job, which keeps it."""

    status = 409
    type = "asset_in_use"

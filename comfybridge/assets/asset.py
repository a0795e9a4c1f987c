"""An asset, and its record as the engine keeps it."""

from __future__ import annotations

import json
from dataclasses import dataclass

from comfybridge.files.stored import Place, place_from_dict, place_to_dict


class BrokenRecord(ValueError):
    """A record that cannot be read."""


@dataclass(frozen=True)
class Content:
    """The bytes of an asset.

    Attributes:
        hash: `blake3:HEX`; None where it is not known.
        size: in bytes.
        name: the file's name in the bridge's folder on any ComfyUI; the same name means the same bytes.
        place: where they are; None for those that could not be kept, and for a text in `text`.
        until: when they are deleted whether or not they are referred to, in seconds since 1970; None: never.
        text: the bytes themselves, of a short text that a job has made.
    """

    hash: str | None
    size: int
    name: str
    place: Place | None
    until: float | None = None
    text: bytes | None = None


@dataclass(frozen=True)
class Asset:
    """A file under a name of its owner's. Times are in seconds since 1970.

    Attributes:
        id: of an upload, a UUID; of an output, that of its job, with `-` and its place among the outputs.
        owner: the name of the caller's API key; None without keys.
        content_type: as its owner says, or as ComfyUI names the file.
        expires: when it is deleted; None: never.
        job_id: the job that has made it; None for an upload.
    """

    id: str
    owner: str | None
    content: Content
    content_type: str
    file_path: str
    created: float
    expires: float | None = None
    job_id: str | None = None

    def to_bytes(self) -> bytes:
        """The record of an upload."""
        content = self.content
        told = {
            "id": self.id,
            "owner": self.owner,
            "hash": content.hash,
            "size": content.size,
            "name": content.name,
            "place": None if content.place is None else place_to_dict(content.place),
            "until": content.until,
            "content_type": self.content_type,
            "file_path": self.file_path,
            "created": self.created,
            "expires": self.expires,
        }
        return json.dumps(told).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Asset:
        """The asset of a record. Raises BrokenRecord."""
        try:
            told = json.loads(data)
            content = Content(
                told["hash"], told["size"], told["name"], place_from_dict(told["place"]), told.get("until")
            )
            return cls(
                id=told["id"],
                owner=told["owner"],
                content=content,
                content_type=told["content_type"],
                file_path=told["file_path"],
                created=told["created"],
                expires=told["expires"],
            )
        except (KeyError, TypeError, ValueError) as error:
            raise BrokenRecord(f"not an asset: {type(error).__name__}") from None

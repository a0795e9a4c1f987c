"""Input files that are known by where their bytes are, and are brought from there to the ComfyUI that needs them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from comfybridge.request import InputFile


@dataclass(frozen=True)
class InFolder:
    """In the bridge's folder within a ComfyUI's input folder.

    Attributes:
        server: the ComfyUI's URL, without credentials.
        name: the file's name there, without the folder.
    """

    server: str
    name: str


@dataclass(frozen=True)
class InEngine:
    """A blob in the engine.

    Attributes:
        id: of the job or asset that it belongs to.
        name: which of its blobs it is.
    """

    id: str
    name: str


Place = InFolder | InEngine


def is_output(place: InEngine) -> bool:
    """Whether a blob is an output of a job, which only bridges may read."""
    return place.name.startswith("out-")


SUBFOLDER = "comfybridge"  # the bridge's folder within ComfyUI's input folder


class OutOfReach(LookupError):
    """The bytes are on a ComfyUI that does not answer."""


# Opens the bytes that are at a place. Raises LookupError, then or while it is read, if they can't be had.
OpenPlace = Callable[[Place], Iterable[bytes]]


def place_to_dict(place: Place) -> dict[str, Any]:
    """A place as JSON."""
    if isinstance(place, InFolder):
        return {"server": place.server, "name": place.name}
    return {"blob": [place.id, place.name]}


def place_from_dict(told: Mapping[str, Any]) -> Place:
    """The place that `place_to_dict` described. Raises KeyError, TypeError or ValueError for anything else."""
    if "server" in told:
        return InFolder(str(told["server"]), str(told["name"]))
    blob_id, name = told["blob"]
    return InEngine(str(blob_id), str(name))


@dataclass(frozen=True)
class StoredInput(InputFile):
    """An input file whose bytes are at a place; they are not held in memory.

    Attributes:
        name: its name for inputs of nodes, on any ComfyUI; the graph has it already. The same name means the same
            bytes.
        data: empty.
        place: where its bytes are.
        size: in bytes.
        shown: its name for people.
        open_place: opens its place; None until it is known by whom.
    """

    data: bytes = field(default=b"", repr=False)
    place: Place = InFolder("", "")
    size: int = 0
    shown: str = ""
    open_place: OpenPlace | None = field(default=None, repr=False, compare=False)

    def chunks(self) -> Iterable[bytes]:
        """Its bytes. Raises LookupError, then or while they are read, if they can't be had."""
        if self.open_place is None:
            raise LookupError("nobody knows how to open it")
        return self.open_place(self.place)

"""Where an output file lies on ComfyUI, and the name under which it is returned.

A node may give its file any name: one from another system (`renders\\cat` is a file name on Linux), a prompt, a path.
The file is requested under its own name, and ComfyUI decides whether it lies in its folders. It is returned under
another name if its own is unsuitable for saving.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from comfybridge.comfyui.client import ComfyUIClient
from comfybridge.comfyui.download import Download
from comfybridge.deadline import Deadline
from comfybridge.errors import FileUnusable
from comfybridge.saving import safe_name

# the folders from which ComfyUI serves files (server.py: view_image)
_FOLDERS = ("output", "temp", "input")
# separators of folders, drives, control characters and halves of characters
_UNFIT = re.compile("[\x00-\x1f\x7f/\\\\\ud800-\udfff]|^[A-Za-z]:")
_UNFIT_FOLDER = re.compile("^[A-Za-z]:|[\x00-\x1f\x7f\ud800-\udfff]")
# ComfyUI's /view refuses the first anywhere in a name, and cannot put the others into a header.
_UNSERVED = re.compile(r"\.\.|[\r\n]")
_SEPARATORS = re.compile(r"[/\\]+")
_ROOT = re.compile(r"[/\\]|[A-Za-z]:[/\\]")
_OTHER_MACHINE = re.compile(r"[/\\]{2}")


@dataclass(frozen=True)
class OutputPlace:
    """The place that a node reports for its file.

    Attributes:
        filename: the file's own name, without folders, although backslashes in it may separate folders.
        subfolder: the folder it lies in, below ComfyUI's folder of that `type`, or from the root of the disk.
        type: `output`, `temp` or `input`.
    """

    filename: str
    subfolder: str
    type: str

    @property
    def shown_filename(self) -> str:
        """The name under which the file is returned: its own, if that is suitable."""
        return safe_name(self.filename) if _UNFIT.search(self.filename) else self.filename

    @property
    def shown_subfolder(self) -> str:
        """The folder to report; empty for an absolute path, which would reveal where ComfyUI is installed."""
        if self.is_absolute:
            return ""
        parts = _SEPARATORS.split(self.subfolder)
        if ".." in parts:
            parts = posixpath.normpath("/".join(parts)).split("/")
        elif not _UNFIT_FOLDER.search(self.subfolder):
            return self.subfolder
        return "/".join(safe_name(part) for part in parts if part not in ("", "."))

    @property
    def is_absolute(self) -> bool:
        """Whether its folder is counted from the root of ComfyUI's disk."""
        return _ROOT.match(self.subfolder) is not None

    @property
    def has_refused_name(self) -> bool:
        """Whether ComfyUI saves files under that name but does not serve them."""
        return _UNSERVED.search(self.filename) is not None and ".." not in _SEPARATORS.split(self.filename)

    @property
    def why_not_served(self) -> str:
        """Why ComfyUI does not serve the file."""
        if self.has_refused_name:
            return "has two dots in a row or a line break in its name, and ComfyUI serves no such file"
        return "lies in none of ComfyUI's folders"

    def is_served(self, client: ComfyUIClient, deadline: Deadline) -> bool:
        """Whether ComfyUI serves the file; ComfyUI is asked only if its name leaves that open.

        Raises:
            ComfyUIError, ComfyUIUnreachable, TimedOut: ComfyUI could not be asked.
        """
        if not self._may_be_served:
            return False
        if not self.is_absolute:
            return True
        return client.look(self.filename, self.subfolder, self.type, deadline) != "refused"

    def view(self, client: ComfyUIClient, deadline: Deadline, part: str | None = None) -> Download:
        """Begin to download the file.

        Args:
            part: as `ComfyUIClient.view` takes it.

        Raises:
            ComfyUIError: ComfyUI does not have the file, or does not serve it.
            ComfyUIUnreachable, TimedOut: ComfyUI could not be asked.
        """
        place = self._on_its_system(client, deadline)
        return client.view(place.filename, place.subfolder, place.type, deadline, part=part)

    def is_there(self, client: ComfyUIClient, deadline: Deadline) -> bool:
        """Whether ComfyUI still has the file; raises what `view` raises."""
        place = self._on_its_system(client, deadline)
        return client.look(place.filename, place.subfolder, place.type, deadline) == "there"

    def _on_its_system(self, client: ComfyUIClient, deadline: Deadline) -> OutputPlace:
        """The place as ComfyUI's operating system reads it."""
        if "\\" not in self.filename or not client.is_on_windows(deadline):
            return self
        # ComfyUI would look for the part after the last one in the subfolder
        place = _place(self.filename.replace("\\", "/"), self.subfolder, self.type)
        if not place._may_be_served:
            raise FileUnusable(f"The output file {self.shown_filename!r} {place.why_not_served}.")
        return place

    @property
    def _may_be_served(self) -> bool:
        return (
            self.filename not in ("", ".")
            and not _UNSERVED.search(self.filename)
            and not re.search("[\x00\ud800-\udfff]", self.filename + self.subfolder)
            and self.type in _FOLDERS
            and not _leads_out(self.subfolder)
        )


def output_place(entry: Mapping[str, Any]) -> OutputPlace | None:
    """The place that a node's `{filename, subfolder, type}` names; None for an entry of another shape."""
    filename = entry.get("filename")
    if not isinstance(filename, str):
        return None
    return _place(filename, str(entry.get("subfolder") or ""), str(entry.get("type") or "output"))


def _place(filename: str, subfolder: str, type: str) -> OutputPlace:
    """The place of a file; ComfyUI ignores folders in a filename, so they are put into the subfolder."""
    folders, slash, name = filename.rpartition("/")
    if slash:
        is_whole_path = _ROOT.match(filename) is not None
        subfolder = (folders or "/") if is_whole_path or not subfolder else f"{subfolder}/{folders}"
    return OutputPlace(name, subfolder, type)


def _leads_out(subfolder: str) -> bool:
    """Whether a folder is certainly outside: on another machine, or above the base folder."""
    if _OTHER_MACHINE.match(subfolder):
        return True
    depth = 0
    for part in _SEPARATORS.split(subfolder):
        depth += -1 if part == ".." else part not in ("", ".")
        if depth < 0:
            return True
    return False

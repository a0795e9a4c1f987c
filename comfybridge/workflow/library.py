"""The folder of templates: `NAME.json`, and beside it a parameter file if its owner wrote one.

Every look at it compares the files' stamps and reads again what changed, so that a template can be added, changed
or removed while the service runs. Where the files of a template have not changed, no others are looked at for it.
A broken one is reported and does not affect the others. What the editor saved stays as it is until a server is there.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path

from comfybridge.errors import BrokenWorkflow, InvalidWorkflow, UnknownWorkflow
from comfybridge.workflow.named import named_template
from comfybridge.workflow.parameter_file import ParameterFile
from comfybridge.workflow.reading import read_json, read_yaml
from comfybridge.workflow.template import Template
from comfybridge.workflow.unconverted import Unconverted, read_workflow
from comfybridge.workflow.wording import clip, listed, nearest

log = logging.getLogger(__name__)

GRAPH = ".json"
PARAMETERS = (".params.json", ".yaml", ".yml")
SETTING = "COMFYBRIDGE_WORKFLOWS_DIR"
# file systems stamp in steps of up to some milliseconds: a file written this recently may change under its stamp
SETTLED_AFTER = 1.0

Stamp = tuple[int, int, int]


@dataclass(frozen=True)
class _Entry:
    """What became of a template's files."""

    stamps: dict[str, Stamp]
    settled: bool
    template: Template | Unconverted | None
    error: str


class Library:
    """The templates of a folder. Safe to share between threads."""

    def __init__(self, directory: Path) -> None:
        self._directory = Path(directory)
        self._lock = threading.Lock()
        self._entries: dict[str, _Entry] = {}
        self._missing = False

    def get(self, name: str) -> Template | Unconverted:
        """A template by its name.

        Raises:
            UnknownWorkflow: no template has that name; the message lists the existing ones.
            BrokenWorkflow: its files are broken, and how.
        """
        known = self.known(name)
        if known is not None:
            return known
        entries = self._look()
        entry = entries.get(name) if isinstance(name, str) else None
        if entry is None:
            said = self._unknown(name, [each for each in entries if entries[each].template])
            raise UnknownWorkflow(said, field="workflow")
        if entry.template is None:
            raise BrokenWorkflow(f"The workflow {name} is broken: {entry.error}")
        return entry.template

    def known(self, name: str) -> Template | Unconverted | None:
        """A template whose files have not changed since they were read; None if that can't be told by them alone."""
        entry = self._entries.get(name) if isinstance(name, str) else None
        if entry is None or not entry.settled:
            return None
        for ending in (GRAPH, *PARAMETERS):
            file_name = name + ending
            try:
                stamp = _stamp_of(os.stat(os.path.join(self._directory, file_name)))
            except OSError:  # as of the files that it does not have
                stamp = None
            if stamp != entry.stamps.get(file_name):
                return None
        return entry.template

    def names(self) -> list[str]:
        """The names of the templates that can be used, sorted."""
        return [template.name for template in self.templates()]

    def templates(self) -> list[Template | Unconverted]:
        """The templates that can be used, by name."""
        entries = self._look()
        return [entry.template for _, entry in sorted(entries.items()) if entry.template is not None]

    def broken(self) -> list[dict[str, str]]:
        """The others, each as `{"name", "error"}`."""
        entries = self._look()
        return [{"name": name, "error": entry.error} for name, entry in sorted(entries.items()) if entry.error]

    @property
    def is_missing(self) -> bool:
        """Whether the folder does not exist or can't be read."""
        self._look()
        return self._missing

    def _unknown(self, name: object, names: list[str]) -> str:
        if self._missing:
            return f"There is no workflow '{clip(name)}': the folder that {SETTING} names does not exist."
        if not names:
            return (
                f"There is no workflow '{clip(name)}': the folder that {SETTING} names contains no working workflow."
            )
        close = nearest(name, names)
        hint = f"did you mean {close}? A" if close else "a"
        return f"There is no workflow '{clip(name)}'; {hint}vailable are {listed(sorted(names), name)}."

    def _look(self) -> dict[str, _Entry]:
        with self._lock:
            found = self._scan()
            fresh: dict[str, _Entry] = {}
            for name, stamps in found.items():
                known = self._entries.get(name)
                if known is not None and known.settled and known.stamps == stamps:
                    fresh[name] = known
                    continue
                fresh[name] = self._load(name, stamps)
                if fresh[name].error and (known is None or known.error != fresh[name].error):
                    log.warning("The workflow %s is broken: %s", name, fresh[name].error)
            self._entries = fresh
            return fresh

    def _scan(self) -> dict[str, dict[str, Stamp]]:
        """The stamps of each template's files, by the template's and the file's name."""
        found: dict[str, dict[str, Stamp]] = {}
        try:
            with os.scandir(self._directory) as entries:
                self._missing = False
                for entry in entries:
                    name = _template_name(entry.name)
                    stamp = _stamp(entry) if name else None
                    if name and stamp:
                        found.setdefault(name, {})[entry.name] = stamp
        except OSError:
            self._missing = True
        return found

    def _load(self, name: str, stamps: dict[str, Stamp]) -> _Entry:
        settled = all(abs(time.time() - stamp[0] / 1e9) > SETTLED_AFTER for stamp in stamps.values())
        try:
            return _Entry(stamps, settled, self._read(name, sorted(stamps)), "")
        except InvalidWorkflow as error:
            return _Entry(stamps, settled, None, error.message)

    def _read(self, name: str, files: list[str]) -> Template | Unconverted:
        graph_file = name + GRAPH
        if graph_file not in files:
            raise InvalidWorkflow(f"{files[0]} has no {graph_file} beside it.")
        parameter_files = [file for file in files if file != graph_file]
        if len(parameter_files) > 1:
            raise InvalidWorkflow(f"{' and '.join(parameter_files)} both declare its parameters; keep one of them.")
        try:
            workflow = read_workflow(read_json(self._directory / graph_file))
        except InvalidWorkflow as error:
            prefix = "" if error.message.startswith(graph_file) else f"{graph_file}: "
            raise InvalidWorkflow(prefix + error.message) from None
        parameter_file = self._parameter_file(parameter_files[0]) if parameter_files else None
        if isinstance(workflow, Unconverted):
            return replace(workflow, name=name, parameter_file=parameter_file)
        return named_template(name, workflow, parameter_file)

    def _parameter_file(self, name: str) -> ParameterFile:
        path = self._directory / name
        return ParameterFile(name, read_json(path) if name.endswith(GRAPH) else read_yaml(path))


def _template_name(file_name: str) -> str | None:
    """The template that a file belongs to; None for files that belong to none, hidden ones among them."""
    if file_name.startswith(".") or not file_name.isprintable():
        return None
    ending = next((each for each in (*PARAMETERS, GRAPH) if file_name.endswith(each)), None)
    return file_name[: -len(ending)] or None if ending else None


def _stamp(entry: os.DirEntry[str]) -> Stamp | None:
    try:
        if not entry.is_file():
            return None
        return _stamp_of(entry.stat())
    except OSError:  # removed since, or a link to nowhere
        return None


def _stamp_of(status: os.stat_result) -> Stamp:
    return status.st_mtime_ns, status.st_size, status.st_ino

"""What changed between the ComfyUI versions the simulator can pose as."""

import re
from dataclasses import dataclass

NEWEST = "0.33.0"
OLDEST = "0.3.64"
"""The versions whose behaviour the contract tests hold against real servers."""

FIRST = "0.3.45"
"""The first whose prompts bear the ids that clients give them. Nothing speaks to older ones."""


@dataclass(frozen=True)
class Version:
    """A ComfyUI version number such as "0.33.0", and what it can do. Raises ValueError for what is no such number."""

    text: str

    def __post_init__(self) -> None:
        if not re.fullmatch(r"\d+(\.\d+)*", self.text):
            raise ValueError(f"{self.text!r} is not a version number such as {NEWEST}")
        if not self.reaches(FIRST):
            raise ValueError(f"{self.text} is older than {FIRST}, the first version that can be posed as")

    @property
    def _numbers(self) -> tuple[int, ...]:
        return _numbers(self.text)

    def reaches(self, first: str) -> bool:
        """Whether what came with the version `first` is in this one."""
        return self._numbers >= _numbers(first)

    @property
    def aims_interrupts(self) -> bool:
        """Whether POST /interrupt minds the `prompt_id` it is given."""
        return self._numbers >= (0, 3, 57)

    @property
    def is_modern(self) -> bool:
        """Whether it behaves as 0.33.0 does, else as 0.3.64, where the two differ and no exact version is known."""
        return self._numbers >= (0, 19)

    @property
    def stamps_prompts(self) -> bool:
        """Whether POST /prompt adds `create_time` (milliseconds) to `extra_data`."""
        return self._numbers >= (0, 3, 69)

    @property
    def lists_jobs(self) -> bool:
        """Whether there are GET /api/jobs and /api/jobs/ID."""
        return self._numbers >= (0, 6)

    @property
    def cancels_jobs(self) -> bool:
        """Whether there are POST /api/jobs/ID/cancel and /api/jobs/cancel."""
        return self._numbers >= (0, 26)

    @property
    def takes_preview_methods(self) -> bool:
        """Whether `preview_method` in `extra_data` decides on the previews of that prompt."""
        return self._numbers >= (0, 13)

    @property
    def remembers_only_the_run(self) -> bool:
        """Whether the history lists only what the prompt executed or announced, not all else that is cached."""
        return self._numbers >= (0, 3, 68)

    @property
    def replaces_nodes(self) -> bool:
        """Whether retired node classes are replaced, and GET /node_replacements tells by what."""
        return self._numbers >= (0, 14)

    @property
    def names_missing_nodes(self) -> bool:
        """Whether an unknown node class is refused as `missing_node_type`."""
        return self._numbers >= (0, 13)

    @property
    def finds_cycles(self) -> bool:
        """Whether a cycle is refused as `dependency_cycle`, with the nodes in it."""
        return self._numbers >= (0, 20)

    @property
    def demands_uuids(self) -> bool:
        """Whether a `prompt_id` that is not a canonical UUID is refused."""
        return self.is_modern

    @property
    def hides_secrets(self) -> bool:
        """Whether keys to partner nodes leave `extra_data` before the queue shows it, and not only in the history."""
        return self.is_modern

    @property
    def numbers_plainly(self) -> bool:
        """Whether savers of sounds write `x_00001.flac`, without a `_` behind the number."""
        return self._numbers >= (0, 21)

    @property
    def checks_options(self) -> bool:
        """Whether choices given as `options` are checked before the graph runs."""
        return self.is_modern


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))

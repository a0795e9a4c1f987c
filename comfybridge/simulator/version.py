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
    """A ComfyUI version such as "0.33.0", with its features. Raises ValueError for anything else."""

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
        """Whether this version has the features of the version `first`."""
        return self._numbers >= _numbers(first)

    @property
    def aims_interrupts(self) -> bool:
        """Whether POST /interrupt respects its `prompt_id`."""
        return self._numbers >= (0, 3, 57)

    @property
    def is_modern(self) -> bool:
        """Whether it behaves like 0.33.0 or like 0.3.64 in changes whose exact version is unknown."""
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
        """Whether `preview_method` in `extra_data` determines the previews of that prompt."""
        return self._numbers >= (0, 13)

    @property
    def remembers_only_the_run(self) -> bool:
        """Whether the history lists only outputs that the prompt made or announced, not all cached ones."""
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
    def throttles_progress(self) -> bool:
        """Whether a node's progress is told only now and then, but for its first step, its last, and pictures."""
        return self._numbers >= (0, 9, 2)

    @property
    def demands_uuids(self) -> bool:
        """Whether a `prompt_id` that is not a canonical UUID is refused."""
        return self.is_modern

    @property
    def hides_secrets(self) -> bool:
        """Whether the queue, and not only the history, omits keys for partner nodes from `extra_data`."""
        return self.is_modern

    @property
    def numbers_plainly(self) -> bool:
        """Whether savers of sounds write `x_00001.flac`, without a `_` after the number."""
        return self._numbers >= (0, 21)

    @property
    def checks_options(self) -> bool:
        """Whether choices given as `options` are checked before the graph runs."""
        return self.is_modern


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))

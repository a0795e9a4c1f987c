"""What changed between the ComfyUI versions the simulator can pose as."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Version:
    """A ComfyUI version number such as "0.3.64", and what it can do."""

    text: str

    @property
    def _numbers(self) -> tuple[int, ...]:
        return tuple(int(part) for part in self.text.split("."))

    @property
    def takes_prompt_ids(self) -> bool:
        """Whether POST /prompt keeps the `prompt_id` a client has chosen."""
        return self._numbers >= (0, 3, 45)

    @property
    def aims_interrupts(self) -> bool:
        """Whether POST /interrupt minds the `prompt_id` it is given."""
        return self._numbers >= (0, 3, 57)

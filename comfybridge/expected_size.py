"""The expected size of pictures, and the warning about those with another size."""

from __future__ import annotations

from dataclasses import dataclass

LATENT_SLACK = 8  # pixels: sides of latents are rounded to multiples of it


@dataclass(frozen=True)
class ExpectedSize:
    """The size that pictures should have, in pixels.

    Attributes:
        width, height: None: any.
        is_scaled: whether the graph makes its pictures larger or smaller after that; then only proportions count.
        max_size: the most pixels that either side may have in the answer, if that is limited.
    """

    width: int | None
    height: int | None
    is_scaled: bool = False
    max_size: int | None = None

    def fits(self, width: int, height: int) -> bool:
        """Whether a picture has the expected size."""
        both = (self.width, self.height)
        limited = self.max_size is not None and max(width, height) >= self.max_size
        if self.is_scaled or (limited and max(both[0] or 0, both[1] or 0) >= (self.max_size or 0)):
            if both[0] is None or both[1] is None:
                return True
            # scaling latents rounds sides to multiples of 8; limiting the answer rounds them to pixels
            slack = LATENT_SLACK if self.is_scaled else 1
            return abs(width * both[1] - height * both[0]) <= slack * max(both[0], both[1])
        return both[0] in (None, width) and both[1] in (None, height)

    def __str__(self) -> str:
        said = [f"{name} is {value}" for name, value in (("width", self.width), ("height", self.height)) if value]
        return " and ".join(said)


def size_warnings(expected: ExpectedSize | None, made: list[tuple[int, int]]) -> list[str]:
    """A warning if there are pictures and none has the expected size."""
    if expected is None or not made or any(expected.fits(*each) for each in made):
        return []
    sizes = list(dict.fromkeys(f"{width} x {height}" for width, height in made))
    what = "the picture is" if len(made) == 1 else "the pictures are"
    return [f"{expected}, but {what} {' and '.join(sizes[:3])} pixels large."]

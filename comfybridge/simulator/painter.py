"""The pictures: a scene drawn from prompt, seed and size, with all of them written on it.

A result shows which request it answers, and two results show whether they should be alike. The drawing depends only
on its arguments.
"""

import hashlib
import textwrap
from dataclasses import dataclass, field

from PIL import Image, ImageDraw, ImageFont, ImageOps

Color = tuple[int, int, int]


@dataclass(frozen=True)
class Scene:
    """The request to a sampler."""

    positive: str
    negative: str
    seed: int
    steps: int
    model: str
    settings: str = ""
    """Further settings, such as sampler and cfg: they colour the picture and are not written on it."""


@dataclass
class _Dice:
    """An endless supply of bytes that depends only on the scene, on every platform and Python version."""

    seed: str
    _pool: list[int] = field(default_factory=list)
    _rounds: int = 0

    def roll(self, sides: int) -> int:
        if len(self._pool) < 4:
            self._pool.extend(hashlib.sha256(f"{self.seed}/{self._rounds}".encode()).digest())
            self._rounds += 1
        value = int.from_bytes(bytes(self._pool[:4]), "big")
        del self._pool[:4]
        return value % max(sides, 1)

    def color(self) -> Color:
        return self.roll(256), self.roll(256), self.roll(256)


def paint(scene: Scene, width: int, height: int, index: int = 0) -> Image.Image:
    """The scene as an RGB picture of `width` x `height` pixels, without caption; `index`: place in the batch."""
    dice = _Dice(repr((scene, index)))
    picture = _sky(dice, width, height)
    _shapes(dice, picture)
    return picture


def write_caption(scene: Scene, picture: Image.Image, index: int = 0) -> None:
    """Writes the request on the picture, as much of it as fits on the lower half."""
    width, height = picture.size
    size = max(9, min(width, height) // 22)
    line_height = round(size * 1.3)
    columns = max(8, int(width * 1.8 / size))
    lines = _caption(scene, f"{width}x{height}", index, columns, room=max(1, height // 2 // line_height))
    font = ImageFont.load_default(size)
    draw = ImageDraw.Draw(picture)
    top = max(0, height - line_height * len(lines) - size // 2)
    draw.rectangle((0, top, width, height), fill=(20, 20, 24))
    for number, line in enumerate(lines):
        draw.text((size // 2, top + size // 4 + number * line_height), line, font=font, fill=(245, 245, 235))


def _sky(dice: _Dice, width: int, height: int) -> Image.Image:
    ramp = Image.linear_gradient("L").rotate(90 * dice.roll(4)).resize((width, height))
    return ImageOps.colorize(ramp, black=dice.color(), white=dice.color())


def _shapes(dice: _Dice, picture: Image.Image) -> None:
    draw = ImageDraw.Draw(picture)
    width, height = picture.size
    for _ in range(3 + dice.roll(5)):
        x, y = dice.roll(width), dice.roll(height)
        reach = 2 + dice.roll(min(width, height) // 3)
        box = (x - reach, y - reach, x + reach, y + reach)
        if dice.roll(2):
            draw.ellipse(box, fill=dice.color())
        else:
            draw.rectangle(box, fill=dice.color())


def _caption(scene: Scene, size: str, index: int, columns: int, room: int) -> list[str]:
    readable = columns * room  # more would not be visible, and wrapping one word of megabytes takes minutes
    prompt = textwrap.wrap(scene.positive[:readable], columns) or ["(no prompt)"]
    facts = [f"seed {scene.seed}" + (f" #{index}" if index else ""), f"{size}, {scene.steps} steps", scene.model]
    if scene.negative:
        facts.append("not: " + textwrap.shorten(scene.negative[:readable], columns, placeholder="..."))
    lines = prompt[: max(1, room - len(facts))] + facts
    return lines[:room]

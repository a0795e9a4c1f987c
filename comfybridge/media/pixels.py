"""Turns, scales and converts images of any mode."""

from __future__ import annotations

from PIL import Image

from comfybridge.media.containers import ORIENTATION, claims_too_much, without_prefix
from comfybridge.media.without_warnings import without_warnings

_SIXTEEN_BITS = ("I", "I;16", "I;16B", "I;16L", "I;16N")
# the operation that turns a picture upright, by EXIF orientation
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_PNG_MODES = ("L", "LA", "RGB", "RGBA", "I;16")


def upright(image: Image.Image) -> Image.Image:
    """The image rotated as its EXIF says; unchanged if the EXIF makes no sense."""
    if _claims_too_much(image):
        return image
    try:
        with without_warnings():
            orientation = image.getexif().get(ORIENTATION)
    except Exception:  # see `containers.read_exif`
        return image
    transpose = _TURNS.get(orientation) if isinstance(orientation, int) else None
    return image if transpose is None else image.transpose(transpose)


def _claims_too_much(image: Image.Image) -> bool:
    """Whether reading the EXIF would take far more memory than it has bytes; in a PNG it may be hex text."""
    block, text = image.info.get("exif"), image.info.get("Raw profile type exif")
    if block is None and isinstance(text, str):
        try:
            block = bytes.fromhex("".join(text.split("\n")[3:]))
        except ValueError:
            return True
    return isinstance(block, bytes) and claims_too_much(without_prefix(block))


def prepared(image: Image.Image) -> Image.Image:
    """The image in one of the modes L, LA, RGB, RGBA and I;16, in which it can be scaled.

    Palettes are looked up; a colour that stands for transparency becomes an alpha channel.
    """
    if image.mode in _SIXTEEN_BITS:
        return image if image.mode == "I;16" else image.convert("I;16")
    if image.mode == "La":
        return image.convert("LA")
    if image.mode == "1":
        return image.convert("LA" if "transparency" in image.info else "L")
    if image.mode in ("PA", "RGBa"):
        return image.convert("RGBA")
    if "transparency" in image.info:
        return image.convert("LA" if image.mode == "L" else "RGBA")
    if image.mode == "F":
        return image.convert("L")
    return image if image.mode in _PNG_MODES else image.convert("RGB")


def eight_bits(image: Image.Image) -> Image.Image:
    """The image with 8 bits per channel; Pillow's own conversion would clip all values above 255."""
    if image.mode != "I;16":
        return image
    return image.convert("I").point(lambda value: value * (1 / 257) + 0.5).convert("L")


def flattened(image: Image.Image, background: str) -> Image.Image:
    """The image without an alpha channel, on a colour (`#rrggbb`)."""
    if image.mode not in ("LA", "RGBA"):
        return image
    ground = Image.new("RGBA", image.size, background)
    ground.alpha_composite(image.convert("RGBA"))
    return ground.convert("RGB")


def scaled_down(image: Image.Image, most: int) -> Image.Image:
    """The image, with neither side longer than `most` pixels and its proportions kept; never enlarged."""
    longest = max(image.size)
    if longest <= most:
        return image
    width, height = (max(1, round(side * most / longest)) for side in image.size)
    return image.resize((width, height), Image.Resampling.LANCZOS)


def fitting_profile(profile: bytes | None, mode: str) -> bytes | None:
    """The ICC profile, if its colour space fits the mode (ICC.1, 7.2.6: the data colour space)."""
    if not profile:
        return None
    wanted = b"RGB " if mode.startswith("RGB") else b"GRAY"
    return profile if profile[16:20] == wanted else None

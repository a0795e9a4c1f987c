"""The values on the links of a graph, besides pictures: stand-ins for models, texts, latents and so on."""

from dataclasses import dataclass

from PIL import Image, ImageChops

from comfybridge.simulator.painter import Scene, paint, write_caption

Pictures = list[Image.Image]


@dataclass(frozen=True)
class Model:
    """A diffusion model, text encoder or VAE: just a name."""

    name: str


@dataclass(frozen=True)
class Conditioning:
    """An encoded prompt."""

    text: str


@dataclass(frozen=True)
class Sound:
    """A sound: `samples` are those of a WAV file, or all bytes of another file."""

    rate: int
    channels: int
    samples: bytes


@dataclass(frozen=True)
class Video:
    """A video that is still to be encoded."""

    pictures: Pictures
    fps: float
    audio: Sound | None = None


@dataclass(frozen=True)
class Latent:
    """A batch of latent pictures: the scene to paint, and the pictures to paint it over."""

    width: int
    height: int
    batch: int
    scene: Scene | None = None
    sources: tuple[Image.Image, ...] = ()
    denoise: float = 1.0
    mask: Image.Image | None = None

    def pictures(self) -> Pictures:
        """The decoded batch: the scene laid over the sources in the proportion of `denoise`."""
        return [self.picture(index) for index in range(self.batch)]

    def picture(self, index: int) -> Image.Image:
        """One decoded picture, RGB, of the latent's size in pixels."""
        size = (self.width, self.height)
        if self.sources:
            ground = self.sources[index % len(self.sources)].resize(size)
        else:
            ground = Image.new("RGB", size, (127, 127, 127))
        if self.scene is None:
            return ground
        painted = paint(self.scene, self.width, self.height, index)
        if self.sources and self.denoise < 1:
            painted = Image.blend(ground, painted, self.denoise)
        if self.mask is not None:
            painted = Image.composite(painted, ground, self.mask.resize(size))
        write_caption(self.scene, painted, index)  # last, so that it stays legible
        return painted

    @property
    def is_empty(self) -> bool:
        return self.scene is None and not self.sources


def inverted(picture: Image.Image) -> Image.Image:
    """The negative of a picture."""
    return ImageChops.invert(picture)

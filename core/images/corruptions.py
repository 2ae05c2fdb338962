"""Corruptions of radiographs in three levels, to measure how a model reacts to other image quality.

After the benchmark of common corruptions (Hendrycks & Dietterich, 2019, ICLR). Its corruptions and
strengths are made for photographs; the kinds and values here are ours: what differs between
radiography devices, their look-up tables and the way images are exported. Geometric parameters are
fractions of the side of the image, so that they mean the same at every image size.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image

LEVELS: Final = ("mild", "moderate", "severe")
Function = Callable[[np.ndarray, float, np.random.Generator], np.ndarray]


@dataclass(frozen=True)
class Corruption:
    """A kind of corruption.

    Attributes:
      function: takes pixels uint8 [h, w], the value of a level and a source of random numbers;
        returns uint8 [h, w].
      values: parameter of the function at each of LEVELS.
      parameter: what the value is.
    """

    function: Function
    values: tuple[float, float, float]
    parameter: str

    def value(self, level: str) -> float:
        """Returns the parameter at a level."""
        return self.values[LEVELS.index(level)]


def corrupt(pixels: np.ndarray, name: str, level: str, seed: int = 0) -> np.ndarray:
    """Applies one corruption to a gray image.

    Args:
      pixels: uint8 [h, w].
      name: one of CORRUPTIONS.
      level: one of LEVELS.
      seed: of the noise; the other corruptions are not random.

    Returns:
      uint8 [h, w].
    """
    kind = CORRUPTIONS[name]
    return kind.function(pixels, kind.value(level), np.random.default_rng(seed))


def gamma(pixels: np.ndarray, exponent: float, _: np.random.Generator) -> np.ndarray:
    """Raises gray levels, scaled to 0..1, to a power; above 1 the image becomes darker."""
    return _gray(255 * (pixels / 255.0) ** exponent)


def contrast(pixels: np.ndarray, factor: float, _: np.random.Generator) -> np.ndarray:
    """Multiplies the distance of every gray level from the mean of the image."""
    mean = pixels.mean() if pixels.size else 0.0
    return _gray((pixels - mean) * factor + mean)


def brightness(pixels: np.ndarray, shift: float, _: np.random.Generator) -> np.ndarray:
    """Adds to all gray levels, clipped at 0 and 255."""
    return _gray(pixels + shift)


def blur(pixels: np.ndarray, width: float, _: np.random.Generator) -> np.ndarray:
    """Applies a Gaussian filter; its standard deviation is a fraction of the longer side."""
    from scipy.ndimage import gaussian_filter

    sigma = width * max(pixels.shape)
    return _gray(gaussian_filter(pixels.astype(np.float64), sigma, mode="nearest"))


def noise(pixels: np.ndarray, sd: float, random: np.random.Generator) -> np.ndarray:
    """Adds Gaussian noise that is independent in every pixel; `sd` in gray levels."""
    return _gray(pixels + random.normal(0.0, sd, pixels.shape))


def jpeg(pixels: np.ndarray, quality: float, _: np.random.Generator) -> np.ndarray:
    """Encodes as JPEG and decodes again; quality 1 to 95 as in libjpeg."""
    from PIL import Image

    file = io.BytesIO()
    _image(pixels).save(file, "JPEG", quality=round(quality))
    return np.asarray(Image.open(file))


def resolution(pixels: np.ndarray, scale: float, _: np.random.Generator) -> np.ndarray:
    """Reduces the image to a fraction of its sides and enlarges it again, antialiased."""
    h, w = pixels.shape
    return _resized(_resized(pixels, _side(h, scale), _side(w, scale)), h, w)


def border(pixels: np.ndarray, width: float, _: np.random.Generator) -> np.ndarray:
    """Shrinks the image into a black frame; its width is a fraction of the sides, on each edge."""
    h, w = pixels.shape
    rows, columns = _side(h, 1 - 2 * width), _side(w, 1 - 2 * width)
    top, left = (h - rows) // 2, (w - columns) // 2
    framed = np.zeros_like(pixels)
    framed[top : top + rows, left : left + columns] = _resized(pixels, rows, columns)
    return framed


def crop(pixels: np.ndarray, width: float, _: np.random.Generator) -> np.ndarray:
    """Cuts a fraction of the sides off each edge and enlarges the center to the old size."""
    h, w = pixels.shape
    rows, columns = _side(h, 1 - 2 * width), _side(w, 1 - 2 * width)
    top, left = (h - rows) // 2, (w - columns) // 2
    return _resized(pixels[top : top + rows, left : left + columns], h, w)


CORRUPTIONS: Final[dict[str, Corruption]] = {
    # 1.2 is the ratio of the display gammas 2.2 and 1.8; 2.0 nearly that of gamma-coded and linear
    # gray levels (2.2), as when a look-up table is applied twice; 1.5 lies between.
    "gamma, darker": Corruption(gamma, (1.2, 1.5, 2.0), "exponent"),
    # The inverse of these, as when a look-up table is left out.
    "gamma, lighter": Corruption(gamma, (1 / 1.2, 1 / 1.5, 1 / 2.0), "exponent"),
    # The display window is 1.25, 1.5 and 2 times as wide; nothing is clipped.
    "contrast, lower": Corruption(contrast, (1 / 1.25, 1 / 1.5, 1 / 2.0), "factor"),
    # The window is narrower by the same factors: bright and dark parts saturate.
    "contrast, higher": Corruption(contrast, (1.25, 1.5, 2.0), "factor"),
    # The center of the window is off by 1/16, 1/8 and 1/4 of the gray range.
    "brightness, lower": Corruption(brightness, (-16.0, -32.0, -64.0), "gray levels"),
    "brightness, higher": Corruption(brightness, (16.0, 32.0, 64.0), "gray levels"),
    # About 1, 2 and 4 mm on a detector of 40 cm: focal spot, motion, a film out of contact.
    "blur": Corruption(blur, (0.0025, 0.005, 0.01), "sigma / side"),
    # 1, 2 and 4 % of the gray range after resizing, which averages out most of the noise of a
    # detector: 2 % is several times that of a usual exposure.
    "noise": Corruption(noise, (2.5, 5.0, 10.0), "sd, gray levels"),
    # Writers default to 75; 50 is a small web image, 25 shows blocks, 10 destroys fine texture.
    "JPEG": Corruption(jpeg, (50.0, 25.0, 10.0), "quality"),
    # A preview image enlarged again: at 224 pixels from 168, 112 and 56.
    "resolution": Corruption(resolution, (0.75, 0.5, 0.25), "scale"),
    # Frames of scanned films, screenshots and padded exports: the image keeps 95, 90 and 80 % of
    # its sides.
    "border": Corruption(border, (0.025, 0.05, 0.1), "width / side"),
    # Tighter collimation, the inverse of a border. More would cut off parts of the lungs.
    "crop": Corruption(crop, (0.025, 0.05, 0.1), "width / side"),
}


def _gray(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _side(side: int, scale: float) -> int:
    return max(1, round(side * scale))


def _image(pixels: np.ndarray) -> "Image":
    from PIL import Image

    return Image.fromarray(np.ascontiguousarray(pixels), "L")


def _resized(pixels: np.ndarray, rows: int, columns: int) -> np.ndarray:
    if pixels.shape == (rows, columns):
        return pixels
    from PIL import Image

    return np.asarray(_image(pixels).resize((columns, rows), Image.Resampling.BILINEAR))

"""Arrays of pixels that look like a chest X-ray, and arrays that are none."""

import io
from collections.abc import Callable

import numpy as np
from PIL import Image


def chest(
    seed: int = 0,
    height: int = 200,
    width: int = 240,
    low: int = 20,
    high: int = 230,
    gamma: float = 1.0,
) -> np.ndarray:
    """Draws dark air at both sides and two dark lungs beside a bright spine, with noise.

    Args:
      seed: of position, size and noise.
      height: pixels.
      width: pixels.
      low: darkest gray value.
      high: brightest gray value.
      gamma: exponent of the gray curve.

    Returns:
      uint8 [height, width].
    """
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width] / np.array([height, width])[:, None, None]
    body = np.exp(-(np.abs((x - 0.5) / 0.42) ** 8))
    lungs = sum(
        np.exp(-(((x - center) / 0.12) ** 2 + ((y - 0.45) / 0.28) ** 2))
        for center in (0.28 + rng.uniform(-0.02, 0.02), 0.72 + rng.uniform(-0.02, 0.02))
    )
    image = body * (0.75 - 0.55 * lungs + 0.25 * np.exp(-(((x - 0.5) / 0.06) ** 2)))
    image = np.clip(image + rng.normal(0, 0.02, image.shape), 0, 1) ** gamma
    image[10:20, 10:18] = 1.0  # side marker
    return np.rint(low + (high - low) * image).astype(np.uint8)


def mask(
    background: int = 0, foreground: int = 255, size: float = 0.3, quality: int | None = None
) -> np.ndarray:
    """Draws two ellipses, uint8 [200, 200]; through a JPEG of this quality, if any."""
    y, x = np.mgrid[0:200, 0:200] / 200
    inside = [((x - c) / size) ** 2 + ((y - 0.5) / (1.5 * size)) ** 2 < 1 for c in (0.3, 0.7)]
    pixels = np.where(inside[0] | inside[1], foreground, background).astype(np.uint8)
    if quality is None:
        return pixels
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=quality)
    return np.asarray(Image.open(out))


def photograph(seed: int = 0) -> np.ndarray:
    """Draws colored objects before a gray ground, uint8 [150, 200, 3]."""
    rng = np.random.default_rng(seed)
    rgb = np.repeat(rng.integers(60, 200, (150, 200, 1)), 3, axis=2).astype(np.float64)
    rgb += np.linspace(-50, 50, 200)[:, None]
    for _ in range(6):
        top, left = rng.integers(0, 75), rng.integers(0, 100)
        color = rng.permutation([rng.integers(0, 60), rng.integers(0, 256), rng.integers(180, 256)])
        rgb[top : top + 75, left : left + 70] = 0.3 * rgb[top : top + 75, left : left + 70] + (
            0.7 * color
        )
    return rgb.clip(0, 255).astype(np.uint8)


def luma(rgb: np.ndarray) -> np.ndarray:
    """Converts uint8 [height, width, 3] to gray."""
    return np.asarray(Image.fromarray(rgb).convert("L"))


def _with(pixels: np.ndarray, value: int, share: float) -> np.ndarray:
    """Returns pixels whose first rows have another value, as a marker has."""
    pixels = pixels.copy()
    pixels.ravel()[: int(share * pixels.size)] = value
    return pixels


def _annotated() -> np.ndarray:
    rgb = np.repeat(chest()[..., np.newaxis], 3, axis=2)
    rgb[20:60, 40:110] = (255, 0, 0)  # 6 % of the pixels
    return rgb


def _tinted() -> np.ndarray:
    return (chest()[..., np.newaxis] * np.array([0.85, 0.92, 1.0])).astype(np.uint8)


# name -> (pixels, expected problem)
CONTENT: dict[str, tuple[Callable[[], np.ndarray], str]] = {
    "chest": (chest, ""),
    "chest of three planes": (lambda: np.repeat(chest()[..., np.newaxis], 3, axis=2), ""),
    "tinted film": (_tinted, ""),
    "colored annotation": (_annotated, ""),
    "large black border": (lambda: np.pad(chest(), ((0, 0), (150, 150))), ""),
    "large white border": (lambda: np.pad(chest(), 40, constant_values=255), ""),
    "noise": (lambda: np.random.default_rng(0).integers(0, 256, (90, 90), np.uint8), ""),
    "black": (lambda: np.zeros((80, 90), np.uint8), "BLANK"),
    "gray": (lambda: np.full((80, 90), 128, np.uint8), "BLANK"),
    "white": (lambda: np.full((80, 90), 255, np.uint8), "BLANK"),
    "one color": (lambda: np.full((80, 90, 3), (200, 30, 30), np.uint8), "BLANK"),
    "hot pixel": (lambda: _with(np.zeros((80, 90), np.uint8), 255, 0.0002), "BLANK"),
    "black with a marker": (lambda: _with(np.zeros((80, 90), np.uint8), 255, 0.03), "LOW_CONTRAST"),
    "12 bits in 16": (lambda: chest() // 16, "LOW_CONTRAST"),
    "10 bits in 16": (lambda: chest() // 64, "LOW_CONTRAST"),
    "nearly white": (lambda: 241 + chest() // 17, "LOW_CONTRAST"),
    "12 bits in 16 with a marker": (lambda: _with(chest() // 16, 255, 0.05), "LOW_CONTRAST"),
    "mask": (mask, "FEW_GRAY_VALUES"),
    "mask as JPEG": (lambda: mask(quality=75), "FEW_GRAY_VALUES"),
    "labels": (lambda: (chest() // 64) * np.uint8(80), "FEW_GRAY_VALUES"),
    "dithered": (
        lambda: np.asarray(Image.fromarray(chest()).convert("1").convert("L")),
        "FEW_GRAY_VALUES",
    ),
    "photograph": (photograph, "COLOR_PHOTO"),
    "inverted": (lambda: 255 - chest(), "INVERTED"),
    "inverted, large": (lambda: 255 - chest(3, 900, 700), "INVERTED"),
}

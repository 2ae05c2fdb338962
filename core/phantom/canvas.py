"""Pixel grid in anatomical coordinates, and numerical helpers of the renderer."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]

U_HALF: Final = 2.0  # random fields cover |u| <= U_HALF ...
V_HALF: Final = 1.8  # ... and |v| <= V_HALF, independently of the canvas


@dataclass(frozen=True)
class Canvas:
    """Pixel grid of the anatomy, before projection to the detector.

    Attributes:
      scale: pixels per unit.
      u: float32 [1, columns], centers of the columns.
      v: float32 [rows, 1], centers of the rows.
      u0, v0: left and upper edge.
    """

    scale: float
    u: Field
    v: Field
    u0: float
    v0: float

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.v.shape[0], self.u.shape[1]

    def column(self, u: float) -> float:
        """Column (fractional, 0 is the center of the first one) at `u`."""
        return (u - self.u0) * self.scale - 0.5

    def row(self, v: float) -> float:
        """Row (fractional, 0 is the center of the first one) at `v`."""
        return (v - self.v0) * self.scale - 0.5

    def window(
        self, u0: float, v0: float, u1: float, v1: float
    ) -> tuple[tuple[slice, slice], "Canvas"]:
        """Returns slices and canvas of the part between two corners; it may be empty.

        Drawing small organs in their window only makes the renderer fast.
        """
        rows, columns = self.shape
        left = min(max(0, math.floor(self.column(u0))), columns)
        right = min(max(left, math.ceil(self.column(u1)) + 1), columns)
        top = min(max(0, math.floor(self.row(v0))), rows)
        bottom = min(max(top, math.ceil(self.row(v1)) + 1), rows)
        part = Canvas(
            self.scale,
            self.u[:, left:right],
            self.v[top:bottom],
            self.u0 + left / self.scale,
            self.v0 + top / self.scale,
        )
        return (slice(top, bottom), slice(left, right)), part


def make_canvas(scale: float, u0: float, v0: float, u1: float, v1: float) -> Canvas:
    """Returns a canvas from corner to corner with `scale` pixels per unit."""
    columns, rows = math.ceil((u1 - u0) * scale), math.ceil((v1 - v0) * scale)
    u = ((np.arange(columns) + 0.5) / scale + u0)[None, :]
    v = ((np.arange(rows) + 0.5) / scale + v0)[:, None]
    return Canvas(float(scale), u.astype(np.float32), v.astype(np.float32), u0, v0)


def ramp(x: Field, width: float) -> Field:
    """Smooth step: 0 for x <= 0, 1 for x >= width. float32, shape of `x`."""
    t = np.clip(x * np.float32(1.0 / width), 0, 1)
    return t * t * (3 - 2 * t)


def dome(q: Field) -> Field:
    """Chord length through a round body: sqrt(1 - q) for q < 1, else 0. float32, shape of `q`."""
    return np.sqrt(np.maximum(1 - q, 0))


def tube(x: Field, hollow: float = 0.55, core: float = 0.70) -> Field:
    """Chord length through a tubular bone at the relative distance `x` (1 is the edge).

    Marrow attenuates less than cortex: `hollow` of the chord within `core` is subtracted.
    """
    q = x * x
    return dome(q) - np.float32(hollow) * dome(q * np.float32(1 / core**2)) * np.float32(core)


def blur(field: Field, sigma: float) -> Field:
    """Gaussian blur, computed at reduced resolution for large sigma. float32, same shape."""
    from scipy import ndimage

    step = int(sigma // 2)
    if step < 2:
        return ndimage.gaussian_filter(field, sigma, mode="nearest", truncate=3.0)
    coarse = downsample(field, step)
    coarse = ndimage.gaussian_filter(coarse, sigma / step, mode="nearest", truncate=3.0)
    return resize(coarse, field.shape)


def downsample(field: Field, step: int) -> Field:
    """Averages blocks of `step` pixels; pads the last block with the edge values."""
    rows, columns = field.shape
    padded = np.pad(field, ((0, -rows % step), (0, -columns % step)), mode="edge")
    blocks = padded.reshape(padded.shape[0] // step, step, padded.shape[1] // step, step)
    return blocks.mean(axis=(1, 3))


def resize(field: Field, shape: tuple[int, ...]) -> Field:
    """Resizes to `shape` with bicubic interpolation. float32."""
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(field, dtype=np.float32))
    return np.asarray(image.resize((shape[1], shape[0]), Image.Resampling.BICUBIC))


def smooth_noise(rng: np.random.Generator, canvas: Canvas, wavelength: float) -> Field:
    """Smooth random field with mean 0 and standard deviation about 1.

    Args:
      rng: random generator.
      canvas: the grid.
      wavelength: distance of the knots, in anatomical units.

    Returns:
      float32, the shape of the canvas.
    """
    from PIL import Image

    knots = (int(2 * V_HALF / wavelength) + 3, int(2 * U_HALF / wavelength) + 3)
    coarse = Image.fromarray(rng.standard_normal(knots, dtype=np.float32))
    rows, columns = canvas.shape
    left, top = (canvas.u0 + U_HALF) / wavelength + 1, (canvas.v0 + V_HALF) / wavelength + 1
    reach = 1 / (canvas.scale * wavelength)
    box = (left, top, left + columns * reach, top + rows * reach)
    fine = coarse.resize((columns, rows), Image.Resampling.BICUBIC, box=box)
    return np.asarray(fine) * np.float32(1.5)

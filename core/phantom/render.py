"""Renders an 8-bit radiograph from anatomy, findings and exposure.

Simulates a detector: Beer-Lambert attenuation along parallel rays, scatter, quantum and electronic
noise; then logarithm, a window on the quantiles and a tone curve (see e.g. Seibert, Boone,
"X-ray imaging physics for nuclear medicine technologists, part 2",
J Nucl Med Technol 33, 2005).
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.phantom.anatomy import Anatomy, Exposure
from core.phantom.bones import ribs, shoulder_girdle, spine
from core.phantom.canvas import Canvas, Field, blur, make_canvas, smooth_noise
from core.phantom.chest import (
    air_depth,
    chest_geometry,
    other_gas,
    soft_tissue,
    vessel_tree,
)
from core.phantom.findings import Findings, consolidation, interstitial_pattern
from core.phantom.marks import burn_side_marker, burn_synthetic_mark

# The box of an opacity covers the pixels with at least this fraction of its peak.
BOX_LEVEL: Final = 0.33
# Pixels of the canvas per pixel of the image, linear. Anatomy is smoother than noise.
RESOLUTION: Final = 0.85


@dataclass(frozen=True)
class SyntheticRadiograph:
    """A rendered image.

    Attributes:
      pixels: uint8 [height, width].
      boxes: one (xmin, ymin, xmax, ymax) in pixels for each focal opacity; max is exclusive.
      lungs: bool [height, width], mask of the healthy lungs; None if not requested.
    """

    pixels: NDArray[np.uint8]
    boxes: tuple[tuple[int, int, int, int], ...]
    lungs: NDArray[np.bool_] | None = None


def image_shape(exposure: Exposure, size: int) -> tuple[int, int]:
    """Returns height and width in pixels; the width is `size`."""
    return max(1, round(size / exposure.aspect)), size


def render(
    anatomy: Anatomy,
    findings: Findings,
    exposure: Exposure,
    rng: np.random.Generator,
    *,
    size: int = 320,
    with_lungs: bool = False,
) -> SyntheticRadiograph:
    """Renders one radiograph.

    Args:
      anatomy: anatomy of the patient.
      findings: findings of the patient.
      exposure: parameters of the exposure.
      rng: random generator of the detector noise.
      size: width of the image in pixels.
      with_lungs: also return the mask of the lungs.

    Returns:
      The image with its boxes; deterministic.
    """
    shape = image_shape(exposure, size)
    canvas = _canvas_of(exposure, shape, size * RESOLUTION / exposure.field)
    attenuation, opacities, air = attenuation_map(anatomy, findings, exposure, canvas)
    to_canvas = _detector_to_canvas(exposure, canvas, shape)
    projected = _warp(attenuation, to_canvas, shape)
    pixels = develop(projected, exposure, rng, size)
    boxes = tuple(box for box in (_box(o, to_canvas, shape) for o in opacities) if box is not None)
    lungs = None
    if with_lungs:
        lungs = _warp(air, to_canvas, shape) > 0.25 * anatomy.air
    _collimate(pixels, exposure)
    if exposure.marker:
        burn_side_marker(pixels, exposure.marker, exposure.marker_at, exposure.marker_size)
    burn_synthetic_mark(pixels)
    return SyntheticRadiograph(pixels, boxes, lungs)


def attenuation_map(
    anatomy: Anatomy, findings: Findings, exposure: Exposure, canvas: Canvas
) -> tuple[Field, list[Field], Field]:
    """Line integrals of the attenuation of the patient.

    Returns:
      (attenuation in nepers, air lost for each consolidation, air of the healthy lungs in nepers);
      each float32 [rows, columns].
    """
    pattern = findings.interstitial
    breath = exposure.breath + (pattern.hyperinflation if pattern else 0.0)
    chest = chest_geometry(anatomy, canvas, exposure.yaw, breath)
    air = air_depth(anatomy, canvas, chest)
    tree = vessel_tree(anatomy, canvas)
    markings = np.float32(0.26 * anatomy.vessel_density) * tree
    left = np.ones(canvas.shape, np.float32)
    bronchi = np.zeros(canvas.shape, np.float32)
    opacities = []
    if pattern is not None:
        loss, streaks = interstitial_pattern(pattern, canvas, chest, tree)
        left *= 1 - loss
        markings = markings * (1 + streaks)
    for focus in findings.foci:
        lost = consolidation(focus, canvas, chest)
        left *= 1 - lost
        opacities.append(lost * air)
        if focus.bronchogram:
            bronchi += np.float32(0.28 * focus.bronchogram) * lost * tree
    # Vessels are visible against air, air-filled bronchi against fluid.
    remaining_air = air * np.clip(left * (1 - markings) + bronchi, 0, 1)
    body = soft_tissue(anatomy, canvas, chest)
    muscles = np.random.default_rng(anatomy.vessel_seed + 1)
    body *= 1 + np.float32(0.022) * smooth_noise(muscles, canvas, 0.30)
    bone = ribs(anatomy, canvas, chest) + spine(anatomy, canvas)
    bone += shoulder_girdle(anatomy, canvas)
    # Great vessels, thymus and heart are denser than the fat and muscle in `body`.
    heart = np.float32(0.16) * chest.heart
    total = body - remaining_air - other_gas(anatomy, canvas) * (body > 0.5) + heart
    total += bone * np.minimum(body, 1)
    return np.maximum(total, 0), opacities, air


def develop(
    attenuation: Field, exposure: Exposure, rng: np.random.Generator, size: int
) -> NDArray[np.uint8]:
    """Simulates detector and scanner: line integrals in nepers to uint8, both [height, width]."""
    from scipy import ndimage

    signal = np.exp(-attenuation)
    signal += np.float32(exposure.scatter) * blur(signal, 0.07 * size)
    # Smaller pixels receive fewer quanta; the light of the detector spreads to neighboring pixels.
    photons = np.float32(exposure.photons * (320 / size) ** 2)
    noise = rng.standard_normal(signal.shape, dtype=np.float32)
    noise *= np.sqrt(signal / photons + np.float32((8.0 / photons) ** 2))
    signal += ndimage.gaussian_filter(noise, 0.55, truncate=2.5) * np.float32(1.6)
    shown = -np.log(np.maximum(signal, 1e-4))
    shown += np.float32(exposure.sharpness) * (shown - blur(shown, max(0.6, size / 130)))
    # The window is set by the quantiles of the exposed body; air is nearly black.
    body = shown[::4, ::4]
    body = body[body > 0.5]
    if body.size < 16:
        body = shown.ravel()
    lung, bone = np.percentile(body, (10, 97))
    span = max(float(bone - lung), 0.1)
    low = float(lung) - (0.50 + 0.08 * exposure.black) * span
    high = float(bone) + (0.27 + 0.07 * exposure.white) * span
    steps = np.linspace(0, 1, 4096, dtype=np.float32) ** np.float32(exposure.gamma)
    tone = (255 * steps + 0.5).astype(np.uint8)
    shown -= np.float32(low)
    shown *= np.float32(4095 / (high - low))
    return tone[np.clip(shown, 0, 4095).astype(np.int16)]


def _canvas_of(exposure: Exposure, shape: tuple[int, int], scale: float) -> Canvas:
    """Returns a canvas that covers the field of an exposure."""
    half_u = exposure.field / 2
    half_v = half_u * shape[0] / shape[1]
    cos, sin = abs(math.cos(exposure.roll)), abs(math.sin(exposure.roll))
    # Two extra pixels for the interpolation.
    reach_u = half_u * cos + half_v * sin + 2 / scale
    reach_v = half_v * cos + half_u * sin + 2 / scale
    return make_canvas(
        scale,
        exposure.shift_u - reach_u,
        exposure.shift_v - reach_v,
        exposure.shift_u + reach_u,
        exposure.shift_v + reach_v,
    )


def _detector_to_canvas(
    exposure: Exposure, canvas: Canvas, shape: tuple[int, int]
) -> tuple[float, float, float, float, float, float]:
    """Affine map of pixel (x, y) of the image to (column, row) of the canvas: a b c, d e f."""
    height, width = shape
    zoom = exposure.field * canvas.scale / width
    cos, sin = zoom * math.cos(exposure.roll), zoom * math.sin(exposure.roll)
    middle_x, middle_y = (width - 1) / 2, (height - 1) / 2
    column, row = canvas.column(exposure.shift_u), canvas.row(exposure.shift_v)
    return (
        cos,
        -sin,
        column - cos * middle_x + sin * middle_y,
        sin,
        cos,
        row - sin * middle_x - cos * middle_y,
    )


def _warp(
    field: Field, affine: tuple[float, float, float, float, float, float], shape: tuple[int, int]
) -> Field:
    """Samples the canvas at the pixels of the image."""
    from PIL import Image

    a, b, c, d, e, f = affine
    # Pillow maps pixel centers: it adds 0.5 before and subtracts 0.5 after the map.
    data = (a, b, c + 0.5 - 0.5 * (a + b), d, e, f + 0.5 - 0.5 * (d + e))
    image = Image.fromarray(np.ascontiguousarray(field, dtype=np.float32))
    return np.array(
        image.transform(
            (shape[1], shape[0]), Image.Transform.AFFINE, data, Image.Resampling.BICUBIC
        )
    )


def _box(
    opacity: Field, affine: tuple[float, float, float, float, float, float], shape: tuple[int, int]
) -> tuple[int, int, int, int] | None:
    """Returns the box of an opacity in the image, or None if it is outside."""
    peak = float(opacity.max())
    if peak <= 0:
        return None
    rows, columns = np.nonzero(opacity >= BOX_LEVEL * peak)
    a, b, c, d, e, f = affine
    inverse = np.linalg.inv(np.array([[a, b], [d, e]]))
    x, y = inverse @ np.stack([columns - c, rows - f])
    height, width = shape
    # Half a pixel on each side: the extent of the pixels, not of their centers.
    x0, x1 = max(0, math.floor(x.min() + 0.5)), min(width, math.ceil(x.max() + 0.5))
    y0, y1 = max(0, math.floor(y.min() + 0.5)), min(height, math.ceil(y.max() + 0.5))
    if x1 - x0 < 2 or y1 - y0 < 2:
        return None
    return x0, y0, x1, y1


def _collimate(pixels: NDArray[np.uint8], exposure: Exposure) -> None:
    """Blackens the collimated borders, in place."""
    height, width = pixels.shape
    left, top, right, bottom = exposure.collimation
    pixels[: round(top * height)] = 0
    pixels[height - round(bottom * height) :] = 0
    pixels[:, : round(left * width)] = 0
    pixels[:, width - round(right * width) :] = 0

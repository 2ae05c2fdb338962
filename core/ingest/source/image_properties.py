"""Computes hashes, size and gray-value statistics of a valid image file."""

import hashlib
from dataclasses import dataclass

import numpy as np

from core.images.perceptual_hash import perceptual_hash
from core.images.validate_pillow import decode_valid, only_image_errors
from schema import features as f


@dataclass(frozen=True)
class ImageProperties:
    """Properties of a valid image file.

    Attributes:
      sha256: hex digest of the file.
      pixel_hash: digest of the displayed 8-bit gray pixels and their size, 32 hex digits.
      perceptual_hash: hex form of `core.images.perceptual_hash.perceptual_hash`.
      format: "jpeg" or "png".
      height: pixels, as displayed.
      width: pixels, as displayed.
      bytes: size of the file.
      stats: feature name -> value; see `schema.features`.
    """

    sha256: str
    pixel_hash: str
    perceptual_hash: str
    format: str
    height: int
    width: int
    bytes: int
    stats: dict[str, float]


def measure_image(data: bytes, max_pixels: int, min_side: int) -> ImageProperties:
    """Validates an image file and computes its properties.

    Args:
      data: content of the file.
      max_pixels: width times height at most.
      min_side: shorter side at least, pixels.

    Raises:
      ImageError: the file cannot be used. No other exception is raised.
    """
    with only_image_errors():
        kind, gray = decode_valid(data, max_pixels, min_side)
        width, height = gray.size
        pixels = hashlib.sha256(f"{width}x{height}:".encode())
        pixels.update(gray.tobytes())
        histogram = np.array(gray.histogram(), np.float64)
        return ImageProperties(
            sha256=hashlib.sha256(data).hexdigest(),
            pixel_hash=pixels.hexdigest()[:32],
            perceptual_hash=perceptual_hash(gray).hex(),
            format=kind,
            height=height,
            width=width,
            bytes=len(data),
            stats=gray_statistics(histogram, width / height),
        )


def gray_statistics(histogram: np.ndarray, aspect: float) -> dict[str, float]:
    """Computes statistics of an 8-bit gray image.

    Args:
      histogram: number of pixels per gray value, shape (256,), not all zero.
      aspect: width / height.

    Returns:
      Feature name -> value. The p-th percentile is the smallest value with at least p % of the
      pixels at or below it; entropy is Shannon's, in bits.
    """
    values = np.arange(256)
    share = histogram / histogram.sum()
    mean = float(share @ values)
    below = np.cumsum(histogram)
    present = share[share > 0]
    return {
        f.STATS_MEAN: round(mean, 4),
        f.STATS_STD: round(float(np.sqrt(max(share @ (values - mean) ** 2, 0.0))), 4),
        f.STATS_P01: float(np.searchsorted(below, 0.01 * below[-1])),
        f.STATS_P99: float(np.searchsorted(below, 0.99 * below[-1])),
        f.STATS_ENTROPY: round(max(float(-(present @ np.log2(present))), 0.0), 4),
        f.STATS_ASPECT: round(aspect, 6),
    }

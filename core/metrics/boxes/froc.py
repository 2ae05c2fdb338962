"""Free-response ROC curve: sensitivity against false positive boxes per image."""

from collections.abc import Sequence

import numpy as np

from core.metrics.boxes.matching import Boxes
from core.metrics.boxes.ranking import rank_boxes

# False positives per image of the LUNA16 challenge (Setio et al., 2017, Med. Image Anal. 42).
RATES = (1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8)
# IoU for a hit, the lowest of the challenge: position matters more than the exact edges.
OVERLAP = 0.4


def sensitivities(
    hits: np.ndarray,
    boxes: np.ndarray,
    true: np.ndarray,
    images: np.ndarray,
    rates: Sequence[float] = RATES,
) -> np.ndarray:
    """Computes the sensitivity at given rates of false boxes per image (Bunch et al., 1978).

    The curve is a step function, without interpolation.

    Args:
      hits: [r, s], totals of `RankedBoxes`.
      boxes: [r, s].
      true: [r].
      images: [r], number of images, with and without opacities.
      rates: k rates of false boxes per image.

    Returns:
      [r, k]; NaN without true boxes.
    """
    allowed = np.asarray(rates)[None] * images[:, None] + 1e-9  # [r, k]
    reached = ((boxes - hits)[:, :, None] <= allowed[:, None]).sum(axis=1)
    hits_at_rate = np.take_along_axis(np.pad(hits, ((0, 0), (1, 0))), reached, axis=1)
    return np.divide(
        hits_at_rate, true[:, None], out=np.full_like(hits_at_rate, np.nan), where=true[:, None] > 0
    )


def froc_points(
    truth: Boxes, boxes: Boxes, scores: Boxes, overlap: float = OVERLAP
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns false boxes per image, sensitivity and score [s] at each step; empty without hits.

    Arguments as in `ranking.rank_boxes`.
    """
    ranked = rank_boxes(truth, boxes, scores, overlap)
    (hits,), (boxes_above,), (true,) = ranked(np.ones((1, len(truth))))
    return (boxes_above - hits) / max(len(truth), 1), hits / max(true, 1), ranked.score

"""Free-response ROC: what is found against the false boxes that a reader must look at."""

from collections.abc import Sequence

import numpy as np

from components.evaluation.boxes.matching import Boxes
from components.evaluation.boxes.precision import rank

# The seven rates of the LUNA16 challenge (Setio et al. 2017, Med. Image Anal. 42).
RATES = (1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8)
# Where to look matters here more than the edge: the least overlap that the challenge counts.
OVERLAP = 0.4


def sensitivities(
    hits: np.ndarray,
    boxes: np.ndarray,
    true: np.ndarray,
    images: np.ndarray,
    rates: Sequence[float] = RATES,
) -> np.ndarray:
    """Largest share of true boxes found with at most so many false boxes per image.

    A step, not a line between points (Bunch et al. 1978, J. Appl. Photogr. Eng. 4, has the curve):
    what is told was reached.

    Args:
      hits: [r, s] of `RankedBoxes`.
      boxes: [r, s].
      true: [r].
      images: [r], all images, with an opacity and without.
      rates: k of them.

    Returns:
      [r, k]; NaN where there is no true box.
    """
    false = boxes - hits
    found = np.zeros((len(true), len(rates)))
    for k, rate in enumerate(rates):
        reached = (false <= (rate * images + 1e-9)[:, None]).sum(axis=1)
        if hits.shape[1]:
            last = hits[np.arange(len(hits)), np.maximum(reached - 1, 0)]
            found[:, k] = np.where(reached > 0, last, 0)
    return np.divide(found, true[:, None], out=np.full_like(found, np.nan), where=true[:, None] > 0)


def froc(
    truth: Boxes,
    boxes: Boxes,
    scores: Boxes,
    rates: Sequence[float] = RATES,
    overlap: float = OVERLAP,
) -> tuple[np.ndarray, float] | None:
    """Sensitivity at each rate of false boxes per image, and their mean.

    Args:
      truth: for each image the true boxes [k, 4].
      boxes: for each image the predicted boxes [m, 4], not cut by a threshold.
      scores: for each image their scores [m].
      rates: false boxes per image.
      overlap: a hit has more intersection over union than this.

    Returns:
      None where there is no true box.

    Raises:
      ValueError: lengths differ, or a box or score is not a number.
    """
    one = np.ones((1, len(truth)))
    found = sensitivities(*rank(truth, boxes, scores, overlap)(one), one.sum(axis=1), rates)[0]
    return (found, float(found.mean())) if np.isfinite(found).all() else None


def froc_points(
    truth: Boxes, boxes: Boxes, scores: Boxes, overlap: float = OVERLAP
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """False boxes per image, sensitivity and score [s] where it rises; empty without a hit."""
    ranked = rank(truth, boxes, scores, overlap)
    hits, every, true = ranked(np.ones((1, len(truth))))
    if not len(ranked.score):
        return np.empty(0), np.empty(0), np.empty(0)
    return (every[0] - hits[0]) / len(truth), hits[0] / true[0], ranked.score

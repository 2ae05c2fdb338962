"""Free-response ROC: sensitivity against false boxes per image."""

from collections.abc import Sequence

import numpy as np

from core.metrics.boxes.matching import Boxes
from core.metrics.boxes.ranking import rank_boxes

# The seven rates of the LUNA16 challenge (Setio et al. 2017, Med. Image Anal. 42).
RATES = (1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8)
# Position matters here more than the edge: the least overlap that the challenge counts.
OVERLAP = 0.4


def sensitivities(
    hits: np.ndarray,
    boxes: np.ndarray,
    true: np.ndarray,
    images: np.ndarray,
    rates: Sequence[float] = RATES,
) -> np.ndarray:
    """Largest share of true boxes found with at most so many false boxes per image.

    A step function, without interpolation (the curve: Bunch et al. 1978, J. Appl. Photogr. Eng. 4).

    Args:
      hits: [r, s] of `RankedBoxes`.
      boxes: [r, s].
      true: [r].
      images: [r], all images, with an opacity and without.
      rates: k of them.

    Returns:
      [r, k]; NaN where there is no true box.
    """
    allowed = np.asarray(rates)[None] * images[:, None] + 1e-9  # [r, k]
    reached = ((boxes - hits)[:, :, None] <= allowed[:, None]).sum(axis=1)
    found = np.take_along_axis(np.pad(hits, ((0, 0), (1, 0))), reached, axis=1)
    return np.divide(found, true[:, None], out=np.full_like(found, np.nan), where=true[:, None] > 0)


def froc_points(
    truth: Boxes, boxes: Boxes, scores: Boxes, overlap: float = OVERLAP
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """False boxes per image, sensitivity and score [s] where it rises; empty without a hit.

    Args: see `ranking.rank`.
    """
    ranked = rank_boxes(truth, boxes, scores, overlap)
    (hits,), (every,), (true,) = ranked(np.ones((1, len(truth))))
    return (every - hits) / max(len(truth), 1), hits / max(true, 1), ranked.score

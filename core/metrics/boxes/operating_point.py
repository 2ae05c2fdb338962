"""Chooses score threshold, box scale and kind of score on validation by the challenge score.

The challenge score is 0 for an image that has a predicted box but no opacity, while a missed box
lowers the score of its image only in part, so the threshold maximizes the challenge score itself.
Readers disagree on the edges of an opacity, and a smaller box overlaps more of their boxes; most
entrants of the challenge scaled their boxes by about 0.85.

All distinct thresholds are tried. Matches do not change when boxes of lower score are removed, so
one pass over the boxes in descending order of score gives the challenge score at every threshold.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from core.metrics.boxes.challenge import OVERLAPS, prefix_scores
from core.metrics.boxes.iou import resize_boxes
from core.metrics.boxes.matching import Boxes, PaddedBoxes, match_boxes, pad_boxes

Combine = Literal["heat", "product", "geometric"]
COMBINES: tuple[Combine, ...] = ("heat", "product", "geometric")
SHRINKS = tuple(round(0.7 + 0.025 * i, 3) for i in range(17))  # 0.7 to 1.1
# Thresholds within this difference of the best count as equal; the middle one is chosen.
PLATEAU = 0.001
_EQUAL = 1e-12


@dataclass(frozen=True)
class BoxOperatingPoint:
    """Decoding parameters chosen on validation.

    Attributes:
      threshold: a box is kept if its combined score is at or above it.
      shrink: factor for both sides of a box, about its center.
      combine: how the score of a box is computed, see `combined_scores`.
      score: challenge score on validation; None if no image counts.
      note: why the default is used; empty if the parameters were chosen.
    """

    threshold: float
    shrink: float
    combine: Combine
    score: float | None
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Returns JSON values."""
        return asdict(self)


def combined_scores(combine: Combine, heat: np.ndarray, image_score: np.ndarray) -> np.ndarray:
    """Combines the heat of boxes with the probability of their image (broadcast).

    "heat" is the heat alone, "product" is heat times probability, "geometric" is the square root of
    the product, which gives the same order.

    Raises:
      ValueError: unknown name.
    """
    if combine == "heat":
        return np.asarray(heat + 0 * image_score)
    if combine == "product":
        return np.asarray(heat * image_score)
    if combine == "geometric":
        return np.asarray(np.sqrt(np.maximum(heat * image_score, 0)))
    raise ValueError(f"unknown combine {combine!r}; choose one of {', '.join(COMBINES)}")


def choose_box_operating_point(
    truth: Boxes,
    boxes: Boxes,
    scores: Boxes,
    image_score: np.ndarray,
    *,
    shrinks: Sequence[float] = SHRINKS,
    combines: Sequence[Combine] = COMBINES,
    plateau: float = PLATEAU,
) -> BoxOperatingPoint:
    """Chooses combine, shrink and threshold on validation.

    Takes the best pair of combine and shrink; ties go to the first combine ("product" and
    "geometric" always tie). Among neighboring shrinks within `plateau` of the best, the middle one
    is taken; likewise for thresholds.

    Args:
      truth: for each image the true boxes [k, 4].
      boxes: for each image the decoded boxes [m, 4] after non-maximum suppression, before
        thresholding and scaling.
      scores: for each image their heat [m].
      image_score: float [n], calibrated probability that the image has an opacity.
      shrinks: candidate factors, ascending.
      combines: candidates for `combined_scores`.
      plateau: largest difference of the challenge score that counts as equal.

    Returns:
      The parameters. If validation has no true box or no hit: threshold 0.5, the shrink nearest to
      1, and a note.

    Raises:
      ValueError: a score is not finite, or there are no candidates.
    """
    if not len(shrinks) or not len(combines):
        raise ValueError("there must be at least one shrink factor and one way to combine")
    image = np.asarray(image_score, np.float64)
    if not np.isfinite(image).all():
        raise ValueError("image_score contains NaN or infinity")
    true, predicted = pad_boxes(truth, what="true box"), pad_boxes(boxes, scores)
    default_shrink = min(shrinks, key=lambda factor: abs(factor - 1))
    if not true.count.any():
        return BoxOperatingPoint(
            0.5, default_shrink, combines[0], None, "no true box on validation"
        )
    heat = np.where(predicted.is_box, predicted.scores, 0.0)
    ranks = [_ranked(predicted, combined_scores(c, heat, image[:, None])) for c in combines]
    table = np.zeros((len(combines), len(shrinks), 2))  # metric and threshold
    for j, factor in enumerate(shrinks):
        smaller = PaddedBoxes(
            resize_boxes(predicted.boxes, factor), predicted.scores, predicted.count
        )
        prefixes = prefix_scores(match_boxes(true, smaller, OVERLAPS), true.count)
        table[:, j] = [_over_thresholds(prefixes, *ranked, plateau) for ranked in ranks]
    tops = table[:, :, 0].max(axis=1)
    if tops.max() <= 0:
        note = "no predicted box hits a true one on validation"
        return BoxOperatingPoint(0.5, default_shrink, combines[0], 0.0, note)
    chosen = int(np.argmax(tops >= tops.max() - _EQUAL))  # the first of ties
    values = table[chosen, :, 0]
    at = sum(_around(values, int(values.argmax()), plateau)) // 2
    score, threshold = table[chosen, at].tolist()
    return BoxOperatingPoint(threshold, float(shrinks[at]), combines[chosen], score)


def _ranked(
    predicted: PaddedBoxes, scores: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns image, index in the image and combined score of all boxes, best first."""
    image, index = np.nonzero(predicted.is_box)
    score = scores[image, index]
    # Ties within an image keep the order by heat.
    order = np.lexsort((index, -score))
    return image[order], index[order], score[order]


def _over_thresholds(
    prefixes: np.ndarray, image: np.ndarray, index: np.ndarray, score: np.ndarray, plateau: float
) -> tuple[float, float]:
    """Returns the best mean over images, and the middle of the thresholds that give it."""
    if not len(score):
        return 0.0, 0.5
    start, before, after = prefixes[:, 0], prefixes[image, index], prefixes[image, index + 1]
    sums = np.nansum(start) + np.cumsum(after - np.nan_to_num(before))
    counts = np.isfinite(start).sum() + np.cumsum(np.isnan(before))
    ends = np.flatnonzero(np.diff(score, append=-np.inf))  # the last of each tie
    means = sums[ends] / counts[ends]
    # Any threshold above the next score keeps the boxes up to ends[i].
    upper = score[ends]
    lower = np.append(upper[1:], min(0.0, upper[-1]))
    best = int(means.argmax())
    low, high = _around(means, best, plateau)
    threshold = (upper[low] + lower[high]) / 2
    kept = int(np.searchsorted(-upper, -threshold, side="right")) - 1
    return float(means[kept]), float(threshold)


def _around(values: np.ndarray, best: int, plateau: float) -> tuple[int, int]:
    """Returns the first and last index of the run around the best within the plateau."""
    good = values >= values[best] - max(plateau, _EQUAL)
    low = high = best
    while low > 0 and good[low - 1]:
        low -= 1
    while high + 1 < len(values) and good[high + 1]:
        high += 1
    return low, high

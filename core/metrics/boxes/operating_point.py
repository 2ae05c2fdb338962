"""Score threshold, size of boxes and kind of score, chosen on validation by the challenge's metric.

The metric punishes a box on an image without an opacity with a 0, and a missed one with a part of
an image, so the threshold is chosen by the metric itself. Readers do not agree on the edge of an
opacity, and a smaller box overlaps more of their boxes; most entrants of the challenge shrank
theirs to about .85 of the side.

All distinct thresholds are tried, not a grid: a matching does not change when boxes of lower score
are left out, so one pass over the boxes, best first, gives the metric at each.
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
SHRINKS = tuple(round(0.7 + 0.025 * i, 3) for i in range(17))  # .7 to 1.1
# Thresholds whose metric is within this of the best count as equal; the middle of them is taken.
PLATEAU = 0.001
_EQUAL = 1e-12


@dataclass(frozen=True)
class BoxOperatingPoint:
    """Decoding parameters chosen on validation.

    Attributes:
      threshold: a box whose combined score is at or above it is kept.
      shrink: both sides of a box are multiplied by it, about the centre.
      combine: how the score of a box is computed, see `combined_scores`.
      score: the challenge's metric on validation with these; None where no image counts.
      note: why nothing could be chosen; empty where it could.
    """

    threshold: float
    shrink: float
    combine: Combine
    score: float | None
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Values for JSON."""
        return asdict(self)


def combined_scores(combine: Combine, heat: np.ndarray, image_score: np.ndarray) -> np.ndarray:
    """The score of boxes from their heat and the probability of their image (broadcast).

    "heat": the heat alone. "product": times the probability of the image. "geometric": the root of
    that, which orders as the product does.

    Raises:
      ValueError: another name.
    """
    if combine == "heat":
        return np.asarray(heat + 0 * image_score)
    if combine == "product":
        return np.asarray(heat * image_score)
    if combine == "geometric":
        return np.asarray(np.sqrt(np.maximum(heat * image_score, 0)))
    raise ValueError(f"unknown way {combine!r} to combine scores; one of {', '.join(COMBINES)}")


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

    The best pair of combine and shrink wins; of equal combines the first ("product" and "geometric"
    always are equal: they order boxes alike). Of neighbouring shrinks within `plateau` of the best
    the middle one is taken, and so with thresholds.

    Args:
      truth: for each image the true boxes [k, 4].
      boxes: for each image the decoded boxes [m, 4] after suppression, neither cut by a threshold
        nor shrunk.
      scores: for each image their heat [m].
      image_score: float [n], calibrated probability that the image has an opacity.
      shrinks: factors to try, ascending.
      combines: ways to combine, see `combined_scores`.
      plateau: differences of the metric up to it count as equal.

    Returns:
      the choice; with a note, threshold .5 and the shrink nearest to 1 where validation has no
      true box or no predicted box hits one.

    Raises:
      ValueError: a score is not finite, or there is nothing to try.
    """
    if not len(shrinks) or not len(combines):
        raise ValueError("there must be at least one shrink factor and one way to combine")
    image = np.asarray(image_score, np.float64)
    if not np.isfinite(image).all():
        raise ValueError("the score of an image is not a number")
    true, predicted = pad_boxes(truth, what="true box"), pad_boxes(boxes, scores)
    plain = min(shrinks, key=lambda factor: abs(factor - 1))
    if not true.count.any():
        return BoxOperatingPoint(0.5, plain, combines[0], None, "no true box on validation")
    heat = np.where(predicted.there, predicted.scores, 0.0)
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
        return BoxOperatingPoint(0.5, plain, combines[0], 0.0, note)
    chosen = int(np.argmax(tops >= tops.max() - _EQUAL))  # the first of equal ones
    values = table[chosen, :, 0]
    at = sum(_around(values, int(values.argmax()), plateau)) // 2
    score, threshold = table[chosen, at].tolist()
    return BoxOperatingPoint(threshold, float(shrinks[at]), combines[chosen], score)


def _ranked(
    predicted: PaddedBoxes, scores: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Image, index in the image and combined score of all boxes, best first."""
    image, index = np.nonzero(predicted.there)
    score = scores[image, index]
    # Within an image the order by heat stands, also where combined scores tie.
    order = np.lexsort((index, -score))
    return image[order], index[order], score[order]


def _over_thresholds(
    prefixes: np.ndarray, image: np.ndarray, index: np.ndarray, score: np.ndarray, plateau: float
) -> tuple[float, float]:
    """The best mean over images, and the middle of the thresholds that give it."""
    if not len(score):
        return 0.0, 0.5
    start, before, after = prefixes[:, 0], prefixes[image, index], prefixes[image, index + 1]
    sums = np.nansum(start) + np.cumsum(after - np.nan_to_num(before))
    counts = np.isfinite(start).sum() + np.cumsum(np.isnan(before))
    ends = np.flatnonzero(np.diff(score, append=-np.inf))  # the last of equal scores
    means = sums[ends] / counts[ends]
    # Any threshold above the next score keeps everything down to ends[i].
    upper = score[ends]
    lower = np.append(upper[1:], min(0.0, upper[-1]))
    best = int(means.argmax())
    low, high = _around(means, best, plateau)
    threshold = (upper[low] + lower[high]) / 2
    kept = int(np.searchsorted(-upper, -threshold, side="right")) - 1
    return float(means[kept]), float(threshold)


def _around(values: np.ndarray, best: int, plateau: float) -> tuple[int, int]:
    """First and last index of the run around the best that is within the plateau."""
    good = values >= values[best] - max(plateau, _EQUAL)
    low = high = best
    while low > 0 and good[low - 1]:
        low -= 1
    while high + 1 < len(values) and good[high + 1]:
        high += 1
    return low, high

"""Score threshold, size of boxes and kind of score, chosen on validation by the challenge's metric.

The metric punishes a box on an image without an opacity with a 0, and a missed one with a part of
an image: where to cut is a trade that only the metric itself can settle. Boxes of opacities are
drawn by people who do not agree on the edge, and a smaller box overlaps more of them; most entrants
of the challenge shrank theirs to about .85 of the side.

Every threshold that makes a difference is tried, not a grid: a matching does not change when boxes
of lower score are left out, so one pass over the boxes, best first, gives the metric everywhere.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from components.evaluation.boxes.challenge import OVERLAPS, scores_of_prefixes
from components.evaluation.boxes.iou import resize
from components.evaluation.boxes.matching import Boxes, Padded, match, pad

Combine = Literal["heat", "product", "geometric"]
COMBINES: tuple[Combine, ...] = ("heat", "product", "geometric")
SHRINKS = tuple(round(0.7 + 0.025 * i, 3) for i in range(17))  # .7 to 1.1
# Thresholds whose metric is this near the best are as good as it; the middle of them is taken.
PLATEAU = 0.001
_EQUAL = 1e-12


@dataclass(frozen=True)
class Choice:
    """What validation settled.

    Attributes:
      threshold: a box whose combined score is at or above it is kept.
      shrink: both sides of a box are multiplied by it, about the centre.
      combine: how the score of a box is made, see `combined`.
      score: the challenge's metric on validation with these; None where no image counts.
      note: why nothing could be chosen; empty where it could.
    """

    threshold: float
    shrink: float
    combine: Combine
    score: float | None
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def combined(combine: Combine, heat: np.ndarray, image_score: np.ndarray) -> np.ndarray:
    """The score of boxes from their heat and the probability of their image (broadcast).

    "heat": the heat alone. "product": times the probability, so no box is surer than its image.
    "geometric": the root of that, which orders as the product does, on the scale of the two.

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


@dataclass(frozen=True)
class _Best:
    score: float
    threshold: float


def choose(
    truth: Boxes,
    boxes: Boxes,
    scores: Boxes,
    image_score: np.ndarray,
    *,
    shrinks: Sequence[float] = SHRINKS,
    combines: Sequence[Combine] = COMBINES,
    overlaps: Sequence[float] = OVERLAPS,
    plateau: float = PLATEAU,
) -> Choice:
    """Chooses on validation.

    The best pair of combine and shrink wins; combines that are as good rank in the order given
    ("product" and "geometric" always are: they order boxes alike). Of shrinks within `plateau` of
    the best and next to it, the middle one is taken, and so with thresholds.

    Args:
      truth: for each image the true boxes [k, 4].
      boxes: for each image the decoded boxes [m, 4] after suppression, neither cut by a threshold
        nor shrunk.
      scores: for each image their heat [m].
      image_score: float [n], calibrated probability that the image has an opacity.
      shrinks: factors to try, ascending.
      combines: ways to combine, see `combined`.
      overlaps: of the metric.
      plateau: what counts as equally good.

    Returns:
      the choice; threshold .5 and shrink 1, or the value nearest to it, where nothing can be chosen
      (no true box on validation, or no predicted box that hits one), with a note.

    Raises:
      ValueError: lengths differ, something is not a number, or nothing to try was given.
    """
    if not len(shrinks) or not len(combines):
        raise ValueError("there must be at least one shrink factor and one way to combine")
    image = np.asarray(image_score, np.float64)
    if not len(truth) == len(boxes) == len(scores) == len(image):
        raise ValueError(
            f"{len(truth)}, {len(boxes)}, {len(scores)} and {len(image)} images do not belong "
            "together"
        )
    if not np.isfinite(image).all():
        at = int(np.argmin(np.isfinite(image)))
        raise ValueError(f"image {at}: the score {image[at]} is not a number")
    true, predicted = pad(truth, what="true box"), pad(boxes, scores)
    plain = min(shrinks, key=lambda factor: abs(factor - 1))
    if not true.count.any():
        return Choice(0.5, plain, combines[0], None, "no true box on validation")
    heat = np.where(predicted.there, predicted.scores, 0.0)
    ranks = {c: _ranked(predicted, combined(c, heat, image[:, None])) for c in combines}
    table: dict[Combine, list[_Best]] = {c: [] for c in combines}
    for factor in shrinks:
        smaller = Padded(resize(predicted.boxes, factor), predicted.scores, predicted.count)
        prefixes = scores_of_prefixes(match(true, smaller, overlaps), true.count)
        for c in combines:
            table[c].append(_over_thresholds(prefixes, ranks[c], plateau))
    tops = {c: max(best.score for best in found) for c, found in table.items()}
    top = max(tops.values())
    if top <= 0:
        return Choice(
            0.5, plain, combines[0], 0.0, "no predicted box hits a true one on validation"
        )
    chosen = next(c for c in combines if tops[c] >= top - _EQUAL)
    values = np.array([best.score for best in table[chosen]])
    low, high = _around(values, int(values.argmax()), plateau)
    at = (low + high) // 2
    best = table[chosen][at]
    return Choice(best.threshold, float(shrinks[at]), chosen, best.score)


@dataclass(frozen=True)
class _Ranked:
    """All boxes, best first: of which image, which of it, and the combined score."""

    image: np.ndarray
    place: np.ndarray
    score: np.ndarray


def _ranked(predicted: Padded, scores: np.ndarray) -> _Ranked:
    image, place = np.nonzero(predicted.there)
    score = scores[image, place]
    # Within an image the order by heat stands, also where combined scores tie.
    order = np.lexsort((place, -score))
    return _Ranked(image[order], place[order], score[order])


def _over_thresholds(prefixes: np.ndarray, ranked: _Ranked, plateau: float) -> _Best:
    """The best mean over images as boxes come in, and the middle of the thresholds that give it."""
    if not len(ranked.score):
        return _Best(0.0, 0.5)
    start = prefixes[:, 0]
    total, counted = np.nansum(start), np.isfinite(start).sum()
    before = prefixes[ranked.image, ranked.place]
    after = prefixes[ranked.image, ranked.place + 1]
    sums = total + np.cumsum(after - np.nan_to_num(before))
    counts = counted + np.cumsum(np.isnan(before))
    ends = np.flatnonzero(np.append(np.diff(ranked.score), -1) != 0)  # of equal scores
    means = sums[ends] / counts[ends]
    # With everything down to ends[i] kept, any threshold above the next score does.
    upper = ranked.score[ends]
    lower = np.append(upper[1:], min(0.0, upper[-1]))
    best = int(means.argmax())
    low, high = _around(means, best, plateau)
    threshold = (upper[low] + lower[high]) / 2
    kept = int(np.searchsorted(-upper, -threshold, side="right")) - 1
    return _Best(float(means[kept]), float(threshold))


def _around(values: np.ndarray, best: int, plateau: float) -> tuple[int, int]:
    """First and last place of the run around the best that is within the plateau."""
    good = values >= values[best] - max(plateau, _EQUAL)
    low = high = best
    while low > 0 and good[low - 1]:
        low -= 1
    while high + 1 < len(values) and good[high + 1]:
        high += 1
    return low, high

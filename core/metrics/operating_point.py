"""Operating point: the threshold of the score, and the referral band around it.

Both are chosen on validation. A score at or above the threshold is positive. Images with label -1,
for which the task defines no label, are ignored.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from core.metrics.binary import check_binary, ratio
from core.metrics.options import OperatingPointOptions
from schema.files import json_values

POSITIVE, NEGATIVE, REFER = 1, 0, -1
DECISIONS = {POSITIVE: "POSITIVE", NEGATIVE: "NEGATIVE", REFER: "REFER"}


@dataclass(frozen=True)
class OperatingPoint:
    """A threshold and its performance on validation.

    Attributes:
      rule: rule that chose it.
      threshold: a score at or above it is positive.
      sensitivity: on validation; NaN without positives.
      specificity: on validation; NaN without negatives.
      positives: number of positive validation images.
      negatives: number of negative validation images.
      asked: parameter of the rule: `at_least`, `cost_of_miss` or `threshold`; NaN for youden.
      note: why the rule could not be applied; empty otherwise.
    """

    rule: str
    threshold: float
    sensitivity: float
    specificity: float
    positives: int
    negatives: int
    asked: float
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Returns JSON values; None for NaN."""
        values: dict[str, Any] = json_values(asdict(self))
        return values


def choose_operating_point(
    labels: np.ndarray,
    scores: np.ndarray,
    options: OperatingPointOptions,
    weights: np.ndarray | None = None,
) -> OperatingPoint:
    """Chooses the threshold by the rule of the configuration.

    - fixed: `threshold` of the configuration.
    - sensitivity: the highest threshold with a sensitivity of at least `at_least`.
    - specificity: the lowest threshold with a specificity of at least `at_least`.
    - youden: maximizes sensitivity + specificity - 1 (Youden, 1950, Cancer 3).
    - cost: minimizes `cost_of_miss` x false negatives + false positives, at the prevalence of
      validation.

    Ties go to the lower threshold, which misses fewer positives. A threshold lies midway between
    two neighboring scores (0 and 1 included), rounded to float32 as in the model.

    Args:
      labels: int [n] of 0, 1 and -1.
      scores: float [n] in 0..1.
      options: rule and its parameter.
      weights: float [n], of each image in sensitivity, specificity and prevalence; None: all are
        equal.

    Raises:
      ValueError: lengths differ, invalid label, or a score outside 0..1.
    """
    y, s = _known(labels, scores)
    positives, negatives = int(y.sum()), int((1 - y).sum())
    w = np.ones(len(y)) if weights is None else np.asarray(weights)[np.asarray(labels) != -1]
    total = [float(w[y == side].sum()) for side in (0, 1)]
    parameters = {"fixed": options.threshold, "youden": math.nan, "cost": options.cost_of_miss}

    def point(threshold: float, note: str = "") -> OperatingPoint:
        correct = w * ((s >= threshold) == (y == 1))
        return OperatingPoint(
            rule=options.rule,
            threshold=float(threshold),
            sensitivity=ratio(float(correct[y == 1].sum()), total[1]),
            specificity=ratio(float(correct[y == 0].sum()), total[0]),
            positives=positives,
            negatives=negatives,
            asked=parameters.get(options.rule, options.at_least),
            note=note,
        )

    if options.rule == "fixed":
        return point(options.threshold)
    if not positives or not negatives:
        missing = "negative" if positives else "positive"
        return point(0.5, f"validation has no {missing} image: threshold 0.5 is used")
    thresholds = _thresholds(s)
    below = [_weight_below(s[y == side], w[y == side], thresholds) for side in (0, 1)]
    sensitivity, specificity = 1 - below[1] / total[1], below[0] / total[0]
    least = options.at_least - 1e-9  # tolerates rounding: 0.95 of 20 is 19
    if options.rule == "sensitivity":
        at = np.flatnonzero(sensitivity >= least)[-1]
    elif options.rule == "specificity":
        reached = np.flatnonzero(specificity >= least)
        if not len(reached):  # a negative image has score 1
            return point(0.5, f"no threshold reaches specificity {options.at_least:g}: 0.5 is used")
        at = reached[0]
    elif options.rule == "youden":
        at = np.argmax(np.round(sensitivity + specificity, 12))
    else:
        cost = options.cost_of_miss * (1 - sensitivity) * total[1] + (1 - specificity) * total[0]
        at = np.argmin(np.round(cost, 9))
    return point(thresholds[int(at)])


def referral_band(
    labels: np.ndarray, scores: np.ndarray, threshold: float, share: float
) -> tuple[float, float] | None:
    """Chooses the band of scores around the threshold that is referred to a reader.

    Among the bands that contain the threshold and refer at most `share` of validation, it contains
    the most wrong decisions and, among ties, the fewest images. This is the rejection rule of Chow
    (1970, IEEE Trans. Inf. Theory 16) with a budget instead of a cost, and an asymmetric band
    (Coste & Pouchot, 2003, Int. J. Epidemiol. 32).

    Args:
      labels: int [n] of 0, 1 and -1.
      scores: float [n] in 0..1.
      threshold: threshold of the decision.
      share: largest share of validation images to refer, 0..1.

    Returns:
      (low, high): a score with `low <= score < high` is referred. None if no wrong decision can be
      referred within the budget.

    Raises:
      ValueError: `share` is outside 0..1, or a label or score is invalid.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"the share of referred images must be in 0..1, not {share}")
    y, s = _known(labels, scores)
    budget = math.floor(share * len(s) + 1e-9)
    wrong = (s >= threshold) != (y == 1)

    def outward(side: np.ndarray, sign: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Distinct scores away from the threshold, with cumulative images and errors."""
        values, at = np.unique(sign * s[side], return_inverse=True)
        totals = [
            np.append(0, np.cumsum(np.bincount(at, weights=weights, minlength=len(values))))
            for weights in (None, wrong[side])
        ]
        return sign * values, totals[0], totals[1]

    below, images_below, errors_below = outward(s < threshold, -1)
    above, images_above, errors_above = outward(s >= threshold, 1)
    bands = []  # errors referred, -images referred, distinct scores below and above
    for i in np.flatnonzero(images_below <= budget).tolist():
        last = np.searchsorted(images_above, budget - images_below[i], side="right") - 1
        # The smallest upper end that contains as many errors as the largest.
        j = int(np.searchsorted(errors_above, errors_above[last]))
        referred_errors = int(errors_below[i] + errors_above[j])
        bands.append((referred_errors, -int(images_below[i] + images_above[j]), i, j))
    referred_errors, _, i, j = max(bands, key=lambda band: band[:2])
    if not referred_errors:
        return None
    low = high = threshold
    if i:
        low = _between(below[i] if i < len(below) else 0.0, below[i - 1])
    if j:
        high = _between(above[j - 1], above[j] if j < len(above) else 1.0)
        if high <= above[j - 1]:  # the last score is 1
            high = float(np.nextafter(np.float32(above[j - 1]), np.float32(2)))
    return low, high


def decide(
    scores: np.ndarray, threshold: float, band: tuple[float, float] | None = None
) -> np.ndarray:
    """Returns decisions, int64 [n]: 1 positive, 0 negative, -1 referred."""
    s = np.asarray(scores, np.float64)
    decisions = np.where(s >= threshold, POSITIVE, NEGATIVE)
    if band is not None:
        decisions = np.where((s >= band[0]) & (s < band[1]), REFER, decisions)
    return decisions.astype(np.int64)


def predicted_class(
    probabilities: np.ndarray, scores: np.ndarray, positive: Sequence[int], threshold: float
) -> np.ndarray:
    """Returns the most probable class that is consistent with the decision, int64 [n].

    The exported model applies the same rule.

    Args:
      probabilities: float [n, C].
      scores: float [n].
      positive: indices of the positive classes.
      threshold: threshold of the score.
    """
    p = np.asarray(probabilities, np.float64)
    is_positive = np.isin(np.arange(p.shape[1]), list(positive))
    allowed = is_positive[None] == (np.asarray(scores) >= threshold)[:, None]
    return np.where(allowed, p, -1.0).argmax(axis=1).astype(np.int64)


def _known(labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    y, s = np.asarray(labels), np.asarray(scores, np.float64)
    if y.shape != s.shape:
        raise ValueError(f"labels {y.shape} and scores {s.shape} must be of equal shape")
    y, s = check_binary(y[y != -1], s[y != -1])
    if len(s) and (s.min() < 0 or s.max() > 1):
        raise ValueError(f"scores {s.min():g}..{s.max():g} are outside 0..1")
    return y, s


def _weight_below(scores: np.ndarray, weights: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Returns the total weight of the scores below each threshold."""
    order = np.argsort(scores)
    totals = np.append(0.0, np.cumsum(weights[order]))
    return np.asarray(totals[np.searchsorted(scores[order], thresholds)])


def _thresholds(s: np.ndarray) -> np.ndarray:
    """Returns an ascending threshold for each gap between distinct scores, 0 and 1 included."""
    values = np.unique(s)
    lower = np.append(0.0, values)
    upper = np.append(values, 1.0)
    thresholds = [_between(a, b) for a, b in zip(lower, upper, strict=True)]
    return np.array(thresholds if values[-1] < 1 else thresholds[:-1])


def _between(lower: float, upper: float) -> float:
    """Returns the float32 midpoint, above `lower`; `upper` if no float32 lies between."""
    middle = float(np.float32((lower + upper) / 2))
    return middle if lower < middle <= upper else float(upper)

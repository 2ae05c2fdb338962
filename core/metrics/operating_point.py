"""Operating point: the threshold of the score, and the band around it that is referred.

Both are chosen on validation. A score at or above the threshold is positive. Rows whose label is -1
(the task does not define it) are left out.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from core.metrics.binary import check_binary, confusion_counts, ratio
from core.metrics.options import OperatingPointOptions
from schema.json_values import json_values

POSITIVE, NEGATIVE, REFER = 1, 0, -1
DECISIONS = {POSITIVE: "POSITIVE", NEGATIVE: "NEGATIVE", REFER: "REFER"}


@dataclass(frozen=True)
class OperatingPoint:
    """A threshold, and its performance on validation.

    Attributes:
      rule: how it was chosen.
      threshold: a score at or above it is positive.
      sensitivity: on validation; NaN without positives.
      specificity: on validation; NaN without negatives.
      positives: images of validation.
      negatives: images of validation.
      asked: the number of the rule: `at_least`, `cost_of_miss` or `threshold`; NaN for youden.
      note: why the rule could not be followed; empty where it was.
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
        """Values for JSON; None where undefined."""
        values: dict[str, Any] = json_values(asdict(self))
        return values


def choose_operating_point(
    labels: np.ndarray, scores: np.ndarray, options: OperatingPointOptions
) -> OperatingPoint:
    """Chooses the threshold.

    - fixed: the one of the configuration.
    - sensitivity: the highest threshold whose sensitivity is at least `at_least`; of all that
      reach it, the one of the best specificity.
    - specificity: the lowest threshold whose specificity is at least `at_least`.
    - youden: the largest sensitivity + specificity - 1 (Youden 1950, Cancer 3).
    - cost: the least `cost_of_miss` x missed + false alarms, at the prevalence of validation.

    Of equal ones the lower threshold is taken, which misses less. A threshold lies midway between
    two neighbouring scores (the ends are neighbours of 0 and 1), rounded to float32, in which the
    model stores it.

    Args:
      labels: int [n] of 0, 1 and -1.
      scores: float [n] in 0..1.
      options: rule and its number.

    Raises:
      ValueError: lengths differ, a bad label, or a score that is not in 0..1.
    """
    y, s = _known(labels, scores)
    positives, negatives = int(y.sum()), int((1 - y).sum())
    numbers = {"fixed": options.threshold, "youden": math.nan, "cost": options.cost_of_miss}

    def point(threshold: float, note: str = "") -> OperatingPoint:
        c = confusion_counts(y, s, threshold)
        return OperatingPoint(
            rule=options.rule,
            threshold=float(threshold),
            sensitivity=ratio(c.tp, positives),
            specificity=ratio(c.tn, negatives),
            positives=positives,
            negatives=negatives,
            asked=numbers.get(options.rule, options.at_least),
            note=note,
        )

    if options.rule == "fixed":
        return point(options.threshold)
    if not positives or not negatives:
        missing = "negative" if positives else "positive"
        return point(0.5, f"validation has no {missing} image: threshold 0.5 instead")
    thresholds = _thresholds(s)
    sensitivity = 1 - np.searchsorted(np.sort(s[y == 1]), thresholds) / positives
    specificity = np.searchsorted(np.sort(s[y == 0]), thresholds) / negatives
    least = options.at_least - 1e-9  # 0.95 of 20 is 19, whatever the rounding
    if options.rule == "sensitivity":
        at = np.flatnonzero(sensitivity >= least)[-1]
    elif options.rule == "specificity":
        reached = np.flatnonzero(specificity >= least)
        if not len(reached):  # a negative image has the score 1
            return point(0.5, f"no threshold reaches specificity {options.at_least:g}: 0.5 instead")
        at = reached[0]
    elif options.rule == "youden":
        at = np.argmax(np.round(sensitivity + specificity, 12))
    else:
        cost = options.cost_of_miss * (1 - sensitivity) * positives + (1 - specificity) * negatives
        at = np.argmin(np.round(cost, 9))
    return point(thresholds[int(at)])


def abstention_band(
    labels: np.ndarray, scores: np.ndarray, threshold: float, share: float
) -> tuple[float, float] | None:
    """The band around the threshold that is referred to a person.

    Of all bands that contain the threshold and refer at most `share` of validation, the one that
    catches the most wrong decisions, and of these the one that refers the fewest images: the
    rejection rule of Chow (1970, IEEE Trans. Inf. Theory 16) with a budget in place of a cost and
    two ends that need not be equally far (Coste & Pouchot 2003, Int. J. Epidemiol. 32).

    Args:
      labels: int [n] of 0, 1 and -1.
      scores: float [n] in 0..1.
      threshold: of the decision.
      share: part of validation that may be referred, 0..1.

    Returns:
      (low, high): a score with `low <= score < high` is referred. None where no decision within
      reach is wrong.

    Raises:
      ValueError: see `choose_operating_point`; or a share outside 0..1.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"the share that may be referred is in 0..1, not {share}")
    y, s = _known(labels, scores)
    budget = math.floor(share * len(s) + 1e-9)
    wrong = (s >= threshold) != (y == 1)

    def outward(side: np.ndarray, sign: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Distinct scores away from the threshold; images and errors up to each, from 0 on."""
        values, at = np.unique(sign * s[side], return_inverse=True)
        totals = [
            np.append(0, np.cumsum(np.bincount(at, weights=weights, minlength=len(values))))
            for weights in (None, wrong[side])
        ]
        return sign * values, totals[0], totals[1]

    below, images_below, errors_below = outward(s < threshold, -1)
    above, images_above, errors_above = outward(s >= threshold, 1)
    bands = []  # errors caught, -images referred, distinct scores below and above
    for i in np.flatnonzero(images_below <= budget).tolist():
        last = np.searchsorted(images_above, budget - images_below[i], side="right") - 1
        # The shortest reach upwards that catches what the longest one catches.
        j = int(np.searchsorted(errors_above, errors_above[last]))
        caught = int(errors_below[i] + errors_above[j])
        bands.append((caught, -int(images_below[i] + images_above[j]), i, j))
    caught, _, i, j = max(bands, key=lambda band: band[:2])
    if not caught:
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
    """Decisions, int64 [n]: 1 positive, 0 negative, -1 referred."""
    s = np.asarray(scores, np.float64)
    called = np.where(s >= threshold, POSITIVE, NEGATIVE)
    if band is not None:
        called = np.where((s >= band[0]) & (s < band[1]), REFER, called)
    return called.astype(np.int64)


def predicted_class(
    probabilities: np.ndarray, scores: np.ndarray, positive: Sequence[int], threshold: float
) -> np.ndarray:
    """The most probable class among those that agree with the decision, int64 [n].

    As in the served model: the class never contradicts the decision.

    Args:
      probabilities: float [n, C].
      scores: float [n].
      positive: indices of the positive classes.
      threshold: of the score.
    """
    p = np.asarray(probabilities, np.float64)
    side = np.isin(np.arange(p.shape[1]), list(positive))
    allowed = side[None] == (np.asarray(scores) >= threshold)[:, None]
    return np.where(allowed, p, -1.0).argmax(axis=1).astype(np.int64)


def _known(labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    y, s = np.asarray(labels), np.asarray(scores, np.float64)
    if y.shape != s.shape:
        raise ValueError(f"labels {y.shape} and scores {s.shape} must be two equal rows")
    y, s = check_binary(y[y != -1], s[y != -1])
    if len(s) and (s.min() < 0 or s.max() > 1):
        raise ValueError(f"scores {s.min():g}..{s.max():g} are not all in 0..1")
    return y, s


def _thresholds(s: np.ndarray) -> np.ndarray:
    """A threshold in each gap between distinct scores, rising; the ends lie before 0 and 1."""
    values = np.unique(s)
    lower = np.append(0.0, values)
    upper = np.append(values, 1.0)
    found = [_between(a, b) for a, b in zip(lower, upper, strict=True)]
    return np.array(found if values[-1] < 1 else found[:-1])


def _between(lower: float, upper: float) -> float:
    """The middle in float32, above `lower`; `upper` itself where float32 has nothing between."""
    middle = float(np.float32((lower + upper) / 2))
    return middle if lower < middle <= upper else float(upper)

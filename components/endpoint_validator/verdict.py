"""Compares the predictions of a server with those of the Scorer."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from core.metrics.operating_point import DECISIONS, decide
from serving.predict.prediction import Prediction

# Scorer predicts in batches of 32 and a server in other sizes. The sums inside a convolution are
# then computed in another order; the largest difference observed in float32 was 1e-6.
TOLERANCE = 1e-5


class ScorerPrediction(NamedTuple):
    """The Scorer's prediction for one image; probabilities are calibrated."""

    sha256: str
    filename: str
    score: float
    probabilities: Sequence[float]


def spread_over_scores(rows: Sequence[ScorerPrediction], count: int) -> list[ScorerPrediction]:
    """Selects at most `count` rows, evenly by rank from the lowest score to the highest.

    A model that scores all images alike would agree with a sample of similar scores.
    """
    ordered = sorted(rows, key=lambda row: (row.score, row.sha256))
    ranks = np.linspace(0, len(ordered) - 1, min(count, len(ordered))).round().astype(int)
    return [ordered[rank] for rank in ranks]


def mismatch(
    expected: Sequence[ScorerPrediction | None],
    actual: Sequence[Prediction],
    facts: Mapping[str, Any],
) -> str:
    """Describes the first prediction that differs from the Scorer's; "" if none does.

    Args:
      expected: for each image that was sent; None for one that must be rejected.
      actual: predictions in the same order.
      facts: `threshold` and `band` of the model.
    """
    if len(actual) != len(expected):
        return f"{len(expected)} images were sent, {len(actual)} predictions returned"
    pairs = zip(expected, actual, strict=True)
    return next(filter(None, (_difference(row, actual, facts) for row, actual in pairs)), "")


def _difference(
    expected: ScorerPrediction | None, actual: Prediction, facts: Mapping[str, Any]
) -> str:
    if expected is None:
        return "" if actual.error else f"a damaged image was not rejected (status {actual.status})"
    if actual.error or actual.score is None:
        return f"{expected.filename} was rejected: {actual.error}"
    values, actual_values = (
        [*expected.probabilities, expected.score],
        [*actual.probabilities.values(), actual.score],
    )
    if len(actual_values) != len(values):
        return f"{expected.filename}: {len(actual_values) - 1} probabilities, not {len(values) - 1}"
    worst = np.abs(np.subtract(values, actual_values)).max()
    if not worst <= TOLERANCE:  # or not a number
        return (
            f"{expected.filename}: score {actual.score:.6f}, the Scorer had {expected.score:.6f}; "
            f"probabilities differ by {worst:.2g}, allowed {TOLERANCE:g}"
        )
    accepted = accepted_decisions(expected.score, facts["threshold"], facts.get("band"))
    if actual.decision in accepted:
        return ""
    return (
        f"{expected.filename}: decision {actual.decision!r} at score {expected.score:.6f}, "
        f"not {' or '.join(sorted(accepted))}"
    )


def accepted_decisions(score: float, threshold: float, band: Sequence[float] | None) -> set[str]:
    """Returns the decisions that are correct for a score known to within the tolerance."""
    scores = np.array([score - TOLERANCE, score, score + TOLERANCE])
    decisions = decide(scores, threshold, (band[0], band[1]) if band is not None else None)
    return {DECISIONS[value] for value in decisions.tolist()}

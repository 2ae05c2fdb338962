"""Compares the predictions of a server with those of the Scorer."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from core.metrics.operating_point import DECISIONS, decide
from serving.predict.prediction import Prediction

# Scorer predicts in batches of 32 and a server in other sizes. The sums inside a convolution are
# then taken in another order; float32 keeps about 1e-7 of each, and 1e-6 was the most seen.
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
    expected: Sequence[ScorerPrediction | None], got: Sequence[Prediction], facts: Mapping[str, Any]
) -> str:
    """Describes the first prediction that differs from the Scorer's; "" if none does.

    Args:
      expected: for each image that was sent; None for one that must be rejected.
      got: in the same order.
      facts: `threshold` and `band` of the model.
    """
    if len(got) != len(expected):
        return f"{len(expected)} images were sent, {len(got)} predictions returned"
    pairs = zip(expected, got, strict=True)
    return next(filter(None, (_difference(want, found, facts) for want, found in pairs)), "")


def _difference(want: ScorerPrediction | None, found: Prediction, facts: Mapping[str, Any]) -> str:
    if want is None:
        return "" if found.error else f"a damaged image was not rejected (status {found.status})"
    if found.error or found.score is None:
        return f"{want.filename} was rejected: {found.error}"
    wanted, values = [*want.probabilities, want.score], [*found.probabilities.values(), found.score]
    if len(values) != len(wanted):
        return f"{want.filename}: {len(values) - 1} probabilities, not {len(wanted) - 1}"
    worst = np.abs(np.subtract(wanted, values)).max()
    if not worst <= TOLERANCE:  # or not a number
        return (
            f"{want.filename}: score {found.score:.6f}, the Scorer had {want.score:.6f}; "
            f"probabilities differ by {worst:.2g}, allowed {TOLERANCE:g}"
        )
    accepted = accepted_decisions(want.score, facts["threshold"], facts.get("band"))
    if found.decision in accepted:
        return ""
    return (
        f"{want.filename}: decision {found.decision!r} at score {want.score:.6f}, "
        f"not {' or '.join(sorted(accepted))}"
    )


def accepted_decisions(score: float, threshold: float, band: Sequence[float] | None) -> set[str]:
    """Decisions that are right for a score known to within the tolerance."""
    scores = np.array([score - TOLERANCE, score, score + TOLERANCE])
    found = decide(scores, threshold, (band[0], band[1]) if band is not None else None)
    return {DECISIONS[value] for value in found.tolist()}

"""Coverage and size of conformal prediction sets."""

from dataclasses import asdict
from itertools import product
from typing import Any

import numpy as np

from core.metrics.bootstrap import clustered_bootstrap
from core.metrics.decisions.conformal import (
    ConformalPredictor,
    cross_fitted_sets,
    set_statistics,
)
from core.predictions.predictions import SplitPredictions

ALPHAS = (0.1, 0.05)


def prediction_sets_section(
    val: SplitPredictions,
    test: SplitPredictions,
    held_out: SplitPredictions | None,
    resamples: int,
    seed: int,
) -> dict[str, Any] | None:
    """Measures prediction sets; None if a split has no image with a single class.

    On validation the sets of each patient are fitted on other patients; elsewhere they are fitted
    on all of validation. Held-out images are predicted by the models of shifted validation, which
    have not seen their group.

    Returns:
      `images` and `patients` of validation; `held_out` (images) or None; `rows` of `target`
      (coverage), `by_class`, `split` ("val", "held_out" or "test") and `metrics` with intervals
      (see `set_statistics`).
    """
    val = val.with_class_label()
    splits = {"held_out": held_out, "test": test}
    others = {name: part.with_class_label() for name, part in splits.items() if part is not None}
    others = {name: part for name, part in others.items() if len(part)}
    if not len(val) or "test" not in others:
        return None
    fitted_on = val.label, val.probabilities
    rows = []
    for alpha, by_class in product(ALPHAS, (False, True)):
        predictor = ConformalPredictor.fit(*fitted_on, alpha, by_class=by_class)
        sets = cross_fitted_sets(*fitted_on, val.patient, alpha, by_class=by_class, seed=seed)
        measured = [("val", val, sets)]
        measured += [
            (name, part, predictor.sets(part.probabilities)) for name, part in others.items()
        ]
        rows += [
            {
                "target": round(1 - alpha, 9),
                "by_class": by_class,
                "split": name,
                "metrics": set_metrics(part, sets, resamples, seed),
            }
            for name, part, sets in measured
        ]
    return {
        "images": len(val),
        "patients": len(np.unique(val.patient)),
        "held_out": len(others["held_out"]) if "held_out" in others else None,
        "rows": rows,
    }


def set_metrics(
    predictions: SplitPredictions, sets: np.ndarray, resamples: int, seed: int
) -> dict[str, dict[str, Any]]:
    """Computes `set_statistics` with intervals by patient."""
    statistics, shares = set_statistics(predictions.label, sets, predictions.task.classes)
    measured = clustered_bootstrap(
        statistics, predictions.patient, shares=shares, resamples=resamples, seed=seed
    )
    return {name: asdict(value) for name, value in measured.items()}
